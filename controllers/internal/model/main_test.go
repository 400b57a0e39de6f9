package model

import (
	"flag"
	"fmt"
	"io"
	"os"
	"testing"

	"go.uber.org/zap/zapcore"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"workorders.dev/operator/api/v1alpha1"
)

// TestMain asks for 300 walks. More: -rapid.checks=10000. One that failed: -rapid.seed, which the failure prints.
func TestMain(m *testing.M) {
	if os.Getenv("MODEL") == "" {
		fmt.Println("SKIPPED: the model of the API server is explored on demand: MODEL=1 go test ./controllers/internal/model")
		return
	}
	flag.Parse()
	ours := map[string]string{"rapid.checks": "300", "rapid.nofailfile": "true", "rapid.shrinktime": "10s"}
	flag.Visit(func(f *flag.Flag) { delete(ours, f.Name) })
	for name, value := range ours {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
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
