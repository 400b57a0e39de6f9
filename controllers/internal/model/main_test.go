package model

import (
	"io"
	"os"
	"testing"

	"go.uber.org/zap/zapcore"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"workorders.dev/operator/api/v1alpha1"
)

func TestMain(m *testing.M) {
	ctrl.SetLogger(zap.New(zap.WriteTo(io.Discard), zap.Level(zapcore.FatalLevel)))
	os.Exit(m.Run())
}

const foreignCondition = "example.com/Noted"

func foreign(c metav1.Condition) bool { return c.Type == foreignCondition }

func sequence(names ...string) *v1alpha1.WorkOrder {
	order := &v1alpha1.WorkOrder{}
	limit, pause := int32(1), int32(0)
	order.Spec.Retry = &v1alpha1.Retry{Limit: &limit, Backoff: &v1alpha1.Backoff{InitialSeconds: &pause}}
	for _, name := range names {
		order.Spec.Steps = append(order.Spec.Steps, v1alpha1.Step{Name: name, Run: &v1alpha1.Run{Image: "registry/agent:1"}})
	}
	return order
}
func setForWalks(set func(k kind, who string, do func(*step, action))) {}
func (s *step) wakeChoices(list []action, who int8) []action           { return list }
