package model

import (
	"io"
	"os"
	"strings"
	"testing"

	"go.uber.org/zap/zapcore"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/hack/reliability/seeds"
)

// TestMain asks for 300 walks. One that failed is walked again by -rapid.seed, which the failure prints.
func TestMain(m *testing.M) {
	seeds.Set(300)
	ctrl.SetLogger(zap.New(zap.WriteTo(io.Discard), zap.Level(zapcore.FatalLevel)))
	os.Exit(m.Run())
}

func sequence(names ...string) *v1alpha1.WorkOrder {
	order := &v1alpha1.WorkOrder{}
	order.Spec.KeepPods = v1alpha1.KeepNoPods // So that what is left at the end is a mistake.
	limit, pause := int32(1), int32(0)
	order.Spec.Retry = &v1alpha1.Retry{Limit: &limit, Backoff: &v1alpha1.Backoff{InitialSeconds: &pause}}
	for _, name := range names {
		order.Spec.Steps = append(order.Spec.Steps, v1alpha1.Step{Name: name, Run: &v1alpha1.Run{Image: "registry/agent:1"}})
	}
	return order
}

// pausing is a sequence whose steps pause before they start again.
func pausing(names ...string) *v1alpha1.WorkOrder { return pauses(sequence(names...)) }

// pauses makes the steps of an order pause for half a minute before they start again, and have to start within a minute.
func pauses(order *v1alpha1.WorkOrder) *v1alpha1.WorkOrder {
	pause, timeout := int32(30), int64(60)
	order.Spec.Retry.Backoff.InitialSeconds = &pause
	for i := range order.Spec.Steps {
		order.Spec.Steps[i].StartTimeoutSeconds = &timeout
	}
	return order
}

// graph is a graph of steps: the first word of each is its name, and the others are what it needs.
func graph(steps ...string) *v1alpha1.WorkOrder {
	order := sequence()
	order.Spec.Strategy = v1alpha1.StrategyGraph
	for _, words := range steps {
		name, needs, _ := strings.Cut(words, " ")
		order.Spec.Steps = append(order.Spec.Steps, v1alpha1.Step{Name: name, DependsOn: strings.Fields(needs), Run: &v1alpha1.Run{Image: "registry/agent:1"}})
	}
	return order
}

// with is an order with something more in its spec.
func with(order *v1alpha1.WorkOrder, changes ...func(*v1alpha1.WorkOrderSpec)) *v1alpha1.WorkOrder {
	for _, change := range changes {
		change(&order.Spec)
	}
	return order
}

// finally is a step that runs when all others have ended.
func finally(name string) func(*v1alpha1.WorkOrderSpec) {
	return func(spec *v1alpha1.WorkOrderSpec) {
		spec.Finally = append(spec.Finally, v1alpha1.Step{Name: name, Run: &v1alpha1.Run{Image: "registry/agent:1"}})
	}
}

// when gives a step a condition.
func when(name, condition string) func(*v1alpha1.WorkOrderSpec) {
	return func(spec *v1alpha1.WorkOrderSpec) {
		for i := range spec.Steps {
			if spec.Steps[i].Name == name {
				spec.Steps[i].When = condition
			}
		}
	}
}

// atMost is how many steps may run side by side.
func atMost(steps int32) func(*v1alpha1.WorkOrderSpec) {
	return func(spec *v1alpha1.WorkOrderSpec) { spec.Parallelism = &steps }
}

// within is how many seconds the order may take.
func within(seconds int64) func(*v1alpha1.WorkOrderSpec) {
	return func(spec *v1alpha1.WorkOrderSpec) { spec.ActiveDeadlineSeconds = &seconds }
}
