package reliability

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
	"workorders.dev/operator/hack/reliability/proxy"
)

// guard is a piece of the operator that keeps a law, the change that takes it away, and a case that fails without it.
type guard struct {
	name    string
	changes []change
	// by is the case, as its own row calls it, and run does it. For what the operator itself has no part in, it is a test of
	// the package that has the guard, and run is nil.
	by  string
	run func(ctx context.Context, l *lane) []string
	// law is what the case must find broken: the beginning of a violation.
	law       string
	operators int
}

// guards are those for which there is a case here; the model in controllers/internal/model has others.
func guards() []guard {
	return slices.Concat(guardsOfTheLog(), guardsOfPods(), guardsOfGraphs(), guardsOfReaders())
}

// guardsOfTheLog are those that keep the log and the status together, and know a Pod for the order's own.
func guardsOfTheLog() []guard {
	return []guard{
		{
			name: "the resourceVersion on the save", operators: 2, by: lateSave, run: late(lateSave), law: "I8: ",
			changes: []change{{"controllers/save.go",
				`patch := []operation{{Op: "add", Path: "/metadata/resourceVersion", Value: version}}`, `_, patch := version, []operation(nil)`}},
		},
		{
			name: "a save is made again onto the same ground only", operators: 2, by: lateSave, run: late(lateSave), law: "I8: ",
			changes: []change{{"controllers/save.go", `!sameGround(live, order) || try == saveTries`, `try == saveTries`}},
		},
		{
			name: "the event is recorded before the status is saved", by: "R1/patch workorders/status#3/kill-after", law: "I7: the log is broken",
			run: func(ctx context.Context, l *lane) []string {
				_, violations := travel(ctx, l, proxy.At("patch workorders/status", 3, proxy.KillAfter(l.operator().kill)))
				return violations
			},
			changes: []change{
				{"controllers/workorder_controller.go", "r.record(ctx, order, next)", "r.saveFirst(ctx, order, next)"},
				{"controllers/workorder_controller.go", "r.save(ctx, order, next)", "r.record(ctx, order, next)"},
				{"controllers/workorder_controller.go", "// Options are", "func (r *WorkOrderReconciler) saveFirst(ctx context.Context, " +
					"order *v1alpha1.WorkOrder, next *plan.Transition) error { return r.save(ctx, order, next) }\n\n// Options are"},
			},
		},
		{
			name: "a Pod must be owned by the order", by: "R13/a Pod with no owner/Succeeded", law: "R13: the forged Pod was taken",
			run:     withForgedPod(forgeries["no owner"], corev1.PodSucceeded),
			changes: []change{{"controllers/steppod/report.go", "|| !Owned(pod, order.UID) ||", "||"}},
		},
		{
			name: "a Pod that has the name and is another's is no success", by: "R13/a Pod with no owner/Pending", law: "R13: the forged Pod was not complained",
			run:     withForgedPod(forgeries["no owner"], corev1.PodPending),
			changes: []change{{"controllers/pods.go", "readErr != nil || exists {", "readErr != nil || exists || true {"}},
		},
		{
			name: "the name of a Pod is a function of its attempt", by: "R3/create pods#2/old-pods", law: "I1: ",
			run: func(ctx context.Context, l *lane) []string {
				_, violations := travel(ctx, l, past{write: 6, before: 4, resources: []string{pods}, during: 10 * blind}.restart(l))
				return violations
			},
			changes: []change{
				{"controllers/steppod/build.go", "Name:      Name(order.Name, order.UID, step, epoch),",
					`Name: Name(order.Name, order.UID, step, epoch) + "-" + Digest(6, []byte(time.Now().String())),`},
				{"controllers/steppod/build.go", "\t\"strings\"\n", "\t\"strings\"\n\t\"time\"\n"},
				{"controllers/steppod/report.go", "|| pod.Name != Name(order.Name, order.UID, step, epoch)", ""},
			},
		},
		{
			name: "the order is read live before anything is done to Pods", by: cleanedUp, run: afterCleanUp, law: "I1: ",
			changes: []change{{"controllers/act.go", "if !saved && !effects.Empty() {", "if !saved && len(effects.Create) > 1000 {"}},
		},
	}
}

