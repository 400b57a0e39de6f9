package e2e

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/hack/reliability/node"
)

// ledger is a folder on the node in which every step appends a line to a file when it starts, and to another one when
// it ends: the oracle for what ran, as nothing of the operator is between it and the containers.
type ledger struct{ folder string }

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
	return &ledger{directory}
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
			run.Args = append(run.Args, "--start-ledger=/ledger/starts", "--end-ledger=/ledger/ends")
		}
	}
}

// starts are the attempts that started, as "step/epoch", in the order in which they did.
func (l *ledger) starts() []string {
	GinkgoHelper()
	var starts []string
	for _, words := range l.lines("starts") {
		_, attempt, _ := strings.Cut(words[0], "/")
		starts = append(starts, attempt)
	}
	return starts
}

// runs are the attempts that started, with their ends, as the laws are told of them. A run without an end goes on; or it
// was killed, which shows when the next one found itself alone.
func (l *ledger) runs() []node.Run {
	GinkgoHelper()
	// Ends are read first: one that is written meanwhile must not be without its start.
	ends := l.lines("ends")
	var runs []node.Run
	for _, words := range l.lines("starts") {
		run := node.Run{Pod: words[1], Started: timeOf(words[2])}
		name := strings.Split(words[0], "/")
		run.OrderUID, run.Step, run.Epoch = types.UID(name[0]), name[1], number(name[2])
		for _, end := range ends {
			if end[0] == words[0] && end[1] == words[1] {
				run.Ended, run.ExitCode, run.Reported = timeOf(end[2]), int32(number(end[3])), true
				message, err := strconv.Unquote(end[4])
				Expect(err).NotTo(HaveOccurred())
				run.Message = message
			}
		}
		for i := range runs {
			before := &runs[i]
			if before.OrderUID == run.OrderUID && before.Step == run.Step && before.Ended.IsZero() && words[3] == "alone" {
				before.Ended, before.ExitCode = run.Started, exitKilled
			}
		}
		runs = append(runs, run)
	}
	return runs
}

// exitKilled is what becomes of a process that is killed before it can say anything.
const exitKilled = 137

// lines are the words of each line of a file of the ledger; the fifth, if there is one, is what is left of the line.
func (l *ledger) lines(file string) [][]string {
	GinkgoHelper()
	content, err := os.ReadFile(filepath.Join(l.folder, file))
	if os.IsNotExist(err) {
		return nil
	}
	Expect(err).NotTo(HaveOccurred())
	var lines [][]string
	for line := range strings.Lines(string(content)) {
		lines = append(lines, strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 5))
	}
	return lines
}

func timeOf(text string) time.Time {
	GinkgoHelper()
	at, err := time.Parse(time.RFC3339Nano, text)
	Expect(err).NotTo(HaveOccurred())
	return at
}

func number(text string) int64 {
	GinkgoHelper()
	n, err := strconv.ParseInt(text, 10, 64)
	Expect(err).NotTo(HaveOccurred())
	return n
}
