package monitoring

import (
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	promrules "github.com/prometheus/prometheus/rules"
	"sigs.k8s.io/yaml"
)

// rule is an alert as it is written down.
type rule struct {
	Alert, Expr, For    string
	KeepFiringFor       string `json:"keep_firing_for"`
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
	if len(all) < 9 {
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
	{"WorkOrderOperatorMissing", "nobody has told for 9 minutes", `workorders_orders{phase="Running", instance="a"} 1 stale`, 10 * time.Minute, false},
	{"WorkOrderOperatorMissing", "there are no orders", `workorders_orders{phase="Running", instance="a"} 0+0x10`, 10 * time.Minute, false},
	{"WorkOrderOperatorFailing", "every turn fails", failures("workorder", "0+30x30"), 30 * time.Minute, true},
	{"WorkOrderOperatorFailing", "one order fails every time, after a minute", failures("workorder", "0+0.67x30"), 30 * time.Minute, true},
	{"WorkOrderOperatorFailing", "one Pod cannot be let go", failures("heldpod", "0+2x30"), 30 * time.Minute, true},
	{"WorkOrderOperatorFailing", "it was so for 4 minutes", failures("workorder", "0+30x4 120+0x26"), 30 * time.Minute, false},
	{"WorkOrderOperatorFailing", "a turn fails now and then", failures("workorder", "0+0.2x30"), 30 * time.Minute, false},
	{"WorkOrderWebhookFailing", "it fails every five minutes", failures("workorder-certificates", "0+0.2x40"), 40 * time.Minute, true},
	{"WorkOrderWebhookFailing", "it failed twice", failures("workorder-certificates", "0 1 2+0x38"), 40 * time.Minute, false},
	{"WorkOrderWebhookFailing", "orders fail", failures("workorder", "0+30x40"), 40 * time.Minute, false},
	{"WorkOrderWebhookUnreached", "an order a minute is taken without it", unreached("admission.workorders.dev", "0+1x30"), 30 * time.Minute, true},
	{"WorkOrderWebhookUnreached", "it was not reached once", unreached("admission.workorders.dev", "0+0x10 1+0x20"), 20 * time.Minute, false},
	{"WorkOrderWebhookUnreached", "somebody else's is not reached", unreached("admission.example.com", "0+1x30"), 30 * time.Minute, false},
	{"WorkOrderUnseen", "three were not looked at", `workorders_unseen_orders{instance="a"} 3+0x10`, 10 * time.Minute, true},
	{"WorkOrderUnseen", "that was so until just now", `workorders_unseen_orders{instance="a"} 3+0x9 0`, 10 * time.Minute, false},
	{"WorkOrderUnseen", "all were looked at", `workorders_unseen_orders{instance="a"} 0+0x10`, 10 * time.Minute, false},
	{"WorkOrderStuck", "a Pod does not start", `workorders_oldest_waiting_step_seconds{instance="a"} 0+60x9`, 9 * time.Minute, true},
	{"WorkOrderStuck", "Pod after Pod does not start", `workorders_oldest_waiting_step_seconds{instance="a"} 0+60x10 0+60x3`, 14 * time.Minute, true},
	{"WorkOrderStuck", "a step waits for 7 minutes", `workorders_oldest_waiting_step_seconds{instance="a"} 0+60x7`, 7 * time.Minute, false},
	{"WorkOrderStuck", "it started long ago", `workorders_oldest_waiting_step_seconds{instance="a"} 0+60x10 0+0x20`, 30 * time.Minute, false},
	{"WorkOrderStepSlow", "it takes 10 s, and then 60 s, as another replica counts", steps(10, 60, "b"), 8 * 24 * time.Hour, true},
	{"WorkOrderStepSlow", "it takes 10 s, and then 15 s", steps(10, 15, "a"), 8 * 24 * time.Hour, false},
	{"WorkOrderStepSlow", "it has no history", strings.ReplaceAll(steps(10, 60, "a"), "+0.5x11459", "+0x11459"), 8 * 24 * time.Hour, false},
	{"WorkOrderStepSlow", "it has ended only ten times before", strings.NewReplacer("+0.5x11459", "+0.001x11459", "+5x11459", "+0.01x11459").Replace(steps(10, 60, "b")), 8 * 24 * time.Hour, false},
	{"WorkOrderStepSlow", "it is what fails that takes long", strings.ReplaceAll(steps(10, 60, "b"), "Succeeded", "Failed"), 8 * 24 * time.Hour, false},
	{"WorkOrderStepSlow", "nobody knows of what template it is", strings.ReplaceAll(steps(10, 60, "b"), `template="release"`, `template=""`), 8 * 24 * time.Hour, false},
	{"WorkOrderRewindStorm", "all fail", `workorders_rewinds_total{reason="Failed", instance="a"} 0+10x30`, 30 * time.Minute, true},
	{"WorkOrderRewindStorm", "all are interrupted", `workorders_rewinds_total{reason="Disrupted", instance="a"} 0+10x30`, 30 * time.Minute, true},
	{"WorkOrderRewindStorm", "more fail than succeed", `workorders_rewinds_total{reason="Failed", instance="a"} 0+10x30
		workorders_transitions_total{type="StepSucceeded", instance="a"} 0+5x30`, 30 * time.Minute, true},
	{"WorkOrderRewindStorm", "most succeed", `workorders_rewinds_total{reason="Failed", instance="a"} 0+10x30
		workorders_transitions_total{type="StepSucceeded", instance="a"} 0+50x30`, 30 * time.Minute, false},
	{"WorkOrderRewindStorm", "people ask for it", `workorders_rewinds_total{reason="Requested", instance="a"} 0+10x30`, 30 * time.Minute, false},
	{"WorkOrderRewindStorm", "a single one fails", `workorders_rewinds_total{reason="Failed", instance="a"} 0+1x15`, 15 * time.Minute, false},
	{"WorkOrderLogIncomplete", "two have a gap", `workorders_incomplete_logs{instance="a"} 2+0x10`, 10 * time.Minute, true},
	{"WorkOrderLogIncomplete", "it was closed", `workorders_incomplete_logs{instance="a"} 2+0x8 0 0`, 10 * time.Minute, false},
	{"WorkOrderLogIncomplete", "none has", `workorders_incomplete_logs{instance="a"} 0+0x10`, 10 * time.Minute, false},
	{"WorkOrderResultsLate", "they take a minute or more", latency(0, 10), 30 * time.Minute, true},
	{"WorkOrderResultsLate", "one in twenty does", latency(19, 20), 30 * time.Minute, true},
	{"WorkOrderResultsLate", "they take a second", latency(10, 10), 30 * time.Minute, false},
}

// failures are the turns of a controller that failed.
func failures(controller, counted string) string {
	return fmt.Sprintf("controller_runtime_reconcile_errors_total{controller=%q, instance=\"a\"} %s", controller, counted)
}

// unreached are the requests that an API server let pass without asking a webhook.
func unreached(webhook, counted string) string {
	return fmt.Sprintf("apiserver_admission_webhook_fail_open_count{name=%q, instance=\"a\"} %s", webhook, counted)
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

// watched is for how long before its end a story is looked at: longer than any alert waits, or goes on.
const watched = 40 * time.Minute

func TestAlertsFireWhenTheyShould(t *testing.T) {
	all, told := rules(t), map[string]map[bool]bool{}
	engine := promqltest.NewTestEngine(t, false, 0, 1_000_000)
	for _, s := range stories {
		t.Run(s.alert+": "+s.is, func(t *testing.T) {
			storage := promqltest.LoadedStorage(t, "load 1m\n\t"+strings.ReplaceAll(s.series, "\n", "\n\t"))
			query, alert := promrules.EngineQueryFunc(engine, storage), all[s.alert].alert(t)
			for at := max(0, s.after-watched); at <= s.after; at += time.Minute {
				now := time.Unix(0, 0).Add(at)
				if _, err := alert.Eval(t.Context(), 0, now, query, &url.URL{}, 0); err != nil {
					t.Fatal(err)
				}
				alert.SetEvaluationTimestamp(now) // Or it says that its state is unknown.
			}
			if fires := alert.State() == promrules.StateFiring; fires != s.due {
				t.Errorf("it should fire: %v, and it is %s", s.due, alert.State())
			}
			alert.ForEachActiveAlert(func(a *promrules.Alert) {
				if text := a.Annotations.Get("description"); strings.Contains(text, "error expanding") {
					t.Error(text)
				}
			})
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

// alert is the rule as Prometheus has it.
func (r rule) alert(t *testing.T) *promrules.AlertingRule {
	t.Helper()
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(r.Expr)
	if err != nil {
		t.Fatal(err)
	}
	duration := func(text string) time.Duration {
		if text == "" {
			return 0
		}
		d, err := model.ParseDuration(text)
		if err != nil {
			t.Fatal(err)
		}
		return time.Duration(d)
	}
	return promrules.NewAlertingRule(r.Alert, expr, duration(r.For), duration(r.KeepFiringFor), labels.FromMap(r.Labels),
		labels.FromMap(r.Annotations), labels.EmptyLabels(), "", true, slog.New(slog.DiscardHandler))
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