// guardsOfPods are those that keep a Pod's result and its name.
func guardsOfPods() []guard {
	return []guard{
		{
			name: "a finalizer holds a Pod until its result is saved", by: "R4/a-pod-in-a-gap", run: podInAGap, law: "I1: ",
			changes: []change{{"controllers/steppod/build.go", "pod.Finalizers = []string{Finalizer}", "pod.Finalizers = nil"}},
		},
		{
			name: "that finalizer goes after the save", by: deletedBetween, run: deletedBeforeTheSave, law: "I1: ",
			changes: []change{{"controllers/workorder_controller.go", "	if next != nil {\n\t\tif err := r.record(",
				"	if next != nil {\n\t\tpod := &corev1.Pod{}\n" +
					"\t\tif result := next.Event.Result; result != nil && r.Get(ctx, types.NamespacedName{Namespace: order.Namespace, Name: result.PodName}, pod) == nil {\n" +
					"\t\t\t_, _ = release(ctx, r.Client, pod.Namespace, pod.Name, pod.UID)\n\t\t}\n\t\tif err := r.record("}},
		},
		{
			name: "what a step is to do is compared with what it was started for", by: editedMeanwhile, run: editedWhileItRuns, law: "edited: ",
			changes: []change{
				{"controllers/steppod/spechash.go", "saved == SpecHash(step, needs)", "saved != \"\""},
				// Otherwise the Pod itself is known to be of what the step was before.
				{"controllers/plan/turn.go", "steppod.Differ(pod.SpecHash, step.SpecHash)", "steppod.Differ(pod.SpecHash, pod.SpecHash)"},
			},
		},
		{
			name: "ended Pods stay and keep their names", operators: 2, by: latePost, run: late(latePost), law: "I1: ",
			changes: []change{{"controllers/plan/effects.go", "const PodRetention = 10 * time.Minute", "const PodRetention = 0 * time.Minute"}},
		},
		{
			name: "the name of a Pod that must not be made is taken", operators: 2, by: lateAfterCancel, run: late(lateAfterCancel), law: "I3: ",
			changes: []change{{"controllers/act.go", "return r.post(ctx, order, attempt, steppod.Seal(order, attempt.Step, attempt.Epoch))",
				"r.memory.refuse(client.ObjectKeyFromObject(order), order.UID, attempt, " +
					"plan.Refusal{Generation: order.Generation, Seal: true}, r.Clock.Now())\n\treturn true, nil"}},
		},
		{
			name: "a digest of an unknown version is no edit", by: upgrade, run: thereAndBack, law: "it ended as",
			changes: []change{{"controllers/steppod/spechash.go", "!strings.HasPrefix(saved, hashVersion) ||", "strings.HasPrefix(hashVersion, saved) ||"}},
		},
	}
}

// deletedBetween is the case of a Pod that somebody deletes while its result is not saved.
const deletedBetween = "R10/ended/deleted before its result is saved"

// deletedBeforeTheSave has the operator die with the first step's result in its hand, after somebody has deleted the Pod.
func deletedBeforeTheSave(ctx context.Context, l *lane) []string {
	made := make(chan struct{})
	var order *v1alpha1.WorkOrder
	var failure error
	l.proxy().Begin(proxy.At("create progressevents", 2, proxy.KillBefore(func() {
		<-made
		pod := steppod.Name(order.Name, order.UID, order.Spec.Steps[0].Name, 1)
		failure = l.cluster.Delete(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: l.namespace, Name: pod}}, client.GracePeriodSeconds(0))
		l.operator().kill()
	})))
	order, err := l.submit(ctx, journey())
	if err != nil {
		return []string{err.Error()}
	}
	close(made)
	violations := l.finish(ctx, order)
	if failure != nil || len(struck(l.proxy().Calls())) == 0 {
		violations = append(violations, fmt.Sprint("nothing was deleted: the case shows nothing: ", failure))
	}
	return append(violations, succeeded(l, []*v1alpha1.WorkOrder{order})...)
}

