// Package seeds says how many random walks the tests take, and from which seed.
package seeds

import (
	"flag"
	"fmt"
	"time"

	"workorders.dev/operator/hack/reliability/report"
)

// Full is how many walks are taken with RELIABILITY=full, in some minutes. -rapid.checks=10000 takes more.
const Full = 2_000

// Set has rapid take so many walks from the same seed each time, so that what a change breaks shows at that change; or with
// RELIABILITY=full as many as Full, from another seed each time. Flags that were given go before. It parses the flags.
func Set(usual int) {
	ours := map[string]string{"rapid.checks": fmt.Sprint(usual), "rapid.nofailfile": "true", "rapid.shrinktime": "10s", "rapid.seed": "1"}
	if report.Full() {
		ours["rapid.checks"], ours["rapid.seed"] = fmt.Sprint(Full), fmt.Sprint(time.Now().Unix())
	}
	flag.Parse()
	flag.Visit(func(f *flag.Flag) { delete(ours, f.Name) })
	for name, value := range ours {
		if err := flag.Set(name, value); err != nil {
			panic(err) // One of rapid's, which only a program that imports it has.
		}
	}
}
