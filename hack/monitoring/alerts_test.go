package monitoring

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"sigs.k8s.io/yaml"
)

// rule is an alert as it is written down.
type rule struct {
	Alert, Expr, For    string
	Labels, Annotations map[string]string
}

func rules(t *testing.T) map[string]rule {
	t.Helper()
	content, err := os.ReadFile("../../config/prometheus/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Spec struct{ Groups []struct{ Rules []rule } }
	}
	if err := yaml.Unmarshal(content, &file); err != nil {
		t.Fatal(err)
	}
	all := map[string]rule{}
	for _, group := range file.Spec.Groups {
		for _, r := range group.Rules {
			all[r.Alert] = r
		}
	}
	if len(all) < 8 {
		t.Fatalf("only %d alerts", len(all))
	}
	return all
}

// story is how metrics were, a value every minute, in the notation of promtool, and whether an alert is due at the end.
type story struct {
	alert, is string
	series    string
	after     time.Duration
	due       bool
}

var stories = []story{
	{"WorkOrderOperatorMissing", "nobody tells", `up 1+0x10`, 10 * time.Minute, true},
	{"WorkOrderOperatorMissing", "there are no orders", `workorders_orders{phase="Running", instance="a"} 0+0x10`, 10 * time.Minute, false},
	{"WorkOrderOperatorFailing", "every turn fails", `controller_runtime_reconcile_errors_total{controller="workorder", instance="a"} 0+30x30`, 30 * time.Minute, true},
	{"WorkOrderOperatorFailing", "a turn fails now and then", `controller_runtime_reconcile_errors_total{controller="workorder", instance="a"} 0+1x30`, 30 * time.Minute, false},
	{"WorkOrderUnseen", "three were not looked at", `workorders_unseen_orders{instance="a"} 3+0x10`, 10 * time.Minute, true},
	{"WorkOrderUnseen", "all were looked at", `workorders_unseen_orders{instance="a"} 0+0x10`, 10 * time.Minute, false},
	{"WorkOrderStuck", "Pod after Pod does not start", `workorders_oldest_waiting_step_seconds{instance="a"} 0+60x10 0+60x9`, 19 * time.Minute, true},
	{"WorkOrderStuck", "a step waits for 4 minutes", `workorders_oldest_waiting_step_seconds{instance="a"} 0+60x4`, 4 * time.Minute, false},
	{"WorkOrderStepSlow", "it takes 10 s, and then 60 s, as another replica counts", steps(10, 60, "b"), 8 * 24 * time.Hour, true},
	{"WorkOrderStepSlow", "it takes 10 s, and then 15 s", steps(10, 15, "a"), 8 * 24 * time.Hour, false},
	{"WorkOrderStepSlow", "it has no history", strings.ReplaceAll(steps(10, 60, "a"), "+0.5x11459", "+0x11459"), 8 * 24 * time.Hour, false},
	{"WorkOrderRewindStorm", "all fail", `workorders_rewinds_total{reason="Failed", instance="a"} 0+10x30`, 30 * time.Minute, true},
	{"WorkOrderRewindStorm", "more fail than succeed", `workorders_rewinds_total{reason="Failed", instance="a"} 0+10x30
		workorders_transitions_total{type="StepSucceeded", instance="a"} 0+5x30`, 30 * time.Minute, true},
	{"WorkOrderRewindStorm", "most succeed", `workorders_rewinds_total{reason="Failed", instance="a"} 0+10x30
		workorders_transitions_total{type="StepSucceeded", instance="a"} 0+50x30`, 30 * time.Minute, false},
	{"WorkOrderRewindStorm", "people ask for it", `workorders_rewinds_total{reason="Requested", instance="a"} 0+10x30`, 30 * time.Minute, false},
	{"WorkOrderRewindStorm", "a single one fails", `workorders_rewinds_total{reason="Failed", instance="a"} 0+1x15`, 15 * time.Minute, false},
	{"WorkOrderLogIncomplete", "two have a gap", `workorders_incomplete_logs{instance="a"} 2+0x10`, 10 * time.Minute, true},
	{"WorkOrderLogIncomplete", "none has", `workorders_incomplete_logs{instance="a"} 0+0x10`, 10 * time.Minute, false},
	{"WorkOrderResultsLate", "they take a minute or more", latency(0, 10), 30 * time.Minute, true},
	{"WorkOrderResultsLate", "they take a second", latency(10, 10), 30 * time.Minute, false},
}

