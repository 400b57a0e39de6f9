package admission

import (
	"fmt"
	"strings"
	"testing"
)

func TestTheAPIServerIsToldWhatIsHardlyMeant(t *testing.T) {
	const inShell = `the shell would run what is in $(PARAM_REF) as code: write "$PARAM_REF" there instead`
	for _, test := range []struct {
		when, order string
		warnings    []string
	}{
		{"a param is an argument", `{spec: {params: [{name: ref}], steps: [{name: a, run: {image: i, command: [git], args: [checkout, $(PARAM_REF)]}}]}}`, nil},
		{"a param is part of a script", `{spec: {params: [{name: ref}], steps: [{name: a, run: {image: i, command: [sh, -c], args: [git checkout $(PARAM_REF)]}}]}}`,
			[]string{"spec.steps[0].run.args[0]: " + inShell}},
		{"a param is part of a script in the command", `{spec: {params: [{name: ref}], steps: [{name: b, wait: {seconds: 1}}, {name: a, run: {image: i, command: [/usr/bin/env, bash, -euo, pipefail, -xc, 'echo $(PARAM_REF) $(PARAM_REF)', me, $(PARAM_REF)]}}]}}`,
			[]string{"spec.steps[1].run.command[5]: " + inShell}},
		{"a param is an argument of a script", `{spec: {params: [{name: ref}], steps: [{name: a, run: {image: i, command: [sh, -c, 'git checkout "$1"'], args: [sh, $(PARAM_REF)]}}]}}`, nil},
		{"a script uses the variable", `{spec: {params: [{name: ref}], steps: [{name: a, run: {image: i, command: [sh, -c, 'git checkout "$PARAM_REF" $$(PARAM_REF) $(WORKORDER_STEP) $(date)']}}]}}`, nil},
		{"a shell runs a file", `{spec: {params: [{name: ref}], steps: [{name: a, run: {image: i, command: [bash, -e, /run.sh, -c, $(PARAM_REF)]}}]}}`, nil},
		{"an output is part of a script", `{spec: {steps: [{name: find-it, wait: {seconds: 1}}, {name: a, run: {image: i, command: [/bin/bash, --norc, -c, cat $(STEP_FIND_IT_OUTPUT)]}}]}}`,
			[]string{`spec.steps[1].run.command[3]: the shell would run what is in $(STEP_FIND_IT_OUTPUT) as code: write "$STEP_FIND_IT_OUTPUT" there instead`}},
		{"there is no such param", `{spec: {params: [{name: ref}], steps: [{name: a, run: {image: i, args: [$(PARAM_FER)], env: [{name: X, value: $(PARAM_X)}]}}]}}`,
			[]string{"spec.steps[0].run.args[0]: $(PARAM_FER) stays as it stands: there is no such param", "spec.steps[0].run.env[0].value: $(PARAM_X) stays as it stands: there is no such param"}},
		{"an output is of no input", `{spec: {steps: [{name: a, wait: {seconds: 1}}, {name: b, wait: {seconds: 1}}, {name: c, run: {image: i, args: [$(STEP_A_OUTPUT), $(STEP_B_OUTPUT)]}}]}}`,
			[]string{"spec.steps[2].run.args[0]: $(STEP_A_OUTPUT) stays as it stands: no such step is an input of this one"}},
		{"it is one, and in a graph, and in finally", `{spec: {strategy: Graph, steps: [{name: b, dependsOn: [a], run: {image: i, args: [$(STEP_A_OUTPUT)]}}, {name: a, wait: {seconds: 1}}], finally: [{name: z, inputs: [b], run: {image: i, args: [$(STEP_B_OUTPUT), $(STEP_A_OUTPUT)]}}]}}`,
			[]string{"spec.finally[0].run.args[1]: $(STEP_A_OUTPUT) stays as it stands: no such step is an input of this one"}},
		{"the variable is the user's own", `{spec: {steps: [{name: a, run: {image: i, args: [$(PARAM_X)], env: [{name: PARAM_X, value: x}]}}]}}`, nil},
		{"the variable may come from elsewhere", `{spec: {steps: [{name: a, run: {image: i, args: [$(PARAM_X)], envFrom: [{configMapRef: {name: c}}]}}]}}`, nil},
		{"it is removed after its end", `{spec: {ttlSecondsAfterFinished: 60, steps: [{name: a, wait: {seconds: 1}}]}}`, nil},
		{"Flux would make it again", `{metadata: {name: order, labels: {kustomize.toolkit.fluxcd.io/name: apps}}, spec: {ttlSecondsAfterFinished: 60, steps: [{name: a, wait: {seconds: 1}}]}}`,
			[]string{"spec.ttlSecondsAfterFinished: Flux would create the order again once it is removed, and so run it again: leave it out"}},
		{"Argo CD would", `{metadata: {name: order, annotations: {argocd.argoproj.io/tracking-id: "a:b/c:d/e"}}, spec: {ttlSecondsAfterFinished: 0, steps: [{name: a, wait: {seconds: 1}}]}}`,
			[]string{"spec.ttlSecondsAfterFinished: Argo CD would create the order again once it is removed, and so run it again: leave it out"}},
		{"it is from Git and stays", `{metadata: {name: order, labels: {kustomize.toolkit.fluxcd.io/name: apps}}, spec: {steps: [{name: a, wait: {seconds: 1}}]}}`, nil},
	} {
		t.Run(test.when, func(t *testing.T) {
			warnings, err := validator{}.ValidateCreate(t.Context(), orderOf(t, test.order))
			expect(t, warnings, err, test.warnings, nil)
		})
	}
}

func TestWarningsAreFewAndShort(t *testing.T) {
	var args []string
	for i := range 100 {
		args = append(args, fmt.Sprintf("$(PARAM_%s_%d\x1b[31m)", strings.Repeat("X", 300), i))
	}
	order := orderOf(t, `{spec: {steps: [{name: a, run: {image: i}}]}}`)
	order.Spec.Steps[0].Run.Args = args
	warnings, err := validator{}.ValidateCreate(t.Context(), order)
	if err != nil || len(warnings) != maxTold+1 || warnings[maxTold] != "and 84 more warnings" {
		t.Fatalf("%d warnings: %v", len(warnings), err)
	}
	for _, w := range warnings {
		if len(w) > maxWarning || strings.Contains(w, "\x1b") {
			t.Errorf("%d bytes: %q", len(w), w)
		}
	}
}
