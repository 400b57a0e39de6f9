package reliability

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
	"workorders.dev/operator/hack/reliability/node"
	"workorders.dev/operator/hack/reliability/proxy"
	"workorders.dev/operator/hack/reliability/report"
)

// The resources that the operator watches.
const (
	pods       = "pods"
	workorders = "workorders"
)

// blindnesses are what the operator may be blind to.
var blindnesses = map[string][]string{"pods": {pods}, "orders": {workorders}, "both": {pods, workorders}}

// blind is for how long: long enough for a step to run, end and be followed by another.
const blind = 300 * time.Millisecond

// freezeFor freezes watches for a while.
func freezeFor(p *proxy.Proxy, resources []string, during time.Duration) {
	for _, resource := range resources {
		p.Freeze(resource)
		time.AfterFunc(during, func() { p.Thaw(resource) })
	}
}

// past is where an operator finds itself that is killed after a write: its successor begins with lists that were made
// some writes before, and with watches that say nothing for a while.
type past struct {
	write, before int
	resources     []string
	// meanwhile, if there is one, is run before the successor starts.
	meanwhile func()
	// during is for how long after its lists it is blind.
	during time.Duration
}

// restart is the script of that.
func (p past) restart(l *lane) proxy.Script {
	old := map[string][]byte{}
	var killed, blank atomic.Bool
	return func(call *proxy.Call) (fault proxy.Fault) {
		if call.Number > 0 && call.Number == max(p.write-p.before, 1) {
			fault.Before = func() {
				for _, resource := range p.resources {
					list, err := l.proxy().Snapshot(context.Background(), resource)
					old[resource] = list
					blank.Store(blank.Load() || err != nil)
				}
			}
		}
		if call.Number > 0 && call.Number == p.write && !blank.Load() { // Without old lists the case must not count.
			fault.Name, fault.Drop, fault.After = "restart-in-the-past", true, func() {
				for _, resource := range p.resources {
					l.proxy().Replay(resource, old[resource])
					l.proxy().Freeze(resource)
				}
				killed.Store(true)
				if p.meanwhile != nil {
					p.meanwhile()
				}
				l.operator().kill()
			}
		}
		if killed.Load() && call.Verb == "list" && slices.Contains(p.resources, call.Resource) {
			time.AfterFunc(p.during, func() {
				l.proxy().Replay(call.Resource, nil)
				l.proxy().Thaw(call.Resource)
			})
		}
		return fault
	}
}

// cleanedUp is the case of an operator that begins in the past, after somebody has deleted a Pod that had been let go.
const cleanedUp = "R3/cleaned up"

// afterCleanUp has the second step run, and its Pod be made, ended, saved, let go and deleted, before the operator begins
// again at a time when there was none. The sixth write makes that Pod, and the eleventh lets it go.
func afterCleanUp(ctx context.Context, l *lane) []string {
	made := make(chan struct{})
	var order *v1alpha1.WorkOrder
	var failure error
	script := past{write: 11, before: 5, resources: blindnesses["both"], during: 10 * blind, meanwhile: func() {
		<-made
		pod := steppod.Name(order.Name, order.UID, order.Spec.Steps[1].Name, 1)
		failure = l.cluster.Delete(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: l.namespace, Name: pod}}, client.GracePeriodSeconds(0))
	}}.restart(l)
	l.proxy().Begin(script)
	order, err := l.submit(ctx, journey())
	if err != nil {
		return []string{err.Error()}
	}
	close(made)
	violations := l.finish(ctx, order)
	if failure != nil || len(struck(l.writes())) == 0 {
		violations = append(violations, fmt.Sprint("nothing was cleaned up: the case shows nothing: ", failure))
	}
	return append(violations, succeeded(l, []*v1alpha1.WorkOrder{order})...)
}

// oldLists has operators list and then watch. A list can be old; a watch that begins with one is made for not being it.
var oldLists = []string{"KUBE_FEATURE_WatchListClient=false"}

// sample is each nth of a list in a quick run, and all of it in a full one.
func sample[T any](list []T, nth int) (chosen []T) {
	for i := 0; i < len(list); i += either(1, nth) {
		chosen = append(chosen, list[i])
	}
	return chosen
}

