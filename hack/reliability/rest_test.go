package reliability

import (
	"context"
	"fmt"
	"time"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/hack/reliability/proxy"
	"workorders.dev/operator/hack/usage"
)

// idle waits until the operator does nothing any more, and says what it uses then.
func (p *process) idle(ctx context.Context) (usage.Usage, error) {
	const most = 0.05 // In a second.
	for quiet, last := 0, (usage.Usage{}); ; {
		wait(ctx, time.Second)
		now, err := usage.Of(p.pid())
		if err != nil || ctx.Err() != nil {
			return now, fmt.Errorf("the operator does not come to rest: %w, %w", err, ctx.Err())
		}
		if quiet++; now.CPU-last.CPU > most {
			quiet = 0
		}
		if last = now; quiet == 3 {
			return now, nil
		}
	}
}

// mebibytes is for people.
func mebibytes(bytes float64) int { return int(bytes) >> 20 }

// restful is so many orders that finish at once, and what they cost when they have. They have no Pods, as finished orders
// have none when ten minutes have passed.
func restful(ctx context.Context, l *lane, r *row, size int) []string {
	empty, err := l.operator().idle(ctx)
	if err != nil {
		return []string{err.Error()}
	}
	l.proxy().Begin(nil)
	_, violations := crowd(ctx, l, size, v1alpha1.WorkOrderSpec{Steps: []v1alpha1.Step{{Name: "pause", Wait: &v1alpha1.Wait{}}}})
	memory := []float64{empty.RSS}
	for restarts := range 3 {
		if restarts > 0 {
			l.restart(ctx)
		} else {
			l.proxy().Begin(nil)
		}
		now, err := l.operator().idle(ctx)
		if err != nil {
			return append(violations, err.Error())
		}
		memory = append(memory, now.RSS)
		violations = append(violations, noise(l.writes())...) // Those of its start, too.
		violations = append(violations, l.noisy(ctx, either(10*time.Second, time.Second))...)
		if reads := l.proxy().Count(proxy.Read); reads > mostReads {
			violations = append(violations, fmt.Sprintf("%d reads of %d finished orders", reads, size))
		}
	}
	r.note("%d MiB of memory before, %d after, %d and %d after two restarts",
		mebibytes(memory[0]), mebibytes(memory[1]), mebibytes(memory[2]), mebibytes(memory[3]))
	if most := 1.25 * max(memory[1], memory[2]); memory[3] > most { // Garbage is collected when it is, so no two processes are alike.
		violations = append(violations, fmt.Sprintf("%d MiB of memory after a second restart, want at most %d", mebibytes(memory[3]), mebibytes(most)))
	}
	return append(violations, flat(ctx, l)...)
}

// mostReads is how often an operator may ask at its start, however many orders there are: the lists, each in a few pages.
const mostReads = 30

// flat says whether memory grows while nothing happens.
func flat(ctx context.Context, l *lane) []string {
	before, err := l.operator().idle(ctx)
	if err != nil {
		return []string{err.Error()}
	}
	wait(ctx, either(time.Minute, 2*time.Second))
	after, err := usage.Of(l.operator().pid())
	if err != nil {
		return []string{err.Error()}
	}
	if grown := after.RSS - before.RSS; grown > before.RSS/10 {
		return []string{fmt.Sprintf("memory grew by %d MiB while nothing happened", mebibytes(grown))}
	}
	return nil
}

// rests are the cases of R19: what has finished costs nothing, through restarts.
func rests(context.Context) (*row, []trial) {
	r := newRow("R19", "finished orders")
	size := either(5000, 300)
	r.env = []string{"GOGC=100"} // As it is where nobody sets it.
	return r, []trial{{name: fmt.Sprintf("R19/%d finished orders", size), run: func(ctx context.Context, l *lane) []string {
		r.cases += size - 1 // They are a case each.
		return restful(ctx, l, r, size)
	}}}
}
