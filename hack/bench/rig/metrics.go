package rig

import (
	"context"
	"fmt"
	"io"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"k8s.io/client-go/kubernetes"
)

// Metrics are what a process says of itself, by name.
type Metrics map[string]*dto.MetricFamily

func parseMetrics(text io.Reader) (Metrics, error) {
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(text)
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	return families, nil
}

// APIServerMetrics are those of the API server as they are now.
func (r *Rig) APIServerMetrics(ctx context.Context) (Metrics, error) {
	clients, err := kubernetes.NewForConfig(r.Config)
	if err != nil {
		return nil, err
	}
	body, err := clients.RESTClient().Get().AbsPath("/metrics").Stream(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the API server's metrics: %w", err)
	}
	defer body.Close()
	return parseMetrics(body)
}

// Sum is the sum of all series of a counter or gauge that have those labels: "method=GET".
func (m Metrics) Sum(name string, labels ...string) (sum float64) {
	m.Each(name, func(series map[string]string, value float64) {
		for _, label := range labels {
			key, wanted, _ := strings.Cut(label, "=")
			if series[key] != wanted {
				return
			}
		}
		sum += value
	})
	return sum
}

// Each shows all series of a counter or gauge.
func (m Metrics) Each(name string, show func(labels map[string]string, value float64)) {
	for _, metric := range m[name].GetMetric() {
		labels := map[string]string{}
		for _, pair := range metric.GetLabel() {
			labels[pair.GetName()] = pair.GetValue()
		}
		show(labels, metric.GetCounter().GetValue()+metric.GetGauge().GetValue())
	}
}
