package reliability

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
	"workorders.dev/operator/hack/reliability/laws"
)

// upgrade is the case of an operator that is replaced by a later one, and that again by the first.
const upgrade = "R16/there and back"

// The later operator digests specs in another way, and calls a rewind something that this one has never heard of.
const laterEvent = "StartedAgain"

func laterOperator() []change {
	return []change{
		{"controllers/steppod/spechash.go", `const hashVersion = "v2-"`, `const hashVersion = "v3-"`},
		{"controllers/steppod/spechash.go", "Digest(12, canonical)", "Digest(14, canonical)"},
		{"api/v1alpha1/progressevent_types.go", `EventRewound EventType = "Rewound"`, `EventRewound EventType = "` + laterEvent + `"`},
	}
}

// thereAndBack replaces the operator by the later one while an order runs, and that one by the first again.
func thereAndBack(ctx context.Context, l *lane) []string {
	directory, err := os.MkdirTemp("", "reliability-")
	if err != nil {
		return []string{err.Error()}
	}
	defer os.RemoveAll(directory)
	later, err := buildVariant(ctx, directory, laterOperator()...)
	if err != nil {
		return []string{err.Error()}
	}
	undisturbed, violations := travel(ctx, l, nil)
	l.proxy().Begin(nil)
	order, err := l.submit(ctx, slowly("3s")) // Between events 6 and 8 there has to be time to replace the operator.
	if err != nil {
		return []string{err.Error()}
	}
	first := l.operator().binary
	// Event 6 says that the wait is over and the step that fails twice runs; 8, that it runs again.
	for _, stage := range []struct {
		after  int64
		binary string
	}{{6, later}, {8, first}} {
		if err := l.reaches(ctx, order, stage.after); err != nil {
			return append(violations, err.Error())
		}
		l.operator().become(stage.binary)
	}
	violations = append(violations, l.finish(ctx, order)...)
	record, err := l.recordOf(ctx, order)
	if err != nil {
		return append(violations, err.Error())
	}
	same := calm{shape: laws.Shape(&undisturbed.Order.Status), story: laws.Story(undisturbed)}
	told := laws.Story(record)
	if !strings.Contains(told, laterEvent) {
		violations = append(violations, "the later operator said nothing: the case shows nothing:\n"+told)
	}
	if shape := laws.Shape(&record.Order.Status); shape != same.shape {
		violations = append(violations, fmt.Sprintf("it ended as\n%s\ninstead of\n%s\nits log is\n%s", shape, same.shape, told))
	}
	return violations
}

// restorable is an API server whose etcd can be put back to an earlier state.
type restorable struct {
	environment *envtest.Environment
	config      *rest.Config
	directory   string
}

func newRestorable() (*restorable, error) {
	directory, err := os.MkdirTemp("", "reliability-")
	if err != nil {
		return nil, err
	}
	r := &restorable{environment: newEnvironment(), directory: directory}
	// It waits that long for those who watch before it stops, a minute unless it is told otherwise.
	r.environment.ControlPlane.GetAPIServer().Configure().Set("request-timeout", "10s")
	r.environment.ControlPlaneStopTimeout = time.Minute
	for _, name := range []string{"etcd", "certificates"} {
		if err := os.Mkdir(filepath.Join(directory, name), 0o700); err != nil {
			return nil, err
		}
	}
	r.environment.ControlPlane.Etcd = &envtest.Etcd{DataDir: filepath.Join(directory, "etcd")}
	r.environment.ControlPlane.GetAPIServer().CertDir = filepath.Join(directory, "certificates")
	r.config, err = r.environment.Start()
	return r, err
}

func (r *restorable) stop() error {
	return errors.Join(r.environment.Stop(), os.RemoveAll(r.directory))
}

// paused does something while nothing runs.
func (r *restorable) paused(do func() error) error {
	plane := &r.environment.ControlPlane
	if err := errors.Join(plane.GetAPIServer().Stop(), plane.Etcd.Stop()); err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	if err := plane.Etcd.Start(); err != nil {
		return err
	}
	return plane.GetAPIServer().Start()
}

