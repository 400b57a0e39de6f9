package reliability

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/hack/reliability/proxy"
	"workorders.dev/operator/hack/reliability/report"
)

// How long a slow answer takes, and one that nobody waits for: a turn may take a minute.
var (
	slowAnswer = either(5*time.Second, 300*time.Millisecond)
	noAnswer   = 70 * time.Second
)

// ailing is an API server of whose answers three in ten are wrong: too many requests, a time-out, and a time-out of what
// was done all the same. One in ten is slow, and in a full run one in five hundred is not waited for.
func ailing(seed uint64) proxy.Script {
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(seed, 6))
	return func(call *proxy.Call) proxy.Fault {
		if call.Class != proxy.Write && call.Class != proxy.Read && call.Class != proxy.Watch {
			return proxy.Fault{}
		}
		mu.Lock()
		defer mu.Unlock()
		if report.Full() && random.IntN(500) == 0 {
			return proxy.Slow(noAnswer)
		}
		switch random.IntN(10) {
		case 0:
			return proxy.Answer(429)
		case 1:
			return proxy.Answer(504)
		case 2:
			return proxy.Disown(504)
		case 3:
			return proxy.Slow(slowAnswer)
		}
		return proxy.Fault{}
	}
}

// out is an API server that cannot be reached.
func out(*proxy.Call) proxy.Fault { return proxy.Refuse() }

// succeeded says which orders did not.
func succeeded(l *lane, orders []*v1alpha1.WorkOrder) (violations []string) {
	for _, order := range orders {
		var s v1alpha1.WorkOrderStatus
		for _, state := range l.seen.history(order.UID) {
			s = state.Status
		}
		if s.Phase != v1alpha1.WorkOrderSucceeded || s.Rewinds != 2 {
			violations = append(violations, fmt.Sprintf("order %s is %s after %d rewinds", order.Name, s.Phase, s.Rewinds))
		}
	}
	return violations
}

// failing is how many turns of an order may fail in a while: the pauses between them double, from 20 ms to half a minute.
func failing(during time.Duration) int {
	turns := 1
	for past, pause := time.Duration(0), 20*time.Millisecond; past < during; past, pause = past+pause, min(2*pause, 30*time.Second) {
		turns++
	}
	return turns
}

// mostKnocks is how often an operator may knock at a closed door while it is closed for so long: each order knocks two or three
// times a turn, and the watches do, ten times as often at most.
func mostKnocks(orders int, closed time.Duration) int32 {
	return int32((3*orders + 10) * failing(closed))
}

// tries is how often each write may be tried on average where three in ten fail, what has to be written anew because the next one
// failed included.
const tries = 2

// trouble are the cases of R6: an API server in trouble is not made worse, and the orders converge when it is over.
func trouble(context.Context) (*row, []trial) {
	r := newRow("R6", "crowds")
	size, length := either(20, 6), either(3*time.Minute, 8*time.Second)
	var trials []trial
	for _, seed := range r.seeded(either[uint64](3, 1)) {
		trials = append(trials, trial{name: fmt.Sprintf("R6/ailing/seed=%d", seed), run: func(ctx context.Context, l *lane) []string {
			l.proxy().Begin(ailing(seed))
			recovery := time.AfterFunc(length, func() { l.proxy().Run(nil) })
			defer recovery.Stop()
			orders, violations := crowd(ctx, l, size, slowly(either("18s", "100ms")))
			writes, reads := len(l.writes()), l.proxy().Count(proxy.Read)
			r.note("%d orders: %d writes and %d reads", size, writes, reads)
			if most := tries * size * fewestWrites; writes > most || reads > most {
				violations = append(violations, fmt.Sprintf("%d writes and %d reads, want at most %d", writes, reads, most))
			}
			return append(violations, succeeded(l, orders)...)
		}})
	}
	outage := either(time.Minute, 5*time.Second)
	trials = append(trials, trial{name: "R6/outage", run: func(ctx context.Context, l *lane) []string {
		l.proxy().Begin(nil)
		time.AfterFunc(time.Second, func() {
			l.proxy().Begin(out)
			l.proxy().Cut("", false)
		})
		var knocks atomic.Int32
		time.AfterFunc(time.Second+outage, func() {
			knocks.Store(int32(len(l.proxy().Calls())))
			l.proxy().Run(nil)
		})
		orders, violations := crowd(ctx, l, size, slowly(either("10s", "500ms")))
		r.note("%d orders: %d requests in an outage of %s", size, knocks.Load(), outage)
		if most := mostKnocks(size, outage); knocks.Load() > most || knocks.Load() == 0 {
			violations = append(violations, fmt.Sprintf("%d requests in an outage, want at most %d", knocks.Load(), most))
		}
		return append(violations, succeeded(l, orders)...)
	}})
	return r, trials
}
