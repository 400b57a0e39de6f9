package admission

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"
	authorizationv1 "k8s.io/api/authorization/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apitypes "k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"workorders.dev/operator/api/v1alpha1"
)

// refused matches the answer to an order that cannot run, and the words in it.
func refused(words ...string) types.GomegaMatcher {
	matchers := []types.GomegaMatcher{WithTransform(apierrors.IsInvalid, BeTrue())}
	for _, w := range words {
		matchers = append(matchers, MatchError(ContainSubstring(w)))
	}
	return And(matchers...)
}

func patch(ctx context.Context, order *v1alpha1.WorkOrder, merge string) error {
	return cluster.Patch(ctx, order, client.RawPatch(apitypes.MergePatchType, []byte(merge)))
}

// come waits until the order is as it should be.
func come(ctx context.Context, order *v1alpha1.WorkOrder, phase v1alpha1.WorkOrderPhase, reason, message string) {
	GinkgoHelper()
	Eventually(ctx, func(g Gomega) {
		g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(order), order)).To(Succeed())
		g.Expect(order.Status.Phase).To(Equal(phase))
		stalled := meta.FindStatusCondition(order.Status.Conditions, v1alpha1.ConditionStalled)
		if reason == "" {
			g.Expect(stalled).To(BeNil())
			return
		}
		g.Expect(stalled).To(HaveValue(And(HaveField("Reason", reason), HaveField("Message", ContainSubstring(message)))))
	}).Should(Succeed())
}

