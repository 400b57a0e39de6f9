package reliability

import (
	"context"
	"fmt"
	"os"
	"time"

	. "github.com/onsi/ginkgo/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/hack/reliability/laws"
)

// wrongClock is an operator whose clock is wrong by what the variable SKEW says; with JUMP set, only from that long after
// its start on; with SWING set, forward and back in turn, for that long each.
func wrongClock() []change {
	const clock = `type wrongClock struct {
	clock.RealClock
	began time.Time
}

func (c wrongClock) Now() time.Time {
	skew, _ := time.ParseDuration(os.Getenv("SKEW"))
	jump, _ := time.ParseDuration(os.Getenv("JUMP"))
	swing, _ := time.ParseDuration(os.Getenv("SWING"))
	now := time.Now()
	switch {
	case now.Sub(c.began) < jump:
		return now
	case swing > 0 && now.Sub(c.began)/swing%2 == 1:
		return now.Add(-skew)
	}
	return now.Add(skew)
}

// settings are what`
	return []change{
		{"main.go", "clock.RealClock{},", "wrongClock{began: time.Now()},"},
		{"main.go", "// settings are what", clock},
	}
}

// skews are clocks that are wrong, each for one of the operators.
var skews = map[string][][]string{
	"10 minutes ahead":              {{"SKEW=10m"}},
	"10 minutes behind":             {{"SKEW=-10m"}},
	"jumps 10 minutes ahead":        {{"SKEW=10m", "JUMP=2s"}},
	"jumps 10 minutes back":         {{"SKEW=-10m", "JUMP=2s"}},
	"swings by 3 seconds":           {{"SKEW=3s", "SWING=700ms"}},
	"two that are 20 minutes apart": {{"SKEW=10m"}, {"SKEW=-10m"}},
	"two of which one swings":       {{"SKEW=0s"}, {"SKEW=3s", "SWING=500ms"}},
}

// patientJourney is a journey whose Pods may take as long to start as no clock is wrong. An operator that jumps back waits for
// as long as the jump, if it has something to wait for, so then it has not.
func patientJourney(waits bool) v1alpha1.WorkOrderSpec {
	spec, long := slowly("300ms"), int64(7200)
	if !waits {
		spec.Steps = append(spec.Steps[:4:4], spec.Steps[6:]...)
	}
	for i := range spec.Steps {
		if spec.Steps[i].Run != nil {
			spec.Steps[i].StartTimeoutSeconds = &long
		}
	}
	return spec
}

// byWrongClocks makes orders under operators whose clocks are wrong.
func byWrongClocks(ctx context.Context, binary string, clocks [][]string, waits bool) (violations []string) {
	l, err := newLane(ctx, setup{binary: binary, env: clocks[0]})
	if err != nil {
		return []string{err.Error()}
	}
	defer l.close()
	for _, env := range clocks[1:] {
		if err := l.addOperator(setup{binary: binary, env: env}); err != nil {
			return []string{err.Error()}
		}
	}
	var orders []*v1alpha1.WorkOrder
	for range 5 {
		order, err := l.submit(ctx, patientJourney(waits))
		if err != nil {
			return []string{err.Error()}
		}
		orders = append(orders, order)
	}
	if err := l.seen.settle(ctx, orders...); err != nil {
		violations = append(violations, "I5: "+err.Error())
	}
	// What is written after that is not asked: Pods are of no more use ten minutes after the end, by any clock.
	records, err := l.recordsOf(ctx, orders...)
	if err != nil {
		return append(violations, err.Error())
	}
	for _, record := range records {
		violations = append(violations, laws.Violations(record)...)
		violations = append(violations, backwards(&record)...)
		if phase := record.Order.Status.Phase; phase != v1alpha1.WorkOrderSucceeded {
			violations = append(violations, fmt.Sprintf("it ended %s: %s", phase, record.Order.Status.Message))
		}
	}
	for _, o := range l.operators {
		violations = append(violations, o.complaints()...)
	}
	return violations
}

// backwards says where time goes back in what an order ever said.
func backwards(record *laws.Record) (violations []string) {
	check := func(what string, from, to *metav1.Time) {
		if from != nil && to != nil && to.Before(from) {
			violations = append(violations, fmt.Sprintf("%s: %s came after %s", what, to, from))
		}
	}
	for i := range record.History {
		status := &record.History[i]
		check("the order's end", status.StartTime, status.CompletionTime)
		for j := range status.Steps {
			check("the end of "+status.Steps[j].Name, status.Steps[j].StartTime, status.Steps[j].CompletionTime)
		}
		if duration, err := time.ParseDuration(status.Duration); status.Duration != "" && (err != nil || duration < 0) {
			violations = append(violations, fmt.Sprintf("a duration of %q", status.Duration))
		}
	}
	return violations
}

// clocks are the cases of R9: whatever a clock does, the times of an order never go back, and it comes to its end.
func clocks(ctx context.Context) (*row, []trial) {
	r := newRow("R9", "wrong clocks")
	r.ownLanes = true
	directory, err := os.MkdirTemp("", "reliability-")
	if err == nil {
		DeferCleanup(os.RemoveAll, directory)
		r.binary, err = buildVariant(ctx, directory, wrongClock()...)
	}
	var trials []trial
	for name, wrong := range skews {
		trials = append(trials, trial{name: "R9/" + name, run: func(ctx context.Context, _ *lane) []string {
			if err != nil {
				return []string{err.Error()}
			}
			return byWrongClocks(ctx, r.binary, wrong, name != "jumps 10 minutes back")
		}})
	}
	return r, trials
}
