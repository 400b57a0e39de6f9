package reliability

import (
	"time"

	. "github.com/onsi/ginkgo/v2"

	"workorders.dev/operator/hack/reliability/report"
)

var _ = Describe("R5, R6, R9, R14 to R16, R19, R21 and R22, and in a full run R23", func() {
	It("Their cases mostly wait, and run side by side", func(ctx SpecContext) {
		hazards := map[string]hazard{
			"R5": gaps, "R6": trouble, "R9": clocks, "R14": cowriters, "R15": sizes, "R16": versions, "R19": rests,
			"R21": outage, "R22": refusing("R22", refusals()),
		}
		if report.Full() {
			hazards["R23"] = unguarded
		}
		together(ctx, hazards)
	}, NodeTimeout(40*time.Minute))
})