var _ = Describe("An order that cannot run", func() {
	var port int
	BeforeEach(func(ctx SpecContext) {
		port = freePort()
		install(ctx, port)
	})

	DescribeTable("is refused, and told why", func(ctx SpecContext, manifest string, words ...string) {
		start(port, usualLifetimes)
		Eventually(ctx, func() error { return ask(ctx, manifest) }).Should(refused(words...))
		Expect(ask(ctx, sound)).To(Succeed())
	},
		Entry("for a circle", circle, "spec.steps[0].dependsOn[0]: Invalid value: the steps depend on each other in a circle: a → b → a"),
		Entry("for unknown names", `{spec: {strategy: Graph, steps: [{name: test, dependsOn: [biuld], wait: {seconds: 0}}, {name: build, wait: {seconds: 0}, inputs: [nothing]}], rewinds: [{step: ship, toEpoch: 2}]}}`,
			`spec.steps[0].dependsOn[0]: Invalid value: step "test" depends on "biuld", and there is no such step (did you mean "build"?)`,
			`spec.rewinds[0].step: Invalid value: rewinds names "ship", and there is no such step`,
			`spec.steps[1].inputs[0]: Invalid value: step "build" takes "nothing" as an input, and there is no such step`),
		Entry("for a name that is taken", `{spec: {steps: [{name: a, wait: {seconds: 0}}], finally: [{name: a, wait: {seconds: 0}}]}}`, `spec.finally[0].name: Invalid value: two steps are called "a": rename one`),
		Entry("for expressions that do not compile", `{spec: {steps: [{name: a, wait: {seconds: 0}}, {name: b, when: steps.a.output, wait: {seconds: 0}}, {name: c, when: 1 +, wait: {seconds: 0}}]}}`,
			`spec.steps[1].when: Invalid value: step "b": when does not compile: it must be true or false`, `spec.steps[2].when: Invalid value: step "c": when does not compile: it ends too early`),
	)

	It("is refused by kubectl with a line for each problem, and warned of in one", func(ctx SpecContext) {
		start(port, usualLifetimes)
		Eventually(ctx, func() error { return ask(ctx, circle) }).Should(refused())
		user, err := environment.AddUser(envtest.User{Name: "alice", Groups: []string{"system:masters"}}, nil)
		Expect(err).NotTo(HaveOccurred())
		kubectl, err := user.Kubectl()
		Expect(err).NotTo(HaveOccurred())
		file := filepath.Join(GinkgoT().TempDir(), "order.yaml")
		Expect(os.WriteFile(file, []byte(`
apiVersion: workorders.dev/v1alpha1
kind: WorkOrder
metadata: {name: typo}
spec:
  strategy: Graph
  params: [{name: ref}]
  steps:
  - {name: build, run: {image: i, command: [sh, -c, "make $(PARAM_REF)"]}}
  - {name: test, dependsOn: [biuld, package], wait: {seconds: 1}}
`), 0o600)).To(Succeed())
		_, stderr, err := kubectl.Run("apply", "-f", file)
		Expect(err).To(HaveOccurred())
		printed, err := io.ReadAll(stderr)
		Expect(err).NotTo(HaveOccurred())
		Expect(string(printed)).To(Equal(`Warning: spec.steps[0].run.command[2]: the shell would run what is in $(PARAM_REF) as code: write "$PARAM_REF" there instead
The WorkOrder "typo" is invalid: 
* spec.steps[1].dependsOn[0]: Invalid value: step "test" depends on "biuld", and there is no such step (did you mean "build"?)
* spec.steps[1].dependsOn[1]: Invalid value: step "test" depends on "package", and there is no such step
`))
	})

	It("is taken while the webhook is down; then it stalls, can be edited, and goes on once it is mended", func(ctx SpecContext) {
		stop := start(port, usualLifetimes)
		Eventually(ctx, func() error { return ask(ctx, circle) }).Should(refused())
		stop()
		order := submit(ctx, circle)
		Expect(patch(ctx, order, `{"metadata": {"finalizers": ["example.com/kept"]}}`)).To(Succeed())

		start(port, usualLifetimes)
		Eventually(ctx, func() error { return ask(ctx, circle) }).Should(refused())
		come(ctx, order, v1alpha1.WorkOrderPending, v1alpha1.ReasonInvalidSpec, "a → b → a") // So its status could be written.
		Expect(patch(ctx, order, `{"metadata": {"labels": {"team": "blue"}}}`)).To(Succeed())
		Expect(patch(ctx, order, `{"spec": {"suspend": true}}`)).To(Succeed())
		Expect(patch(ctx, order, `{"spec": {"suspend": false, "rewinds": [{"step": "zebra", "toEpoch": 2}]}}`)).To(refused("spec.rewinds[0].step"))
		Expect(patch(ctx, order, `{"metadata": {"finalizers": null}}`)).To(Succeed())
		Expect(patch(ctx, order, `{"spec": {"suspend": false, "steps": [{"name": "a", "wait": {"seconds": 0}}, {"name": "b", "dependsOn": ["a"], "wait": {"seconds": 0}}]}}`)).To(Succeed())
		come(ctx, order, v1alpha1.WorkOrderSucceeded, "", "")
		Expect(patch(ctx, order, `{"spec": {"strategy": null}}`)).To(refused("dependsOn belongs to a Graph"))
	})

	It("can be deleted", func(ctx SpecContext) {
		order := submit(ctx, circle) // Nobody answers yet.
		Expect(patch(ctx, order, `{"metadata": {"finalizers": ["example.com/kept"]}}`)).To(Succeed())
		start(port, usualLifetimes)
		Eventually(ctx, func() error { return ask(ctx, circle) }).Should(refused())
		Expect(cluster.Delete(ctx, order)).To(Succeed())
		// Not even what makes it worse is looked at now, so that whoever holds it can let go in any way.
		Expect(patch(ctx, order, `{"metadata": {"finalizers": null}, "spec": {"rewinds": [{"step": "zebra", "toEpoch": 2}]}}`)).To(Succeed())
		Eventually(ctx, func() error { return cluster.Get(ctx, client.ObjectKeyFromObject(order), order) }).Should(MatchError(apierrors.IsNotFound, "gone"))
	})

	It("is not spoilt by an edit", func(ctx SpecContext) {
		start(port, usualLifetimes)
		Eventually(ctx, func() error { return ask(ctx, circle) }).Should(refused())
		order := submit(ctx, `{spec: {suspend: true, strategy: Graph, steps: [{name: a, wait: {seconds: 0}}, {name: b, dependsOn: [a], wait: {seconds: 0}}]}}`)
		Expect(patch(ctx, order, `{"spec": {"steps": [{"name": "a", "dependsOn": ["b"], "wait": {"seconds": 0}}, {"name": "b", "dependsOn": ["a"], "wait": {"seconds": 0}}]}}`)).
			To(refused("a → b → a"))
		come(ctx, order, v1alpha1.WorkOrderSuspended, "", "")
	})
})

