// Package argocd_test runs what is written for Argo CD as Argo CD does: Lua, with the order in the global obj.
package argocd_test

import (
	"os"
	"testing"

	lua "github.com/yuin/gopher-lua"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/config/internal/stages"
	"workorders.dev/operator/controllers/plan"
)

const kind = "workorders.dev_WorkOrder"

// actions are the actions as they stand in the ConfigMap.
type actions struct {
	Discovery   string `json:"discovery.lua"`
	Definitions []struct {
		Name   string `json:"name"`
		Action string `json:"action.lua"`
	} `json:"definitions"`
}

// shipped is what the ConfigMap has for orders.
func shipped(t *testing.T) (health string, known actions) {
	t.Helper()
	content, err := os.ReadFile("argocd-cm.yaml")
	if err != nil {
		t.Fatal(err)
	}
	patch := &corev1.ConfigMap{}
	if err := yaml.UnmarshalStrict(content, patch); err != nil {
		t.Fatal(err)
	}
	if err := yaml.UnmarshalStrict([]byte(patch.Data["resource.customizations.actions."+kind]), &known); err != nil {
		t.Fatal(err)
	}
	return patch.Data["resource.customizations.health."+kind], known
}

func TestArgoCDKnowsHowAnOrderIs(t *testing.T) {
	health, _ := shipped(t)
	want := map[string]string{
		"new":       "Progressing",
		"running":   "Progressing",
		"retrying":  "Progressing",
		"rewinding": "Progressing",
		"suspended": "Suspended",
		"cancelled": "Degraded",
		"failed":    "Degraded",
		"failed again after it was asked to run again": "Degraded",
		"failed before its first step started":         "Degraded",
		"ended by its deadline":                        "Degraded",
		"failed, and asked to run again":               "Progressing",
		"invalid":                                      "Degraded",
		"done":                                         "Healthy",
		"done, and asked to run again":                 "Progressing",
		"done, and edited, which nobody has seen yet":  "Progressing",
		"deleting":                                     "Progressing",
	}
	for name, stage := range stages.All() {
		got, _ := run(t, health, object(t, stage)).(map[string]any)
		if got["status"] != want[name] {
			t.Errorf("an order that is %s is %v; want %s", name, got, want[name])
		}
		if message, _ := got["message"].(string); message == "" {
			t.Errorf("of an order that is %s nothing is said", name)
		}
	}
	if len(want) != len(stages.All()) {
		t.Errorf("%d stages are tried, and there are %d", len(want), len(stages.All()))
	}
}

func TestArgoCDOffersWhatCanBeDone(t *testing.T) {
	_, known := shipped(t)
	offered := map[string][]string{
		"running":   {"suspend", "cancel"},
		"suspended": {"resume", "cancel"},
		"failed":    {"retry"},
		"done":      nil,
		"cancelled": nil,
	}
	all := stages.All()
	for name, want := range offered {
		found, _ := run(t, known.Discovery, object(t, all[name])).(map[string]any)
		enabled := map[string]bool{}
		for _, definition := range known.Definitions {
			action, there := found[definition.Name].(map[string]any)
			if !there {
				t.Fatalf("%s is defined and never offered", definition.Name)
			}
			if action["disabled"] != true {
				enabled[definition.Name] = true
			}
		}
		for _, action := range want {
			if !enabled[action] {
				t.Errorf("an order that is %s cannot %s", name, action)
			}
		}
		if len(enabled) != len(want) {
			t.Errorf("an order that is %s can %v, want %v", name, enabled, want)
		}
	}
}

func TestActionsDoWhatTheySay(t *testing.T) {
	_, known := shipped(t)
	for _, c := range []struct {
		action, stage string
		is            func(*v1alpha1.WorkOrder) bool
	}{
		{"suspend", "running", func(o *v1alpha1.WorkOrder) bool { return o.Spec.Suspend }},
		{"resume", "suspended", func(o *v1alpha1.WorkOrder) bool { return !o.Spec.Suspend }},
		{"cancel", "running", func(o *v1alpha1.WorkOrder) bool { return o.Spec.Cancel }},
		{"retry", "failed", rewinds("build", 3)},
		{"retry", "failed again after it was asked to run again", rewinds("build", 5)},
		{"retry", "ended by its deadline", rewinds("build", 2)},
		{"retry", "failed before its first step started", rewinds("build", 1)},
	} {
		found := false
		for _, definition := range known.Definitions {
			if definition.Name != c.action {
				continue
			}
			found = true
			changed, _ := run(t, definition.Action, object(t, stages.All()[c.stage])).(map[string]any)
			order := &v1alpha1.WorkOrder{}
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(changed, order); err != nil {
				t.Fatalf("%s: %v", c.action, err)
			}
			if !c.is(order) {
				t.Errorf("%s of an order that is %s makes it %+v", c.action, c.stage, order.Spec)
			}
			if stall := plan.Validate(&order.Spec); stall != nil {
				t.Errorf("%s of an order that is %s makes it invalid: %s", c.action, c.stage, stall.Message)
			}
		}
		if !found {
			t.Errorf("nothing is defined for %s", c.action)
		}
	}
}

// rewinds says whether an order asks for a step to be at an epoch, and for nothing else.
func rewinds(step string, epoch int64) func(*v1alpha1.WorkOrder) bool {
	return func(o *v1alpha1.WorkOrder) bool {
		return len(o.Spec.Rewinds) == 1 && o.Spec.Rewinds[0] == v1alpha1.RewindRequest{Step: step, ToEpoch: epoch}
	}
}

func object(t *testing.T, stage *stages.Stage) *unstructured.Unstructured {
	t.Helper()
	object, err := stage.Object()
	if err != nil {
		t.Fatal(err)
	}
	return object
}

// run runs a script with the order, with no more of Lua than Argo CD gives it, and returns what it returns.
func run(t *testing.T, script string, order *unstructured.Unstructured) any {
	t.Helper()
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for name, open := range map[string]lua.LGFunction{lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable} {
		if err := state.CallByParam(lua.P{Fn: state.NewFunction(open), Protect: true}, lua.LString(name)); err != nil {
			t.Fatal(err)
		}
	}
	state.SetGlobal("obj", toLua(state, order.Object))
	if err := state.DoString(script); err != nil {
		t.Fatalf("%v in\n%s", err, script)
	}
	return fromLua(state.Get(-1))
}

func toLua(state *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case map[string]any:
		table := state.NewTable()
		for key, entry := range value {
			table.RawSetString(key, toLua(state, entry))
		}
		return table
	case []any:
		table := state.NewTable()
		for _, entry := range value {
			table.Append(toLua(state, entry))
		}
		return table
	case string:
		return lua.LString(value)
	case bool:
		return lua.LBool(value)
	case int64:
		return lua.LNumber(value)
	case float64:
		return lua.LNumber(value)
	}
	return lua.LNil
}

func fromLua(value lua.LValue) any {
	switch value := value.(type) {
	case *lua.LTable:
		if value.Len() > 0 {
			var list []any
			value.ForEach(func(_, entry lua.LValue) { list = append(list, fromLua(entry)) })
			return list
		}
		object := map[string]any{}
		value.ForEach(func(key, entry lua.LValue) { object[key.String()] = fromLua(entry) })
		return object
	case lua.LString:
		return string(value)
	case lua.LBool:
		return bool(value)
	case lua.LNumber:
		return int64(value)
	}
	return nil
}
