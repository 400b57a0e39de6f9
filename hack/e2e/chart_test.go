package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
)

const (
	labelChart = "chart"
	chart      = "../../charts/workorder-operator"
	system     = "workorders-system"
)

var _ = Describe("An installation from the chart", Label(labelChart), Ordered, SpecPriority(-2), func() {
	const patience = SpecTimeout(5 * time.Minute)
	var namespace string

	BeforeAll(func(ctx SpecContext) {
		operator.kill()
		namespace = newNamespaceOf(ctx)
		kubectl(ctx, "delete", "--kustomize=../../config/crd", "--ignore-not-found")
		DeferCleanup(func(ctx SpecContext) {
			helm(ctx, "uninstall", "workorder-operator", "--namespace="+system, "--ignore-not-found", "--wait")
			kubectl(ctx, "delete", "--kustomize=../../config/crd", "--ignore-not-found")
			kubectl(ctx, "delete", "namespace", system, "--ignore-not-found")
			installCRDs(ctx)
			operator.start()
		})
		helm(ctx, "install", "workorder-operator", chart, "--namespace="+system, "--create-namespace", "--values=testdata/chart.yaml", "--wait", "--timeout=3m")
	})

	It("passes helm test", patience, func(ctx SpecContext) {
		Expect(helm(ctx, "test", "workorder-operator", "--namespace="+system, "--timeout=4m")).To(ContainSubstring("Succeeded"))
	})

	It("lets no other release have the same namespaces", patience, func(ctx SpecContext) {
		second := exec.CommandContext(ctx, "../../bin/helm", "install", "second", chart, "--namespace="+namespace, "--values=testdata/chart.yaml", "--set=crds.install=false")
		said, err := second.CombinedOutput()
		Expect(err).To(HaveOccurred())
		Expect(string(said)).To(ContainSubstring("lets only another operator write orders of namespaces that are to be this release's"))
	})

	It("runs the samples", patience, func(ctx SpecContext) {
		kubectl(ctx, "apply", "--kustomize=../../config/samples", "--namespace="+namespace)
		kubectl(ctx, "wait", "workorders", "--all", "--for=condition=Finished", "--timeout=3m", "--namespace="+namespace)
		phases := kubectl(ctx, "get", "workorders", "--namespace="+namespace, "--no-headers", "--output=custom-columns=:.metadata.name,:.status.phase")
		for line := range strings.Lines(phases) {
			if !strings.HasPrefix(line, "release ") { // It is to fail.
				Expect(line).To(HaveSuffix(" Succeeded\n"))
			}
		}
		Expect(strings.Count(phases, "\n")).To(BeNumerically(">=", 5))
		kubectl(ctx, "wait", "workorder/diamond", "--for=condition=Succeeded", "--timeout=0", "--namespace="+namespace)
		expectFolds(ctx, namespace)
	})

	It("understands what the docs say to type", patience, func(ctx SpecContext) {
		DeferCleanup(func(ctx SpecContext) {
			kubectl(ctx, "delete", "clusterrolebinding", "workorder-metrics", "--ignore-not-found")
		})
		runDocs(ctx, namespace)
	})

	It("goes on when the leader is killed in mid-run, as another replica takes over", patience, func(ctx SpecContext) {
		order := submit(ctx, namespace, "through-a-crash", aChain(6, "--duration=3s"))
		expectRunning(ctx, order, "step-1")
		leader := theLeader(ctx, Default)
		killed := time.Now()
		killOperatorOf(ctx, leader)
		Eventually(ctx, func(g Gomega) { g.Expect(theLeader(ctx, g)).NotTo(Equal(leader)) }).WithTimeout(time.Minute).Should(Succeed())
		AddReportEntry("time until another replica led", time.Since(killed).Round(time.Second/10).String())
		expectPhase(ctx, order, v1alpha1.WorkOrderSucceeded)
		expectNoEpochBeyond(order, 1)
		expectFolds(ctx, namespace)
	})

	It("tells its metrics to those only who may have them", patience, func(ctx SpecContext) {
		metrics := forward(ctx, "service/workorder-operator-metrics")
		Expect(metrics.status()).To(Equal(http.StatusUnauthorized))
		metrics.token = strings.TrimSpace(kubectl(ctx, "create", "token", "default", "--namespace="+namespace))
		Expect(metrics.status()).To(Equal(http.StatusForbidden))
		letRead(ctx, namespace)
		Eventually(ctx, metrics.status).Should(Equal(http.StatusOK))
	})

	It("takes little, at rest and with a thousand orders", patience, func(ctx SpecContext) {
		leader, _, _ := strings.Cut(theLeader(ctx, Default), "_")
		metrics := forward(ctx, "pod/"+leader)
		metrics.token = strings.TrimSpace(kubectl(ctx, "create", "token", "default", "--namespace="+namespace))
		letRead(ctx, namespace)
		Eventually(ctx, metrics.status).Should(Equal(http.StatusOK))
		tellUsage(ctx, "at rest", metrics, leader)
		aThousand(ctx, namespace)
		tellUsage(ctx, "with 1,000 orders under way", metrics, leader)
		Expect(cluster.DeleteAllOf(ctx, &v1alpha1.WorkOrder{}, client.InNamespace(namespace), ofAThousand)).To(Succeed())
	})

	It("lets people do with orders what they may do with Pods, and nobody forge a result", patience, func(ctx SpecContext) {
		kubectl(ctx, "create", "rolebinding", "jane", "--clusterrole=edit", "--user=jane", "--namespace="+namespace)
		kubectl(ctx, "create", "rolebinding", "joe", "--clusterrole=view", "--user=joe", "--namespace="+namespace)
		for _, may := range []struct{ who, verb, what, answer string }{
			{"jane", "create", "workorders", "yes"}, {"jane", "delete", "workorders", "yes"}, {"jane", "get", "progressevents", "yes"},
			{"jane", "create", "progressevents", "no"}, {"jane", "delete", "progressevents", "no"}, {"jane", "patch", "workorders/status", "no"},
			{"joe", "watch", "workorders", "yes"}, {"joe", "list", "progressevents", "yes"}, {"joe", "create", "workorders", "no"},
		} {
			Eventually(ctx, func() string { return can(ctx, namespace, may.who, may.verb, may.what) }).Should(Equal(may.answer), "%v", may)
		}
		// Nor an administrator, who may do everything: the policy of the chart.
		Eventually(ctx, func() string {
			said, _ := tryKubectl(ctx, "patch", "workorder", "diamond", "--namespace="+namespace, "--subresource=status", "--type=merge", `--patch={"status":{"message":"forged"}}`)
			return said
		}).Should(ContainSubstring("Only the operator writes the status of a WorkOrder"))
	})

	It("is upgraded, its CRDs too, and rolled back with orders in flight, which do not notice", patience, func(ctx SpecContext) {
		order := submit(ctx, namespace, "through-an-upgrade", aChain(8, "--duration=8s"))
		expectRunning(ctx, order, "step-1")
		next := nextChart()
		helm(ctx, "upgrade", "workorder-operator", next, "--namespace="+system, "--values=testdata/chart.yaml", "--set=maxConcurrentReconciles=4", "--wait", "--timeout=3m")
		Expect(kubectl(ctx, "explain", "workorder.spec.cancel")).To(ContainSubstring("In the next version: "))
		helm(ctx, "rollback", "workorder-operator", "--namespace="+system, "--wait", "--timeout=3m")
		Expect(kubectl(ctx, "explain", "workorder.spec.cancel")).NotTo(ContainSubstring("In the next version: "))
		expectPhase(ctx, order, v1alpha1.WorkOrderSucceeded)
		expectNoEpochBeyond(order, 1)
		expectFolds(ctx, namespace)
	})

	It("is uninstalled in mid-run, keeps its orders, and goes on with them when it is installed again", patience, func(ctx SpecContext) {
		order := submit(ctx, namespace, "through-a-reinstall", aChain(3, "--duration=20s"))
		expectRunning(ctx, order, "step-1")
		helm(ctx, "uninstall", "workorder-operator", "--namespace="+system, "--wait")
		Eventually(ctx, func() string { return kubectl(ctx, "get", "pods", "--namespace="+system, "--output=name") }).Should(BeEmpty())
		reread(ctx, order)(Default)
		Expect(order.Status.CurrentStep).To(Equal("step-1"))
		helm(ctx, "install", "workorder-operator", chart, "--namespace="+system, "--values=testdata/chart.yaml", "--wait", "--timeout=3m")
		expectPhase(ctx, order, v1alpha1.WorkOrderSucceeded)
		expectNoEpochBeyond(order, 1)
	})

	It("takes the place of one that was applied with kubectl, and its orders go on", patience, func(ctx SpecContext) {
		helm(ctx, "uninstall", "workorder-operator", "--namespace="+system, "--wait")
		kubectl(ctx, "delete", "--kustomize=../../config/crd", "--wait")
		kubectl(ctx, "apply", "--kustomize=../../config/default")
		kubectl(ctx, "rollout", "status", "--namespace="+system, "deployment/workorder-operator", "--timeout=2m")
		for _, optional := range []string{"admission/serviceaccounts", "network-policy", "grafana"} {
			kubectl(ctx, "apply", "--kustomize=../../config/"+optional, "--dry-run=server")
		}
		order := submit(ctx, namespace, "through-a-move", aChain(3, "--duration=20s"))
		expectRunning(ctx, order, "step-1")
		kubectl(ctx, "delete", "--kustomize=../../config/operator")
		helm(ctx, "install", "workorder-operator", chart, "--namespace="+system, "--create-namespace", "--take-ownership", "--force-conflicts", "--values=testdata/chart.yaml", "--wait", "--timeout=3m")
		expectPhase(ctx, order, v1alpha1.WorkOrderSucceeded)
		expectNoEpochBeyond(order, 1)
		Expect(kubectl(ctx, "get", "crd", "workorders.workorders.dev", "--output=jsonpath={.metadata.annotations.meta\\.helm\\.sh/release-name}")).To(Equal("workorder-operator"))
	})

	It("leaves nothing behind when it is removed as docs/uninstall.md says", patience, func(ctx SpecContext) {
		inEveryState(ctx, namespace)
		followDoc(ctx, "The operator runs, and was installed with Helm")
		kubectl(ctx, "delete", "namespace", system)
		expectNothingLeft(ctx)
		Expect(helm(ctx, "list", "--all-namespaces", "--short")).To(BeEmpty())
		for _, kind := range []string{"clusterroles", "clusterrolebindings", "validatingwebhookconfigurations", "validatingadmissionpolicies", "validatingadmissionpolicybindings"} {
			Expect(kubectl(ctx, "get", kind, "--output=name")).NotTo(ContainSubstring("workorder"), kind)
		}
	})
})