// editedMeanwhile is the case of a step that is edited while it runs.
const editedMeanwhile = "R18/a step is edited while it runs"

// editedWhileItRuns says whether the result is then that of what the step was before.
func editedWhileItRuns(ctx context.Context, l *lane) []string {
	l.proxy().Begin(nil)
	order, err := l.submit(ctx, v1alpha1.WorkOrderSpec{Steps: []v1alpha1.Step{step("only", "--duration=2s", "--output=old")}})
	if err == nil {
		err = l.comesTo(ctx, order, 1)
	}
	if err == nil {
		err = edit(ctx, l, order, func(spec *v1alpha1.WorkOrderSpec) { spec.Steps[0].Run.Args = []string{"--output=new"} })
	}
	if err != nil {
		return []string{err.Error()}
	}
	violations := l.finish(ctx, order)
	if newest := l.seen.newest(order.UID); newest.Status.Steps[0].Output != "new" {
		violations = append(violations, fmt.Sprintf("edited: %q is the result of what the step was before", newest.Status.Steps[0].Output))
	}
	return violations
}

// onRoundabout is a case of R1: the graph that is rewound meets with a fault that changes nothing for it.
const onRoundabout = "R1/graph/patch workorders/status#9/refuse"

// goRound does that case.
func goRound(ctx context.Context, l *lane) []string {
	_, violations := roundabout.travel(ctx, l, proxy.At("patch workorders/status", 9, proxy.Refuse()))
	return violations
}

// guardsOfGraphs are those that came with graphs and with rewinds that a spec asks for.
func guardsOfGraphs() []guard {
	return []guard{
		{
			name: "what is rewound is stopped first", by: onRoundabout, run: goRound, law: "I2: ",
			changes: []change{{"controllers/plan/rerun.go", "hasPod(step) && r.reached[step.Name] {", "hasPod(step) && r.reached[step.Name] && r.causes == nil {"}},
		},
		{
			name: "a rewind goes back to where it all began", by: onRoundabout, run: goRound, law: "I3: event ",
			changes: []change{{"controllers/plan/rerun.go", "rewind.SupersededAfter = min(rewind.SupersededAfter, step.StartSequence-1)", "rewind.SupersededAfter += 0"}},
		},
		{
			name: "a step waits for all that it needs", by: onRoundabout, run: goRound, law: "I4: ",
			changes: []change{{"controllers/plan/outlook.go", "entry == nil || !done(entry)", "entry == nil"}},
		},
		{
			name: "finally waits for all the rest", by: onRoundabout, run: goRound, law: "I4: notify",
			changes: []change{
				{"controllers/plan/outlook.go", "return o.over", "return o.over || n.finally"},
				// What of finally has started too early is otherwise rewound, again and again.
				{"controllers/plan/rerun.go", "(step.Outdated || early) && !finished", "(step.Outdated || early && finished) && !finished"},
			},
		},
		{
			name: "no more steps run at once than may", by: onRoundabout, run: goRound, law: "I4: ",
			changes: []change{{"controllers/plan/consequences.go", "return int(*d.order.Spec.Parallelism) - count(", "return len(d.steps) - count("}},
		},
		{
			name: "the name of a Pod that a rewind has outrun is taken", operators: 2, by: lateAfterRewind, run: late(lateAfterRewind), law: "I3: ",
			changes: []change{{"controllers/act.go", "return r.post(ctx, order, attempt, steppod.Seal(order, attempt.Step, attempt.Epoch))",
				"r.memory.refuse(client.ObjectKeyFromObject(order), order.UID, attempt, " +
					"plan.Refusal{Generation: order.Generation, Seal: true}, r.Clock.Now())\n\treturn true, nil"}},
		},
	}
}