// snapshot keeps the state of etcd as it is now, and restore brings it back.
func (r *restorable) snapshot() error {
	return r.paused(func() error {
		return os.CopyFS(filepath.Join(r.directory, "snapshot"), os.DirFS(filepath.Join(r.directory, "etcd")))
	})
}

func (r *restorable) restore() error {
	return r.paused(func() error {
		now := filepath.Join(r.directory, "etcd")
		if err := os.RemoveAll(now); err != nil {
			return err
		}
		return os.CopyFS(now, os.DirFS(filepath.Join(r.directory, "snapshot")))
	})
}

// restored has etcd go back to a time at which orders ran, when all of them have finished. The operator is restarted then,
// as Kubernetes asks of all that watches: a watch from a version that is not there yet again hears nothing.
func restored(ctx context.Context, _ *lane) (violations []string) {
	server, err := newRestorable()
	if err != nil {
		return []string{err.Error()}
	}
	defer func() {
		if err := server.stop(); err != nil {
			violations = append(violations, err.Error())
		}
	}()
	watching, enough := context.WithCancel(ctx)
	defer enough()
	before, err := newSite(watching, server.config)
	if err != nil {
		return []string{err.Error()}
	}
	l, err := newLane(ctx, setup{site: before})
	if err != nil {
		return []string{err.Error()}
	}
	defer l.close()
	var orders []*v1alpha1.WorkOrder
	for range 10 {
		order, err := l.submit(ctx, slowly("700ms"))
		if err == nil {
			err = l.reaches(ctx, order, 1)
		}
		if err != nil {
			return []string{err.Error()}
		}
		orders = append(orders, order)
	}
	if err := l.unwatched(ctx, orders, server.snapshot); err != nil {
		return []string{err.Error()}
	}
	if violations := l.finish(ctx, orders...); len(violations) > 0 {
		return violations
	}
	enough() // The node and the witness know a future that will not have been.
	if err := server.restore(); err != nil {
		return []string{err.Error()}
	}
	l.operator().kill()
	if l.site, err = newSite(ctx, server.config); err != nil {
		return []string{err.Error()}
	}
	return l.converged(ctx, orders)
}

// unwatched does something while the server may be away. The operator stands still from before the witness has seen all until
// it sees again: a watch that begins anew does not tell of what was saved meanwhile.
func (l *lane) unwatched(ctx context.Context, orders []*v1alpha1.WorkOrder, do func() error) error {
	l.operator().freeze()
	defer l.operator().thaw()
	if err := l.abreast(ctx, orders); err != nil {
		return err
	}
	if err := do(); err != nil {
		return err
	}
	sign := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"example.com/back":"true"}}}`))
	if err := l.cluster.Patch(ctx, orders[0], sign); err != nil {
		return err
	}
	return l.abreast(ctx, orders)
}

// converged says what did not come right after the cluster had gone back in time. What ran before has run again, and
// what was told of it is gone, so that I1, I2 and I8 do not hold. I3 and I4 cannot be judged: who counts what runs has begun
// anew, and does not know what ran before the backup.
func (l *lane) converged(ctx context.Context, orders []*v1alpha1.WorkOrder) (violations []string) {
	for _, broken := range l.finish(ctx, orders...) {
		if !strings.HasPrefix(broken, "I1: ") && !strings.HasPrefix(broken, "I2: ") && !strings.HasPrefix(broken, "I3: ") &&
			!strings.HasPrefix(broken, "I4: ") && !strings.HasPrefix(broken, "I8: ") {
			violations = append(violations, broken)
		}
	}
	violations = append(violations, succeeded(l, orders)...)
	left := &corev1.PodList{}
	if err := l.cluster.List(ctx, left, client.InNamespace(l.namespace)); err != nil {
		return append(violations, err.Error())
	}
	for i := range left.Items {
		if pod := &left.Items[i]; steppod.Held(pod) || pod.DeletionTimestamp != nil {
			violations = append(violations, "Pod "+pod.Name+" is stuck")
		}
	}
	return violations
}

// versions are the cases of R16.
func versions(context.Context) (*row, []trial) {
	r := newRow("R16", "cases")
	trials := []trial{{name: upgrade, run: thereAndBack}}
	if either(true, false) {
		trials = append(trials, trial{name: "R16/etcd restored", run: restored})
	}
	return r, trials
}