var _ = Describe("An installation for some namespaces", Label(labelChart), SpecPriority(-2), func() {
	It("runs the orders of those, and leaves the others alone", SpecTimeout(8*time.Minute), func(ctx SpecContext) {
		ours, theirs, lost := newNamespace(ctx, nil), newNamespace(ctx, nil), newNamespace(ctx, nil)
		home := newNamespace(ctx, nil)
		operator.kill()
		DeferCleanup(func(ctx SpecContext) { helm(ctx, "uninstall", "team", "--namespace="+home, "--wait") })
		helm(ctx, "install", "team", chart, "--namespace="+home, "--values=testdata/chart.yaml", "--set=crds.install=false,admissionPolicy.serviceAccounts=true",
			"--set=namespaces={"+lost+","+ours+"}", "--wait", "--timeout=3m")
		for _, namespace := range []string{ours, theirs} {
			submit(ctx, namespace, "order", v1alpha1.WorkOrderSpec{Steps: []v1alpha1.Step{step("only", "--duration=0s")}})
		}
		kubectl(ctx, "wait", "workorder/order", "--for=condition=Succeeded", "--timeout=1m", "--namespace="+ours)
		Expect(kubectl(ctx, "get", "workorder/order", "--output=jsonpath={.status.observedGeneration}", "--namespace="+theirs)).To(Equal("-1"))
		kubectl(ctx, "delete", "workorder/order", "--namespace="+theirs)

		By("asking whether who submits an order may use its ServiceAccount")
		kubectl(ctx, "create", "serviceaccount", "coder", "--namespace="+ours)
		for _, role := range []string{"viewer", "editor"} { // The built-in role edit may impersonate every ServiceAccount.
			kubectl(ctx, "create", "rolebinding", "jane-"+role, "--clusterrole=team-workorder-operator-"+role, "--user=jane", "--namespace="+ours)
		}
		manifest := filepath.Join(GinkgoT().TempDir(), "order.yaml")
		Expect(os.WriteFile(manifest, []byte(`{"apiVersion":"workorders.dev/v1alpha1","kind":"WorkOrder","metadata":{"name":"as-coder"},
			"spec":{"pod":{"serviceAccountName":"coder"},"steps":[{"name":"only","wait":{"seconds":0}}]}}`), 0o600)).To(Succeed())
		apply := []string{"apply", "--filename=" + manifest, "--namespace=" + ours, "--as=jane"}
		Eventually(ctx, func() string { said, _ := tryKubectl(ctx, append(apply, "--dry-run=server")...); return said }).
			Should(ContainSubstring("You may not use the ServiceAccount coder"))
		Expect(cluster.Create(ctx, &rbacv1.Role{
			ObjectMeta: metav1.ObjectMeta{Namespace: ours, Name: "coder-user"},
			Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"serviceaccounts"}, ResourceNames: []string{"coder"}, Verbs: []string{"use"}}},
		})).To(Succeed())
		kubectl(ctx, "create", "rolebinding", "coder-user", "--role=coder-user", "--user=jane", "--namespace="+ours)
		Eventually(ctx, func() error { _, err := tryKubectl(ctx, apply...); return err }).Should(Succeed())
		kubectl(ctx, "wait", "workorder/as-coder", "--for=condition=Succeeded", "--timeout=1m", "--namespace="+ours)

		By("starting again after it has lost its rights in one of its namespaces")
		kubectl(ctx, "delete", "rolebinding", "team-workorder-operator", "--namespace="+lost)
		kubectl(ctx, "rollout", "restart", "deployment/team-workorder-operator", "--namespace="+home)
		kubectl(ctx, "rollout", "status", "deployment/team-workorder-operator", "--namespace="+home, "--timeout=2m")
		expectPhase(ctx, submit(ctx, ours, "afterwards", aChain(1, "--duration=0s")), v1alpha1.WorkOrderSucceeded)
	})
})

