package rows

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/hack/bench/result"
	"workorders.dev/operator/hack/bench/rig"
)

// writes is P4: what the API server has counted of writes that only the operator makes, for each step, beyond what an order
// needs for its start and its end.
func (b *Bench) writes(ctx context.Context) ([]result.Line, error) {
	var lines []result.Line
	for _, kind := range []struct {
		what string
		like v1alpha1.Step
		most float64
	}{{"with a Pod", b.run(), 4}, {"without a Pod", noWait(), 2}} {
		few, _, err := b.countWrites(ctx, steps(1, kind.like))
		if err != nil {
			return nil, err
		}
		count := either(b, 8, 2)
		more, notes, err := b.countWrites(ctx, steps(count, kind.like))
		if err != nil {
			return nil, err
		}
		script, err := b.script(ctx, fmt.Sprintf("%d steps %s", count, kind.what), v1alpha1.WorkOrderSpec{Steps: steps(count, kind.like)})
		if err != nil {
			return nil, err // It would be one if the operator wrote anything else.
		}
		notes = append(notes, fmt.Sprintf("a proxy has seen %d for such an order, and none of another kind", script.Writes))
		b.Say("writes of an order of %d steps %s: %.0f, of one step: %.0f", count, kind.what, more, few)
		lines = append(lines, result.Line{
			Row: "P4", What: "a step " + kind.what, Unit: "writes", Ours: (more - few) / float64(count-1),
			Goal: result.Goal{AtMost: kind.most, Absolute: true}, Notes: notes,
		})
	}
	return lines, nil
}

// ours are the writes that nobody but the operator makes while one order runs and nothing else, by verb, resource and subresource: the
// API server does not count by who it is that writes. That the operator sends no others a proxy sees, which records them.
var ours = map[string]bool{
	"POST progressevents": true, "PATCH workorders/status": true, "POST pods": true, "PATCH pods": true,
}

// countWrites counts the writes for one order, in a cluster in which nothing else happens.
func (b *Bench) countWrites(ctx context.Context, steps []v1alpha1.Step) (count float64, notes []string, err error) {
	if err := b.Operator.Start(ctx); err != nil {
		return 0, nil, err
	}
	namespace, err := b.NewNamespace(ctx)
	if err != nil {
		return 0, nil, err
	}
	w, err := newWitness(ctx, b.Rig, namespace, false)
	if err != nil {
		return 0, nil, err
	}
	defer w.close()
	before, err := b.settled(ctx)
	if err != nil {
		return 0, nil, err
	}
	if _, err := b.submit(ctx, namespace, v1alpha1.WorkOrderSpec{Steps: steps}, 1); err != nil {
		return 0, nil, err
	}
	if err := w.wait(ctx, 1); err != nil {
		return 0, nil, err
	}
	after, err := b.settled(ctx)
	if err != nil {
		return 0, nil, err
	}
	all := 0.0
	for _, what := range slices.Sorted(maps.Keys(after)) {
		more := after[what] - before[what]
		if more == 0 {
			continue
		}
		all += more
		if ours[what] {
			count += more
			notes = append(notes, fmt.Sprintf("%s: %.0f", what, more))
		}
	}
	return count, append(notes, fmt.Sprintf("all writes to the API server: %.0f", all)), nil
}

// settled is what the API server has counted, once it counts no more writes of ours for two seconds.
func (b *Bench) settled(ctx context.Context) (counts map[string]float64, err error) {
	err = rig.Until(ctx, time.Minute, "the writes to settle", func() (bool, error) {
		before, err := b.counts(ctx)
		if err != nil {
			return false, err
		}
		select {
		case <-time.After(2 * time.Second):
		case <-ctx.Done():
			return false, ctx.Err()
		}
		counts, err = b.counts(ctx)
		for what := range ours {
			if counts[what] != before[what] {
				return false, err
			}
		}
		return true, err
	})
	return counts, err
}

// counts are the writes that the API server has counted, but for Kubernetes Events and leases.
func (b *Bench) counts(ctx context.Context) (map[string]float64, error) {
	metrics, err := b.APIServerMetrics(ctx)
	if err != nil {
		return nil, err
	}
	counts := map[string]float64{}
	metrics.Each("apiserver_request_total", func(labels map[string]string, value float64) {
		switch labels["verb"] {
		case "POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION":
		default:
			return
		}
		if labels["resource"] == "events" || labels["resource"] == "leases" || strings.HasSuffix(labels["resource"], "reviews") {
			return
		}
		what := labels["verb"] + " " + labels["resource"]
		if labels["subresource"] != "" {
			what += "/" + labels["subresource"]
		}
		counts[what] += value
	})
	return counts, nil
}
