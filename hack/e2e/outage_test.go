package e2e

import (
	"context"
	"fmt"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"workorders.dev/operator/hack/reliability/report"
)

// atOnce is how many orders run at each outage.
const atOnce = 20

var _ = Describe("Under the load of many orders, a kill -9 of", Label(labelOutage), func() {
	DescribeTable("leaves no order stuck, starts no step twice and loses no result",
		func(ctx SpecContext, component string, rows ...string) {
			ownCluster()
			tallies := []*tally{showing("R1", "kills under load")}
			for _, row := range rows {
				tallies = append(tallies, showing(row, "outages"))
			}
			work := newLoad(ctx)
			for _, absence := range absences(component) {
				work.topUp(ctx, atOnce)
				asked := requests()
				By(fmt.Sprintf("%s is killed, and away for %s", component, absence))
				killComponent(component)
				wait(ctx, absence)
				expectPatience(asked, absence)
				clusterUp(ctx)
				By("it is up again")
				operator.expectUp()
				for _, t := range tallies {
					t.Cases++
					t.count(fmt.Sprintf("%s, away for up to %s", component, slices.Max(absences(component))), 1)
				}
			}
			work.expectDone(ctx)
			work.expectRest(ctx)
			work.tell(tallies...)
		},
		Entry("kube-apiserver", "kube-apiserver", "R6"),
		Entry("etcd", "etcd", "R6"),
		Entry("kubelet", "kubelet"),
	)

	It("the operator leaves no order stuck, starts no step twice and loses no result", func(ctx SpecContext) {
		row := showing("R1", "kills under load")
		work := newLoad(ctx)
		for range often(3, 10) {
			work.topUp(ctx, atOnce)
			By("the operator is killed")
			operator.kill()
			operator.start()
			row.Cases++
			row.count("the operator", 1)
		}
		work.expectDone(ctx)
		work.expectRest(ctx)
		work.tell(row)
	})
})

// absences are how long a component is away, for each time that it is killed.
func absences(component string) []time.Duration {
	switch {
	case !report.Full():
		return []time.Duration{5 * time.Second}
	case component == "etcd":
		return []time.Duration{0, 5 * time.Second, 20 * time.Second}
	}
	// A minute is longer than a node may be silent before it is taken for unreachable.
	return []time.Duration{0, 5 * time.Second, time.Minute}
}

func wait(ctx context.Context, length time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(length):
	}
}

// requests is how often the operator has asked the API server for something, or has tried to.
func requests() int {
	GinkgoHelper()
	return operator.counted(Default, requestsMetric, "")
}

// expectPatience checks that the operator has not asked all the time for what is not there: not more than all orders
// could at the pace of a calm run, which is far from what a loop without pauses would do.
func expectPatience(before int, absence time.Duration) {
	GinkgoHelper()
	perSecond := 10
	Expect(requests()-before).To(BeNumerically("<", atOnce*perSecond*(int(absence.Seconds())+1)), "it tries again and again without a pause")
}

// tell counts what the load was.
func (l *load) tell(rows ...*tally) {
	for _, row := range rows {
		row.count("orders", len(l.orders))
		row.count("starts in the ledger, each once", len(l.book.starts()))
	}
}
