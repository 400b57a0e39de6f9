package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"strings"
	"text/template"
)

// text is the document but for its numbers: what is promised, how it is shown, and where it ends.
//
//go:embed reliability.md.tmpl
var text string

// document is docs/reliability.md, made whole.
func (f *findings) document() ([]byte, error) {
	parsed, err := template.New("reliability.md").Parse(text)
	if err != nil {
		return nil, fmt.Errorf("parse the template: %w", err)
	}
	var out bytes.Buffer
	if err := parsed.Execute(&out, f); err != nil {
		return nil, fmt.Errorf("fill in the template: %w", err)
	}
	return out.Bytes(), nil
}

// Summary is all of it in a sentence, for the document.
func (f *findings) Summary() string { return f.summary() }

// Table is the results as a table in Markdown.
func (f *findings) Table() string {
	var out strings.Builder
	out.WriteString("| | what may go wrong | by | cases | violations | seeds | time | worth knowing |\n|---|---|---|---|---|---|---|---|\n")
	row := func(cells ...string) {
		for i, cell := range cells {
			cells[i] = strings.ReplaceAll(cell, "|", `\|`)
		}
		fmt.Fprintf(&out, "| %s |\n", strings.Join(cells, " | "))
	}
	for i := range f.Results {
		r := &f.Results[i]
		id, hazard := "**"+r.ID+"**", r.Hazard
		for j := range r.Lines {
			line := &r.Lines[j]
			violations := "0"
			if line.Violations > 0 {
				violations = "**" + grouped(line.Violations) + "**"
			}
			row(id, hazard, line.Harness, grouped(line.Cases)+" "+line.Unit, violations, line.Seeds, took(line.Seconds), strings.Join(worth(line), "; "))
			id, hazard = "", ""
		}
		if !r.Run() {
			row(id, hazard, "", "**NOT RUN**", "", "", "", "")
		}
	}
	return out.String()
}