var _ = Describe("The largest order", func() {
	It("is looked at too", func(ctx SpecContext) {
		port := freePort()
		install(ctx, port)
		start(port, usualLifetimes)
		Eventually(ctx, func() error { return ask(ctx, circle) }).Should(refused())
		large := v1alpha1.WorkOrderSpec{Strategy: v1alpha1.StrategyGraph, Suspend: true}
		for i := range 256 {
			step := v1alpha1.Step{Name: fmt.Sprint("s", i), When: `"` + strings.Repeat("x", 20) + `" != ""`, Run: &v1alpha1.Run{Image: "i", Args: []string{strings.Repeat("x", 750)}}}
			for j := max(0, i-16); j < i; j++ {
				step.DependsOn = append(step.DependsOn, fmt.Sprint("s", j))
			}
			large.Steps = append(large.Steps, step)
		}
		encoded, err := json.Marshal(map[string]any{"spec": large})
		Expect(err).NotTo(HaveOccurred())
		Expect(len(encoded)).To(BeNumerically(">", 220<<10))
		order := submit(ctx, string(encoded))
		Expect(patch(ctx, order, `{"spec": {"rewinds": [{"step": "zebra", "toEpoch": 2}]}}`)).To(refused("spec.rewinds[0].step"))
		large.Steps[0].DependsOn = []string{"s255"}
		encoded, err = json.Marshal(map[string]any{"spec": large})
		Expect(err).NotTo(HaveOccurred())
		Expect(patch(ctx, order, string(encoded))).To(refused("the steps depend on each other in a circle"))
	})
})