// stale are journeys on which the operator's caches are stale from each nth of the writes on.
func stale(row string, undisturbed calm, nth int) (trials []trial) {
	for i, write := range undisturbed.writes {
		for what, resources := range blindnesses {
			at := func(how string) string { return fmt.Sprintf("%s/%s/%s-%s", row, write.String(), how, what) }
			if i%nth != 0 && !askedByName(at("freeze")) && !askedByName(at("old")) {
				continue
			}
			trials = append(trials, trial{name: at("freeze"), run: func(ctx context.Context, l *lane) []string {
				freeze := proxy.Fault{Name: "freeze", After: func() { freezeFor(l.proxy(), resources, blind) }}
				record, violations := travel(ctx, l, proxy.At(write.Description(), write.Nth, freeze))
				return append(violations, undisturbed.differs(record)...)
			}}, trial{name: at("old"), run: func(ctx context.Context, l *lane) []string {
				record, violations := travel(ctx, l, past{write: write.Number, before: 4, resources: resources, during: blind}.restart(l))
				return append(violations, undisturbed.differs(record)...)
			}})
		}
	}
	return trials
}

// forgetful is an operator that remembers nothing of its own writes, on which nothing rests.
func forgetful() []change {
	return []change{
		{"main.go", "	wait := len(in) <= 1\n", "	wait := len(in) < 0\n"},
		{"controllers/memory.go", "	return len(known.writes) > 0\n", "	return false\n"},
	}
}

var _ = Describe("R3: a stale cache", func() {
	It("breaks no law: watches that are frozen at some point, and old lists after a restart", func(ctx SpecContext) {
		r := begin("R3", "write points × blindnesses")
		r.env = oldLists
		undisturbed := travelCalmly(ctx)
		r.try(ctx, append(stale("R3", undisturbed, either(1, 8)), trial{name: cleanedUp, run: afterCleanUp})...)
		if report.Full() {
			directory, err := os.MkdirTemp("", "reliability-")
			Expect(err).NotTo(HaveOccurred())
			DeferCleanup(os.RemoveAll, directory)
			r.binary, err = buildVariant(ctx, directory, forgetful()...)
			Expect(err).NotTo(HaveOccurred())
			before := r.cases
			r.try(ctx, stale("R3/without read-your-writes", undisturbed, 3)...)
			r.note("%d of them without read-your-writes, at every third write", r.cases-before)
		}
		r.note("%d write points%s", len(undisturbed.writes), either("", ", of which each 8th is taken"))
		r.end()
	}, NodeTimeout(30*time.Minute))
})

// What a watch has to say of a journey at least: an order as it is made and at each transition, and each Pod as it is
// made, bound, running, ended and released.
const (
	fewestOrderEvents = 1 + 14
	fewestPodEvents   = 5 * 9
)

var _ = Describe("R4: states that nobody saw", func() {
	It("break no law: each watch event is lost once, until the next list", func(ctx SpecContext) {
		r := begin("R4", "lost events")
		undisturbed := travelCalmly(ctx)
		trials := []trial{{name: "R4/a-pod-in-a-gap", run: podInAGap}}
		for resource, events := range map[string]int{workorders: fewestOrderEvents, pods: fewestPodEvents} {
			for nth := range events {
				trials = append(trials, trial{name: fmt.Sprintf("R4/lose %s#%d", resource, nth+1), run: func(ctx context.Context, l *lane) []string {
					// The more often its watches have ended, the longer an operator waits until it watches again: half a
					// minute in the end, which would be another hazard.
					l.restart(ctx)
					wait(ctx, stillness)
					var lost atomic.Bool
					l.proxy().Sift(func(of string, n int, _ []byte) bool {
						if of != resource || n != nth+1 {
							return false
						}
						lost.Store(true)
						// A server that loses an event does not keep the watch: the next list shows what it missed.
						time.AfterFunc(blind, func() { l.proxy().Cut(resource, true) })
						return true
					})
					record, violations := travel(ctx, l, nil)
					if !lost.Load() {
						violations = append(violations, "no event was lost: the case shows nothing")
					}
					return append(violations, undisturbed.differs(record)...)
				}})
			}
		}
		slices.SortFunc(trials, func(a, b trial) int { return strings.Compare(a.name, b.name) })
		r.try(ctx, sample(trials, 6)...)
		r.end()
	}, NodeTimeout(30*time.Minute))
})