// newNamespaceOf is a namespace whose orders are run by an operator that was installed, and not by the tests' own.
func newNamespaceOf(ctx context.Context) string {
	GinkgoHelper()
	name := fmt.Sprintf("e2e-chart-%d", GinkgoRandomSeed()%100000)
	kubectl(ctx, "create", "namespace", name)
	DeferCleanup(func(ctx SpecContext) { kubectl(ctx, "delete", "namespace", name, "--timeout=2m") })
	return name
}

// helm does what a person would type.
func helm(ctx context.Context, words ...string) string {
	GinkgoHelper()
	return typed(ctx, "../../bin/helm", words...)
}

// tryKubectl does what a person would type that may be refused.
func tryKubectl(ctx context.Context, words ...string) (string, error) {
	GinkgoHelper()
	command := exec.CommandContext(ctx, "kubectl", words...)
	command.Env = withKubectl(ctx)
	said, err := command.CombinedOutput()
	return string(said), err
}

// can is what kubectl auth can-i answers.
func can(ctx context.Context, namespace, who, verb, what string) string {
	GinkgoHelper()
	what, subresource, _ := strings.Cut(what, "/")
	said, _ := tryKubectl(ctx, "auth", "can-i", verb, what, "--subresource="+subresource, "--as="+who, "--namespace="+namespace)
	return strings.TrimSpace(said)
}

