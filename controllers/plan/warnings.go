package plan

import (
	"fmt"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/controllers/steppod"
)

// Warnings are what is allowed in an order, and yet hardly meant: a sentence each, which begins with the field.
func Warnings(order *v1alpha1.WorkOrder) []string {
	said := aboutRemoval(order)
	inputs := Inputs(&order.Spec)
	for _, list := range []struct {
		at    *field.Path
		steps []v1alpha1.Step
	}{{field.NewPath("spec", "steps"), order.Spec.Steps}, {field.NewPath("spec", "finally"), order.Spec.Finally}} {
		for i := range list.steps {
			if run := list.steps[i].Run; run != nil {
				v := &variables{run: run, params: order.Spec.Params, inputs: inputs[list.steps[i].Name]}
				said = append(said, v.warnings(list.at.Index(i).Child("run"))...)
			}
		}
	}
	return said
}

// keepers are labels and annotations that tell that an order is kept in Git, and by what it is kept.
var keepers = []struct{ key, name string }{
	{"kustomize.toolkit.fluxcd.io/name", "Flux"},
	{"helm.toolkit.fluxcd.io/name", "Flux"},
	{"argocd.argoproj.io/instance", "Argo CD"},
	{"argocd.argoproj.io/tracking-id", "Argo CD"},
}

// aboutRemoval warns of an order that is removed after its end while something else makes it again.
func aboutRemoval(order *v1alpha1.WorkOrder) []string {
	if order.Spec.TTLSecondsAfterFinished == nil {
		return nil
	}
	for _, keeper := range keepers {
		if order.Labels[keeper.key] != "" || order.Annotations[keeper.key] != "" {
			return []string{fmt.Sprintf("spec.ttlSecondsAfterFinished: %s would create the order again once it is removed, and so run it again: leave it out", keeper.name)}
		}
	}
	return nil
}

// variables are those that a step's container has, as far as they can be told from the order.
type variables struct {
	run    *v1alpha1.Run
	params []v1alpha1.Param
	inputs []string
}

// warnings are about the variables that Kubernetes puts into the command, its arguments and its environment.
func (v *variables) warnings(at *field.Path) []string {
	var said []string
	say := func(at *field.Path, text string, isScript bool) {
		for _, name := range references(text) {
			if problem := v.problem(name, isScript); problem != "" {
				said = append(said, at.String()+": "+problem)
			}
		}
	}
	script := scriptIn(slices.Concat(v.run.Command, v.run.Args))
	for i, text := range v.run.Command {
		say(at.Child("command").Index(i), text, i == script)
	}
	for i, text := range v.run.Args {
		say(at.Child("args").Index(i), text, len(v.run.Command)+i == script)
	}
	for i := range v.run.Env {
		say(at.Child("env").Index(i).Child("value"), v.run.Env[i].Value, false)
	}
	return said
}

// problem is what is wrong with a reference to a variable; empty if nothing is.
func (v *variables) problem(name string, inScript bool) string {
	isParam, isOutput := strings.HasPrefix(name, "PARAM_"), strings.HasPrefix(name, "STEP_")
	switch {
	case !isParam && !isOutput:
		return "" // The operator's own have no surprises in them, and others are not its business.
	case v.has(name) && inScript:
		return fmt.Sprintf(`the shell would run what is in $(%s) as code: write "$%s" there instead`, name, name)
	case v.has(name), len(v.run.EnvFrom) > 0:
		return ""
	case isParam:
		return fmt.Sprintf("$(%s) stays as it stands: there is no such param", name)
	default:
		return fmt.Sprintf("$(%s) stays as it stands: no such step is an input of this one", name)
	}
}

// has says whether the container has a variable.
func (v *variables) has(name string) bool {
	return slices.ContainsFunc(v.params, func(p v1alpha1.Param) bool { return steppod.Variable("PARAM", p.Name) == name }) ||
		slices.ContainsFunc(v.inputs, func(step string) bool { return steppod.Variable("STEP", step)+"_OUTPUT" == name }) ||
		slices.ContainsFunc(v.run.Env, func(e corev1.EnvVar) bool { return e.Name == name })
}

// references are the variables that Kubernetes would put into a text: NAME of $(NAME), but not of $$(NAME).
func references(text string) []string {
	var names []string
	for {
		_, after, found := strings.Cut(text, "$")
		if !found {
			return names
		}
		text = after
		switch {
		case strings.HasPrefix(text, "$"):
			text = text[1:]
		case strings.HasPrefix(text, "("):
			if name, _, closed := strings.Cut(text[1:], ")"); closed && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
}

var shells = []string{"sh", "bash", "dash", "ash", "ksh", "zsh"}

// scriptIn is where in a command a shell is given a script, as after sh -c; -1 if it is none of a shell.
func scriptIn(command []string) int {
	at := 0
	if len(command) > 0 && path.Base(command[0]) == "env" {
		at++
	}
	if at >= len(command) || !slices.Contains(shells, path.Base(command[at])) {
		return -1
	}
	for at++; at < len(command) && strings.HasPrefix(command[at], "-"); at++ {
		option := command[at]
		if strings.HasPrefix(option, "--") {
			continue
		}
		if strings.HasSuffix(option, "o") {
			at++ // What follows says which option, as in -o pipefail.
		}
		if strings.Contains(option, "c") {
			return at + 1
		}
	}
	return -1
}