var _ = Describe("The certificates", func() {
	It("are renewed while the webhook is at work, and never distrusted", func(ctx SpecContext) {
		port := freePort()
		install(ctx, port)
		// A certificate every seven seconds, an authority every twenty.
		start(port, lifetimes{authority: 40 * time.Second, certificate: 10 * time.Second})
		Eventually(ctx, func() error { return ask(ctx, circle) }).Should(refused())
		certificates, authorities := map[string]bool{}, map[string]bool{}
		for deadline := time.Now().Add(90 * time.Second); len(certificates) < 5 || len(authorities) < 2; {
			Expect(time.Now()).To(BeTemporally("<", deadline), "%d certificates of %d authorities so far", len(certificates), len(authorities))
			certificate, err := shown(bundle(ctx), port)
			Expect(err).NotTo(HaveOccurred())
			certificates[string(certificate.Raw)], authorities[string(certificate.AuthorityKeyId)] = true, true
			Expect(ask(ctx, circle)).To(refused())
			select {
			case <-ctx.Done():
				Fail(ctx.Err().Error())
			case <-time.After(50 * time.Millisecond):
			}
		}
	})

	It("are made anew when somebody removes them, from the Secret or from the configuration", func(ctx SpecContext) {
		port := freePort()
		install(ctx, port)
		start(port, usualLifetimes)
		Eventually(ctx, func() error { return ask(ctx, circle) }).Should(refused())
		first, err := shown(bundle(ctx), port)
		Expect(err).NotTo(HaveOccurred())

		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: systemNamespace, Name: name}}
		Expect(cluster.Patch(ctx, secret, client.RawPatch(apitypes.MergePatchType, []byte(`{"data": null}`)))).To(Succeed())
		Eventually(ctx, func(g Gomega) {
			second, err := shown(bundle(ctx), port)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(second.Raw).NotTo(Equal(first.Raw))
		}).Should(Succeed())

		for _, configuration := range manifests("../../config/webhook/configuration.yaml") {
			direct(configuration, port)
			stored := configuration.DeepCopy()
			Expect(cluster.Get(ctx, client.ObjectKeyFromObject(stored), stored)).To(Succeed())
			configuration.SetResourceVersion(stored.GetResourceVersion())
			Expect(cluster.Update(ctx, configuration)).To(Succeed()) // As kubectl replace does it.
		}
		Eventually(ctx, func() error { _, err := shown(bundle(ctx), port); return err }).Should(Succeed())
		Eventually(ctx, func() error { return ask(ctx, circle) }).Should(refused())
	})

	It("are the same in all replicas, though each of them would make them", func(ctx SpecContext) {
		ports := []int{freePort(), freePort(), freePort()}
		install(ctx, ports[0])
		for _, port := range ports {
			start(port, usualLifetimes)
		}
		Eventually(ctx, func(g Gomega) {
			trusted := bundle(ctx)
			first, err := shown(trusted, ports[0])
			g.Expect(err).NotTo(HaveOccurred())
			for _, port := range ports[1:] {
				other, err := shown(trusted, port)
				g.Expect(err).NotTo(HaveOccurred())
				g.Expect(other.Raw).To(Equal(first.Raw))
			}
		}).Should(Succeed())
	})

	It("are kept by a replica that does not lead, too", func(ctx SpecContext) {
		port := freePort()
		install(ctx, port)
		other, hour, now := "another", int32(3600), metav1.NowMicro()
		lease := &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Namespace: systemNamespace, Name: "the-lead"},
			Spec:       coordinationv1.LeaseSpec{HolderIdentity: &other, LeaseDurationSeconds: &hour, AcquireTime: &now, RenewTime: &now},
		}
		Expect(cluster.Create(ctx, lease)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(cluster.Delete(ctx, lease)).To(Succeed()) })
		start(port, usualLifetimes, func(o *ctrl.Options) {
			o.LeaderElection, o.LeaderElectionID, o.LeaderElectionNamespace = true, lease.Name, lease.Namespace
		})
		Eventually(ctx, func() error { return ask(ctx, circle) }).Should(refused())
		order := submit(ctx, sound)
		Expect(cluster.Get(ctx, client.ObjectKeyFromObject(order), order)).To(Succeed())
		Expect(order.Status.ObservedGeneration).To(BeEquivalentTo(-1), "whoever leads looks at orders")
	})

	It("hold nothing up where the right to keep them is missing, and are made once it is there", func(ctx SpecContext) {
		port := freePort()
		install(ctx, port)
		binding := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: systemNamespace, Name: name}}
		Expect(cluster.Get(ctx, client.ObjectKeyFromObject(binding), binding)).To(Succeed())
		Expect(cluster.Delete(ctx, binding)).To(Succeed())
		start(port, usualLifetimes)
		order := submit(ctx, `{spec: {steps: [{name: a, wait: {seconds: 0}}]}}`)
		come(ctx, order, v1alpha1.WorkOrderSucceeded, "", "")
		Expect(ask(ctx, circle)).To(Succeed())

		binding.ResourceVersion = ""
		Expect(cluster.Create(ctx, binding)).To(Succeed())
		DeferCleanup(func(ctx SpecContext) { Expect(client.IgnoreNotFound(cluster.Delete(ctx, binding))).To(Succeed()) })
		Eventually(ctx, func() error { return ask(ctx, circle) }).Should(refused())
	})

	It("hold nothing up where the Secret or the configuration is missing", func(ctx SpecContext) {
		port := freePort()
		start(port, usualLifetimes)
		order := submit(ctx, `{spec: {steps: [{name: a, wait: {seconds: 0}}]}}`)
		come(ctx, order, v1alpha1.WorkOrderSucceeded, "", "")
		install(ctx, port)
		Eventually(ctx, func() error { return ask(ctx, circle) }).Should(refused())
	})

	DescribeTable("take rights to nothing but what they are kept in", func(ctx SpecContext, allowed bool, verb, group, resource, namespace, name string) {
		install(ctx, freePort())
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User:               operatorUser,
			Groups:             []string{"system:serviceaccounts", "system:serviceaccounts:" + systemNamespace, "system:authenticated"},
			ResourceAttributes: &authorizationv1.ResourceAttributes{Verb: verb, Group: group, Resource: resource, Namespace: namespace, Name: name},
		}}
		Expect(cluster.Create(ctx, review)).To(Succeed())
		Expect(review.Status.Allowed).To(Equal(allowed), "%+v", review.Status)
	},
		Entry("reading the Secret", true, "get", "", "secrets", systemNamespace, name),
		Entry("writing the Secret", true, "patch", "", "secrets", systemNamespace, name),
		Entry("not making it", false, "create", "", "secrets", systemNamespace, ""),
		Entry("not removing it", false, "delete", "", "secrets", systemNamespace, name),
		Entry("not reading another one", false, "get", "", "secrets", systemNamespace, "another"),
		Entry("not reading one of its name elsewhere", false, "get", "", "secrets", "default", name),
		Entry("not listing all of them", false, "list", "", "secrets", systemNamespace, ""),
		Entry("not watching all of them", false, "watch", "", "secrets", "", ""),
		Entry("writing the configuration", true, "patch", "admissionregistration.k8s.io", "validatingwebhookconfigurations", "", name),
		Entry("not another one", false, "patch", "admissionregistration.k8s.io", "validatingwebhookconfigurations", "", "another"),
		Entry("not listing all of them", false, "list", "admissionregistration.k8s.io", "validatingwebhookconfigurations", "", ""),
		Entry("no mutating one", false, "patch", "admissionregistration.k8s.io", "mutatingwebhookconfigurations", "", name),
	)
})