// podInAGap has the operator blind to Pods while the first step's is made, runs, ends and is deleted.
func podInAGap(ctx context.Context, l *lane) []string {
	l.proxy().Begin(proxy.At("create pods", 1, proxy.Fault{Name: "freeze", Before: func() { l.proxy().Freeze(pods) }}))
	order, err := l.submit(ctx, journey())
	if err != nil {
		return []string{err.Error()}
	}
	var pod *corev1.Pod
	err = l.seen.await(ctx, func() bool {
		for _, pod = range l.seen.podsOf(order.UID) {
			return pod.Status.Phase == corev1.PodSucceeded
		}
		return false
	})
	if err == nil {
		err = l.cluster.Delete(ctx, pod)
	}
	if err != nil {
		return []string{err.Error()}
	}
	l.proxy().Cut(pods, true)
	l.proxy().Thaw(pods)
	violations := l.finish(ctx, order)
	if runs := l.machine.Runs(order.UID); !slices.ContainsFunc(runs, func(run node.Run) bool { return run.Pod == pod.Name }) {
		violations = append(violations, "the Pod never ran: the case shows nothing")
	}
	return violations
}

// crowd makes so many orders and waits until all are at rest.
func crowd(ctx context.Context, l *lane, size int, spec v1alpha1.WorkOrderSpec) (orders []*v1alpha1.WorkOrder, violations []string) {
	orders, err := gather(ctx, l, size, spec)
	if err != nil {
		return orders, []string{err.Error()}
	}
	return orders, l.finish(ctx, orders...)
}

// gather makes so many orders.
func gather(ctx context.Context, l *lane, size int, spec v1alpha1.WorkOrderSpec) (orders []*v1alpha1.WorkOrder, err error) {
	for range size {
		order, err := l.submit(ctx, spec)
		if err != nil {
			return orders, err
		}
		orders = append(orders, order)
	}
	return orders, nil
}

// slowly is a journey whose steps take their time.
func slowly(each string) v1alpha1.WorkOrderSpec {
	spec := journey()
	for i := range spec.Steps {
		if run := spec.Steps[i].Run; run != nil {
			run.Args = append(run.Args, "--duration="+each)
		}
	}
	return spec
}

// cutAgainAndAgain closes all watches every two seconds, until the function that it returns is called. Every third time
// the version that they are at has been compacted away as well.
func cutAgainAndAgain(p *proxy.Proxy) (stop func()) {
	done := make(chan struct{})
	var cutting sync.WaitGroup
	cutting.Go(func() {
		ticker := time.NewTicker(2 * time.Second)
		defer ticker.Stop()
		for n := 1; ; n++ {
			select {
			case <-ticker.C:
				p.Cut("", n%3 == 0)
			case <-done:
				return
			}
		}
	})
	return func() { close(done); cutting.Wait() }
}

// gaps are the cases of R5: all watches are closed every 2 s for some minutes. Work goes on meanwhile, if slowly, as who
// watches asks less and less often then; in the end it is done, at the cost of at most twice the writes of a calm run.
func gaps(context.Context) (*row, []trial) {
	r := newRow("R5", "crowds")
	size, each, during := either(50, 8), either("31s", "500ms"), either(5*time.Minute, 5*time.Second)
	return r, []trial{{name: "R5/closed every 2 s", run: func(ctx context.Context, l *lane) []string {
		l.proxy().Begin(nil)
		_, violations := crowd(ctx, l, size, slowly("1ms"))
		enough := len(l.writes())
		if enough < size*fewestWrites {
			violations = append(violations, fmt.Sprintf("%d writes in a calm run: some must have passed unseen", enough))
		}
		l.proxy().Begin(nil)
		stop := cutAgainAndAgain(l.proxy())
		orders, err := gather(ctx, l, size, slowly(each))
		wait(ctx, during)
		stop()
		meanwhile := len(l.writes())
		if err != nil {
			return append(violations, err.Error())
		}
		violations = append(violations, l.finish(ctx, orders...)...)
		r.note("%d orders, watches closed for %s: %d writes in a calm run; %d with gaps, and %d when they were over", size, during, enough, meanwhile, len(l.writes())-meanwhile)
		if accepted := 3 * size; meanwhile <= accepted { // An event, a status and a Pod each.
			violations = append(violations, "no step was over before the gaps were")
		}
		if len(l.writes()) > 2*enough {
			violations = append(violations, fmt.Sprintf("%d writes, where %d are enough", len(l.writes()), enough))
		}
		return violations
	}}}
}
