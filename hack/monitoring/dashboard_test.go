package monitoring

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
)

// panel is a picture of the dashboard, or a heading.
type panel struct {
	ID                       int
	Type, Title, Description string
	Datasource               struct{ UID string }
	GridPos                  struct{ X, Y, W, H int }
	FieldConfig              struct{ Defaults struct{ Unit string } }
	Targets                  []struct{ Expr, LegendFormat, RefID string }
}

func panels(t *testing.T) []panel {
	t.Helper()
	content, err := os.ReadFile("../../config/grafana/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct{ Panels []panel }
	if err := json.Unmarshal(content, &dashboard); err != nil {
		t.Fatal(err)
	}
	if len(dashboard.Panels) < 10 {
		t.Fatalf("only %d panels", len(dashboard.Panels))
	}
	return dashboard.Panels
}

// grafana are the variables of the dashboard as it would fill them in.
var grafana = strings.NewReplacer("$__rate_interval", "5m", "$job", ".+", "$instance", ".+")

func TestEachPanelCanBeReadAndAsksForSomething(t *testing.T) {
	ids := map[int]bool{}
	for _, p := range panels(t) {
		if ids[p.ID] || p.Title == "" {
			t.Errorf("panel %d %q has a number that is taken, or no title", p.ID, p.Title)
		}
		ids[p.ID] = true
		if p.Type == "row" {
			continue
		}
		if p.Description == "" || p.FieldConfig.Defaults.Unit == "" || p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 {
			t.Errorf("%q lacks a description, a unit, the data source that the reader chose, or something to show: %+v", p.Title, p)
		}
		for _, target := range p.Targets {
			expression, err := parser.NewParser(parser.Options{}).ParseExpr(grafana.Replace(target.Expr))
			if err != nil {
				t.Errorf("%q: %v", p.Title, err)
				continue
			}
			if target.LegendFormat == "" {
				t.Errorf("%q has a line without a name", p.Title)
			}
			if strings.Count(target.Expr, `{job=~"$job", instance=~"$instance"`) != selectors(expression) {
				t.Errorf("%q does not heed what the reader has chosen: %s", p.Title, target.Expr)
			}
			if strings.Contains(target.Expr, "[") && !regexp.MustCompile(`\[(\$__rate_interval|1h)\]`).MatchString(target.Expr) {
				t.Errorf("%q goes over a time that does not fit the picture: %s", p.Title, target.Expr)
			}
		}
	}
}

// selectors is how many series an expression asks for.
func selectors(expression parser.Expr) (count int) {
	parser.Inspect(expression, func(node parser.Node, _ []parser.Node) error {
		if _, ok := node.(*parser.VectorSelector); ok {
			count++
		}
		return nil
	})
	return count
}

func TestPanelsDoNotOverlap(t *testing.T) {
	taken := map[[2]int]string{}
	for _, p := range panels(t) {
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other, found := taken[[2]int{x, y}]; found || x >= 24 {
					t.Fatalf("%q lies over %q, or beyond the edge", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
	}
}
