// Package seeds says how many random walks the tests take, and from which seed.
package seeds

import (
	"cmp"
	"flag"
	"fmt"
	"os"

	"workorders.dev/operator/hack/reliability/report"
)

// Full is how many walks are taken with RELIABILITY=full, in some minutes. -rapid.checks=10000 takes more.
const Full = 2_000

// Set has rapid take so many walks, or with RELIABILITY=full as many as Full. They are the same each time, so that what a change
// breaks shows at that change, and that what was published can be seen again; RELIABILITY_SEED, a number, is for others.
// Flags that were given go before. It parses the flags.
func Set(usual int) {
	ours := map[string]string{"rapid.checks": fmt.Sprint(usual), "rapid.nofailfile": "true", "rapid.shrinktime": "10s", "rapid.seed": cmp.Or(os.Getenv("RELIABILITY_SEED"), "1")}
	if report.Full() {
		ours["rapid.checks"] = fmt.Sprint(Full)
	}
	flag.Parse()
	flag.Visit(func(f *flag.Flag) { delete(ours, f.Name) })
	for name, value := range ours {
		if err := flag.Set(name, value); err != nil {
			panic(err) // One of rapid's, which only a program that imports it has.
		}
	}
}