// steps is a step that takes so long for a week, once in two minutes, and then for an hour so long.
func steps(before, then int, instance string) string {
	const of = `{result="Succeeded", template="release", step="build", instance=`
	hour, week := 60, 8*24*60-61
	return fmt.Sprintf(`workorders_step_duration_seconds_sum%[1]s"a"} 0+%[2]gx%[3]d
		workorders_step_duration_seconds_count%[1]s"a"} 0+0.5x%[3]d
		workorders_step_duration_seconds_sum%[1]s%[4]q, hour="last"} 0x%[3]d 0+%[5]gx%[6]d
		workorders_step_duration_seconds_count%[1]s%[4]q, hour="last"} 0x%[3]d 0+0.5x%[6]d`,
		of, float64(before)/2, week, instance, float64(then)/2, hour)
}

// latency is a histogram of which so many a minute are within a second, and so many in all.
func latency(quick, all int) string {
	const of = `workorders_result_latency_seconds_bucket{instance="a", le=`
	return fmt.Sprintf("%[1]s\"1\"} 0+%[2]dx30\n%[1]s\"60\"} 0+%[2]dx30\n%[1]s\"300\"} 0+%[3]dx30\n%[1]s\"+Inf\"} 0+%[3]dx30", of, quick, all)
}

func TestAlertsAreDueWhenTheyShouldBe(t *testing.T) {
	all, told := rules(t), map[string]map[bool]bool{}
	engine := promqltest.NewTestEngine(t, false, 0, 1_000_000)
	for _, s := range stories {
		t.Run(s.alert+": "+s.is, func(t *testing.T) {
			storage := promqltest.LoadedStorage(t, "load 1m\n\t"+strings.ReplaceAll(s.series, "\n", "\n\t"))
			query, err := engine.NewInstantQuery(t.Context(), storage, nil, all[s.alert].Expr, time.Unix(0, 0).Add(s.after))
			if err != nil {
				t.Fatal(err)
			}
			result := query.Exec(t.Context())
			if result.Err != nil {
				t.Fatal(result.Err)
			}
			if vector, ok := result.Value.(promql.Vector); !ok || len(vector) > 0 != s.due {
				t.Errorf("due should be %v, and it says %v", s.due, result.Value)
			}
		})
		if told[s.alert] == nil {
			told[s.alert] = map[bool]bool{}
		}
		told[s.alert][s.due] = true
	}
	for alert := range all {
		if len(told[alert]) != 2 {
			t.Errorf("%s: tell one story in which it is due, and one in which it is not", alert)
		}
	}
}

// Whoever is woken by an alert wants to know what it means, and what to do.
func TestEachAlertHasARunbook(t *testing.T) {
	page, err := os.ReadFile("../../docs/runbooks.md")
	if err != nil {
		t.Fatal(err)
	}
	all := rules(t)
	for name, r := range all {
		if !strings.Contains(string(page), "\n## "+name+"\n") {
			t.Errorf("docs/runbooks.md has no section %s", name)
		}
		if !strings.HasSuffix(r.Annotations["runbook_url"], "/docs/runbooks#"+strings.ToLower(name)) {
			t.Errorf("%s refers to %q", name, r.Annotations["runbook_url"])
		}
		if r.Annotations["summary"] == "" || r.Annotations["description"] == "" || r.For == "" {
			t.Errorf("%s says too little", name)
		}
		if !regexp.MustCompile("^(critical|warning|info)$").MatchString(r.Labels["severity"]) {
			t.Errorf("%s is of the severity %q", name, r.Labels["severity"])
		}
		if _, err := parser.NewParser(parser.Options{}).ParseExpr(r.Expr); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, section := range regexp.MustCompile(`(?m)^## (\w+)$`).FindAllStringSubmatch(string(page), -1) {
		if _, found := all[section[1]]; !found {
			t.Errorf("docs/runbooks.md has a section %s, and there is no such alert", section[1])
		}
	}
}
