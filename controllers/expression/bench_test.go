package expression

import "testing"

var benchmarks = []struct{ name, source string }{
	{"Phase", `steps["find-plan"].phase == "Succeeded"`},
	{"Several", `steps["find-plan"].output != "" && (params.request.startsWith("Add ") || has(steps.review.results.count) && steps.review.results.count > 2)`},
	{"Macro", `steps.review.results.files.filter(file, file.lines > 10).exists(file, file.name.endsWith(".js")) && !steps["find-plan"].output.matches("(?m)^none$")`},
}

func BenchmarkCompile(b *testing.B) {
	for _, bench := range benchmarks {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Compile(bench.source, testScope); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkEval(b *testing.B) {
	for _, bench := range benchmarks {
		program, err := Compile(bench.source, testScope)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := program.Eval(testFacts); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
