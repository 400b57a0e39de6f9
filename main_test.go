package main

import (
	"flag"
	"os"
	"regexp"
	"testing"
)

// Every flag is in docs/configuration.md with its default, and no other is.
func TestFlagsAreDocumented(t *testing.T) {
	page, err := os.ReadFile("docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `--([a-z-]+)` \\| (?:`(.*?)`)? ?\\|").FindAllStringSubmatch(string(page), -1) {
		documented[row[1]] = row[2]
	}
	flags := flag.NewFlagSet("operator", flag.ContinueOnError)
	parse(flags, nil)
	flag.CommandLine.VisitAll(func(f *flag.Flag) { // The library's, which main has as well.
		if f.Name == "kubeconfig" {
			flags.Var(f.Value, f.Name, f.Usage)
		}
	})
	flags.VisitAll(func(f *flag.Flag) {
		value, found := documented[f.Name]
		switch {
		case !found:
			t.Errorf("--%s is not documented", f.Name)
		case value != f.DefValue:
			t.Errorf("--%s is said to be %q unless set, and is %q", f.Name, value, f.DefValue)
		}
		delete(documented, f.Name)
	})
	for name := range documented {
		t.Errorf("--%s is documented, and there is no such flag", name)
	}
}
