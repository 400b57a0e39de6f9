package model

import (
	"flag"
	"fmt"
	"io"
	"os"
	"testing"
	"time"

	"go.uber.org/zap/zapcore"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"workorders.dev/operator/api/v1alpha1"
	"workorders.dev/operator/hack/reliability/report"
)

// TestMain runs nothing unless MODEL or RELIABILITY is set: the explorations take minutes.
//
// TestMain asks for 300 walks, or 10,000 with RELIABILITY=full, from another seed each time. One that failed is walked again
// by -rapid.seed, which the failure prints.
func TestMain(m *testing.M) {
	if os.Getenv("MODEL") == "" && os.Getenv("RELIABILITY") == "" {
		fmt.Println("SKIPPED: the model of the API server is explored on demand: MODEL=1 go test ./controllers/internal/model, or make reliability")
		return
	}
	flag.Parse()
	ours := map[string]string{"rapid.checks": "300", "rapid.nofailfile": "true", "rapid.shrinktime": "10s", "rapid.seed": fmt.Sprint(time.Now().Unix())}
	if report.Full() {
		ours["rapid.checks"] = "10000"
	}
	flag.Visit(func(f *flag.Flag) { delete(ours, f.Name) })
	for name, value := range ours {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
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

// pausing is a sequence whose steps pause for half a minute before they start again, and must start within a minute.
func pausing(names ...string) *v1alpha1.WorkOrder {
	order, pause, timeout := sequence(names...), int32(30), int64(60)
	order.Spec.Retry.Backoff.InitialSeconds = &pause
	for i := range order.Spec.Steps {
		order.Spec.Steps[i].StartTimeoutSeconds = &timeout
	}
	return order
}
