package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"workorders.dev/operator/api/v1alpha1"
)

// stepImage is the simulated step, hack/step.
const stepImage = "workorders.dev/step:dev"

// step is a simulated step with those flags.
func step(name string, flags ...string) v1alpha1.Step {
	return v1alpha1.Step{Name: name, Run: &v1alpha1.Run{Image: stepImage, Args: flags}}
}

func submit(ctx context.Context, namespace, name string, spec v1alpha1.WorkOrderSpec) *v1alpha1.WorkOrder {
	GinkgoHelper()
	order := &v1alpha1.WorkOrder{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: spec}
	Expect(cluster.Create(ctx, order)).To(Succeed())
	return order
}

// sample is the WorkOrder of a file in config/samples.
func sample(file string) *v1alpha1.WorkOrder {
	GinkgoHelper()
	content, err := os.ReadFile(filepath.Join("../../config/samples", file))
	Expect(err).NotTo(HaveOccurred())
	order := &v1alpha1.WorkOrder{}
	Expect(yaml.UnmarshalStrict(content, order)).To(Succeed())
	return order
}

// reread is an assertion's view of an order: its newest status.
func reread(ctx context.Context, order *v1alpha1.WorkOrder) func(Gomega) v1alpha1.WorkOrderStatus {
	return func(g Gomega) v1alpha1.WorkOrderStatus {
		fresh := &v1alpha1.WorkOrder{}
		g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(order), fresh)).To(Succeed())
		fresh.DeepCopyInto(order)
		return fresh.Status
	}
}

// expectPhase waits until an order is in a phase.
func expectPhase(ctx context.Context, order *v1alpha1.WorkOrder, phase v1alpha1.WorkOrderPhase) {
	GinkgoHelper()
	Eventually(ctx, reread(ctx, order)).Should(HaveField("Phase", phase))
}

// expectStep waits until a step of an order matches.
func expectStep(ctx context.Context, order *v1alpha1.WorkOrder, name string, matcher OmegaMatcher) {
	GinkgoHelper()
	Eventually(ctx, func(g Gomega) v1alpha1.StepStatus {
		for _, s := range reread(ctx, order)(g).Steps {
			if s.Name == name {
				return s
			}
		}
		return v1alpha1.StepStatus{}
	}).Should(matcher)
}

// statusOf is the status of a step as it was last read.
func statusOf(order *v1alpha1.WorkOrder, name string) v1alpha1.StepStatus {
	GinkgoHelper()
	for _, s := range order.Status.Steps {
		if s.Name == name {
			return s
		}
	}
	Fail("the status has no step " + name)
	return v1alpha1.StepStatus{}
}

// podOf is the Pod of a step's present epoch.
func podOf(ctx context.Context, order *v1alpha1.WorkOrder, name string) *corev1.Pod {
	GinkgoHelper()
	pod := &corev1.Pod{}
	key := client.ObjectKey{Namespace: order.Namespace, Name: statusOf(order, name).PodName}
	Eventually(ctx, func() error { return cluster.Get(ctx, key, pod) }).Should(Succeed())
	return pod
}

// expectRunning waits until the container of a step runs.
func expectRunning(ctx context.Context, order *v1alpha1.WorkOrder, name string) *corev1.Pod {
	GinkgoHelper()
	expectStep(ctx, order, name, HaveField("PodName", Not(BeEmpty())))
	pod := podOf(ctx, order, name)
	Eventually(ctx, func(g Gomega) corev1.PodPhase {
		g.Expect(cluster.Get(ctx, client.ObjectKeyFromObject(pod), pod)).To(Succeed())
		return pod.Status.Phase
	}).Should(Equal(corev1.PodRunning))
	return pod
}

// ledger is a file on the node to which every step appends a line when it starts: the oracle for what ran, as nothing
// of the operator is between it and the containers.
type ledger struct{ file string }

// newLedger makes a volume whose directory is on this machine, and a claim for it in the namespace.
func newLedger(ctx context.Context, namespace string) *ledger {
	GinkgoHelper()
	directory := GinkgoT().TempDir()
	for path := directory; path != os.TempDir() && path != "/"; path = filepath.Dir(path) {
		Expect(os.Chmod(path, 0o777)).To(Succeed()) // Steps are not root.
	}
	size := corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Mi")}
	none := ""
	volume := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: namespace},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:                      size,
			AccessModes:                   []corev1.PersistentVolumeAccessMode{corev1.ReadWriteMany},
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			PersistentVolumeSource:        corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: directory}},
		},
	}
	Expect(cluster.Create(ctx, volume)).To(Succeed())
	DeferCleanup(func(ctx SpecContext) { Expect(client.IgnoreNotFound(cluster.Delete(ctx, volume))).To(Succeed()) })
	Expect(cluster.Create(ctx, &corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "ledger"},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes:      volume.Spec.AccessModes,
			Resources:        corev1.VolumeResourceRequirements{Requests: size},
			StorageClassName: &none,
			VolumeName:       volume.Name,
		},
	})).To(Succeed())
	return &ledger{file: filepath.Join(directory, "starts")}
}

// keep makes the run steps of a spec write into the ledger.
func (l *ledger) keep(spec *v1alpha1.WorkOrderSpec) {
	if spec.Pod == nil {
		spec.Pod = &v1alpha1.PodSettings{}
	}
	spec.Pod.Volumes = append(spec.Pod.Volumes, v1alpha1.Volume{
		Name:                  "ledger",
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "ledger"},
	})
	for i := range spec.Steps {
		if run := spec.Steps[i].Run; run != nil {
			run.VolumeMounts = append(run.VolumeMounts, corev1.VolumeMount{Name: "ledger", MountPath: "/ledger"})
			run.Args = append(run.Args, "--start-ledger=/ledger/starts")
		}
	}
}

// starts are the attempts that started, as "step/epoch", in the order in which they did.
func (l *ledger) starts() []string {
	GinkgoHelper()
	content, err := os.ReadFile(l.file)
	if os.IsNotExist(err) {
		return nil
	}
	Expect(err).NotTo(HaveOccurred())
	var starts []string
	for line := range strings.Lines(string(content)) {
		_, attempt, _ := strings.Cut(strings.Fields(line)[0], "/")
		starts = append(starts, attempt)
	}
	return starts
}