// guardsOfReaders are those of whoever reads a log.
func guardsOfReaders() []guard {
	return []guard{
		{
			name: "readers follow the chain", by: "TestAnEventHappenedIfTheHeadLeadsToIt", law: "when an event was left by a race that was lost: ",
			changes: []change{{"controllers/progress/chain.go", "	slices.Reverse(chain.Events)\n",
				"	if chain.Events = nil; head != \"\" {\n\t\tfor i := range events {\n\t\t\tchain.Events = append(chain.Events, &events[i])\n\t\t}\n\t}\n"}},
		},
		{
			name: "readers take no other order's events", by: "TestAnEventHappenedIfTheHeadLeadsToIt", law: "when the parent belongs to another order: ",
			changes: []change{{"controllers/progress/chain.go", "if events[i].Spec.WorkOrder.UID == uid {", "if uid != \"\" {"}},
		},
	}
}

// mostTries is how often a case is tried without a guard: what would then go wrong, goes wrong only if a Pod is quick enough.
const mostTries = 3

// missed takes a guard away and runs its case, and says so if that finds nothing.
func (g *guard) missed(ctx context.Context) []string {
	directory, err := os.MkdirTemp("", "reliability-")
	if err != nil {
		return []string{err.Error()}
	}
	defer os.RemoveAll(directory)
	find := g.testFails
	if g.run != nil {
		find = g.caseFails
		if found, err := g.try(ctx, ""); err != nil || len(found) > 0 {
			return append([]string{fmt.Sprintf("with this guard %s finds something too (%v)", g.by, err)}, found...)
		}
	}
	var found []string
	for range mostTries {
		if found, err = find(ctx, directory); err != nil {
			return []string{err.Error()}
		}
		if slices.ContainsFunc(found, func(violation string) bool { return strings.HasPrefix(violation, g.law) }) {
			return nil
		}
	}
	return []string{fmt.Sprintf("without this guard %s finds %q, and not what begins with %q", g.by, found, g.law)}
}

// TestWhatIsToBeChangedIsThere needs no API server: a change that fits the source no more would else be found out in a full run
// only.
func TestWhatIsToBeChangedIsThere(t *testing.T) {
	changes := map[string][]change{"a later operator": laterOperator(), "a forgetful one": forgetful(), "one with a wrong clock": wrongClock()}
	for _, g := range guards() {
		changes[g.name] = g.changes
	}
	for name, list := range changes {
		if _, err := changed(list); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// testFails is what the test of the package finds wrong when the guard is gone.
func (g *guard) testFails(ctx context.Context, directory string) (found []string, err error) {
	overlay, err := overlaid(directory, g.changes)
	if err != nil {
		return nil, err
	}
	run := exec.CommandContext(ctx, "go", "test", overlay, "-run=^"+g.by+"$", "./"+filepath.Dir(g.changes[0].file))
	run.Dir = "../.."
	said, err := run.CombinedOutput()
	if err == nil || !strings.Contains(string(said), "--- FAIL: "+g.by) {
		return []string{string(said)}, nil
	}
	for line := range strings.Lines(string(said)) {
		_, what, _ := strings.Cut(strings.TrimSpace(line), ".go:")
		_, what, _ = strings.Cut(what, ": ")
		found = append(found, what)
	}
	return found, nil
}

// caseFails is what the case finds wrong with an operator without the guard.
func (g *guard) caseFails(ctx context.Context, directory string) ([]string, error) {
	binary, err := buildVariant(ctx, directory, g.changes...)
	if err != nil {
		return nil, err
	}
	return g.try(ctx, binary)
}

// try is what the case finds wrong with an operator; with the one that there is, if binary is empty.
func (g *guard) try(ctx context.Context, binary string) ([]string, error) {
	l, err := newLane(ctx, setup{binary: binary, operators: g.operators, env: oldLists})
	if err != nil {
		return nil, err
	}
	defer l.close()
	return g.run(ctx, l), nil
}

// unguarded are the cases of R23: a guard each.
func unguarded(context.Context) (*row, []trial) {
	r := newRow("R23", "guards removed")
	r.ownLanes, r.lanes = true, 3 // Most of a case is the compiler.
	var trials []trial
	for _, g := range guards() {
		trials = append(trials, trial{name: "R23/" + g.name, run: func(ctx context.Context, _ *lane) []string {
			missed := g.missed(ctx)
			if len(missed) == 0 {
				r.note("without %q fails %s", g.name, g.by)
			}
			return missed
		}})
	}
	return r, trials
}