// aChain is an order of so many steps, one after the other.
func aChain(length int, flags ...string) v1alpha1.WorkOrderSpec {
	spec := v1alpha1.WorkOrderSpec{}
	for i := range length {
		spec.Steps = append(spec.Steps, step(fmt.Sprintf("step-%d", i+1), flags...))
	}
	return spec
}

// expectNoEpochBeyond checks that no step was run again.
func expectNoEpochBeyond(order *v1alpha1.WorkOrder, epoch int64) {
	GinkgoHelper()
	Expect(order.Status.Steps).To(HaveEach(HaveField("Epoch", BeNumerically("<=", epoch))))
}

// theLeader is who is at work, by the name of its Pod and a number of its own.
func theLeader(ctx context.Context, g Gomega) string {
	lease := &coordinationv1.Lease{}
	g.Expect(cluster.Get(ctx, client.ObjectKey{Namespace: system, Name: "workorder-operator.workorders.dev"}, lease)).To(Succeed())
	g.Expect(lease.Spec.HolderIdentity).To(HaveValue(Not(BeEmpty())))
	return *lease.Spec.HolderIdentity
}

// killOperatorOf ends a leader as a power cut would: its process is one of this machine, known by its Pod's control group.
func killOperatorOf(ctx context.Context, leader string) {
	GinkgoHelper()
	ownCluster()
	name, _, _ := strings.Cut(leader, "_")
	pod := &corev1.Pod{}
	Expect(cluster.Get(ctx, client.ObjectKey{Namespace: system, Name: name}, pod)).To(Succeed())
	groups, err := filepath.Glob("/proc/[0-9]*/cgroup")
	Expect(err).NotTo(HaveOccurred())
	for _, group := range groups {
		content, _ := os.ReadFile(group) // It may have ended meanwhile.
		program, _ := os.ReadFile(filepath.Join(filepath.Dir(group), "comm"))
		if strings.Contains(string(content), string(pod.UID)) && string(program) == "operator\n" {
			number, err := strconv.Atoi(filepath.Base(filepath.Dir(group)))
			Expect(err).NotTo(HaveOccurred())
			Expect(syscall.Kill(number, syscall.SIGKILL)).To(Succeed())
			return
		}
	}
	Fail("no process of this machine is the operator of " + name)
}

// nextChart is the chart as of a later version: with another number, and a CRD that says more.
func nextChart() string {
	GinkgoHelper()
	next := filepath.Join(GinkgoT().TempDir(), "workorder-operator")
	Expect(os.CopyFS(next, os.DirFS(chart))).To(Succeed())
	replace := func(file, old, replacement string) {
		path := filepath.Join(next, file)
		content, err := os.ReadFile(path)
		Expect(err).NotTo(HaveOccurred())
		Expect(string(content)).To(ContainSubstring(old))
		Expect(os.WriteFile(path, []byte(strings.Replace(string(content), old, replacement, 1)), 0o600)).To(Succeed())
	}
	replace("Chart.yaml", "\nversion: 0.1.0\n", "\nversion: 0.2.0\n")
	replace("files/crd/workorders.dev_workorders.yaml", "description: 'cancel ends", "description: 'In the next version: cancel ends")
	return next
}
