package e2e

import (
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"workorders.dev/operator/api/v1alpha1"
)

var _ = Describe("A graph", func() {
	It("runs side by side what is ready, but never more than parallelism", func(ctx SpecContext) {
		spec := v1alpha1.WorkOrderSpec{Strategy: v1alpha1.StrategyGraph, Parallelism: pointer(int32(2))}
		join := step("join", "--duration=0s")
		for i := range 5 {
			s := step(fmt.Sprint("s", i), "--duration=5s") // Longer than a busy node takes from one start to the next.
			s.DependsOn = []string{"fork"}
			join.DependsOn = append(join.DependsOn, s.Name)
			spec.Steps = append(spec.Steps, s)
		}
		spec.Steps = append(spec.Steps, join, step("fork", "--duration=0s"))
		order, book := kept(ctx, spec)
		Eventually(ctx, reread(ctx, order)).Should(HaveField("Message", Equal("fork succeeded; s2 and 2 more wait, as parallelism is 2")))
		expectPhase(ctx, order, v1alpha1.WorkOrderSucceeded)
		Expect(ended(order)).To(Equal([]string{
			"fork/1 Succeeded", "s0/1 Succeeded", "s1/1 Succeeded", "s2/1 Succeeded", "s3/1 Succeeded", "s4/1 Succeeded", "join/1 Succeeded",
		}), "the status lists them as they can run, not as they were declared")
		most := 0
		for _, run := range book.runs() {
			beside := 0
			for _, other := range book.runs() {
				if !other.Started.After(run.Started) && other.Ended.After(run.Started) {
					beside++
				}
			}
			most = max(most, beside)
		}
		Expect(most).To(Equal(2))
		starts := book.starts()
		Expect([]string{starts[0], starts[len(starts)-1]}).To(Equal([]string{"fork/1", "join/1"}))
	})

	It("lets the rest finish when a step fails for good, or starts nothing more if it is to fail fast", func(ctx SpecContext) {
		for failFast, end := range map[bool][]string{
			false: {"bad/1 Failed", "slow/1 Succeeded", "after-bad/0 Blocked", "after-slow/1 Succeeded"},
			true:  {"bad/1 Failed", "slow/1 Succeeded", "after-bad/0 Blocked", "after-slow/0 Blocked"},
		} {
			bad, slow := step("bad", "--duration=0s", "--fail-epochs=9"), step("slow", "--duration=2s")
			afterBad, afterSlow := quick("after-bad", ""), quick("after-slow", "")
			afterBad.DependsOn, afterSlow.DependsOn = []string{"bad"}, []string{"slow"}
			order := run(ctx, v1alpha1.WorkOrderSpec{
				Strategy: v1alpha1.StrategyGraph, FailFast: failFast, Steps: []v1alpha1.Step{bad, slow, afterBad, afterSlow},
			}, v1alpha1.WorkOrderFailed)
			Expect(ended(order)).To(Equal(end))
			Expect(statusOf(order, "after-bad").Message).To(ContainSubstring("bad"))
		}
	})
})
