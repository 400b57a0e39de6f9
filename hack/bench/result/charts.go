package result

import (
	"fmt"
	"image/color"
	"path/filepath"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// The colours of what is measured and of its floor: apart for every eye, on a light page and on a dark one.
var (
	oursColor  = color.RGBA{R: 0x1f, G: 0x77, B: 0xb4, A: 0xff}
	floorColor = color.RGBA{R: 0xe6, G: 0x8a, B: 0x00, A: 0xff}
)

// Charts draws what a table shows badly, as SVG files in a folder, and returns their names.
func (r *Report) Charts(folder string) (names []string, err error) {
	for _, chart := range []struct {
		name string
		draw func() (*plot.Plot, error)
	}{
		{"transitions-by-steps.svg", func() (*plot.Plot, error) {
			return r.bySize("Transitions a second, by the steps of an order in sequence", Sequence)
		}},
		{"transitions-by-width.svg", func() (*plot.Plot, error) {
			return r.bySize("Transitions a second, by the steps of an order side by side", SideBySide)
		}},
		{"transitions-by-orders.svg", func() (*plot.Plot, error) {
			return r.bySize("Transitions a second, by the orders at once", Crowd)
		}},
		{"pod-to-pod.svg", r.podToPod},
	} {
		p, err := chart.draw()
		if err != nil {
			return names, err
		}
		if p == nil {
			continue // Its row was not measured.
		}
		if err := p.Save(16*vg.Centimeter, 9*vg.Centimeter, filepath.Join(folder, chart.name)); err != nil {
			return names, fmt.Errorf("draw %s: %w", chart.name, err)
		}
		names = append(names, chart.name)
	}
	return names, nil
}

// newPlot is an empty one on white, so that it can be read on any page.
func newPlot(title, x, y string) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = color.White
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = title, x, y
	p.Title.Padding = vg.Points(8)
	p.Add(plotter.NewGrid())
	p.Legend.Top = true
	return p
}

// bySize draws the paces of P7 for one kind of size, against their floors.
func (r *Report) bySize(title string, kind Kind) (*plot.Plot, error) {
	var ours, floor plotter.XYs
	for _, size := range r.Sizes {
		if size.Kind == kind {
			ours = append(ours, plotter.XY{X: size.Of, Y: size.Rate})
			floor = append(floor, plotter.XY{X: size.Of, Y: size.Floor})
		}
	}
	if len(ours) == 0 {
		return nil, nil
	}
	p := newPlot(title, string(kind), "transitions/s")
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, ticks(ours)
	p.Y.Min = 0
	return p, add(p, series{"bare clients that write the same", floor, floorColor}, series{"the operator", ours, oursColor})
}

// ticks are where something was measured, so that it can be read off.
func ticks(points plotter.XYs) (ticks plot.ConstantTicks) {
	for _, point := range points {
		ticks = append(ticks, plot.Tick{Value: point.X, Label: number(point.X)})
	}
	return ticks
}

// series is a line through points.
type series struct {
	name   string
	points plotter.XYs
	color  color.Color
}

func add(p *plot.Plot, all ...series) error {
	for _, s := range all {
		line, points, err := plotter.NewLinePoints(s.points)
		if err != nil {
			return err
		}
		line.Color, line.Width, points.Color = s.color, vg.Points(2), s.color
		p.Add(line, points)
		p.Legend.Add(s.name, line, points)
	}
	return nil
}

// podToPod draws how many of the successions of P5 took no longer than a time.
func (r *Report) podToPod() (*plot.Plot, error) {
	p := newPlot("From a Pod's end to the next Pod", "milliseconds", "share of all, %")
	p.Y.Min, p.Y.Max = 0, 100
	p.Legend.Top = false
	colors := []color.Color{oursColor, floorColor}
	drawn := 0
	for _, line := range r.Lines {
		what, found := strings.CutPrefix(line.What, "Pod's end to next Pod, ")
		if line.Row != "P5" || !found || drawn == len(colors) {
			continue
		}
		samples := slices.Sorted(slices.Values(line.OursSamples))
		var points plotter.XYs
		for i, sample := range samples {
			points = append(points, plotter.XY{X: sample, Y: 100 * float64(i+1) / float64(len(samples))})
		}
		curve, err := plotter.NewLine(points)
		if err != nil {
			return nil, err
		}
		curve.Color, curve.Width = colors[drawn], vg.Points(2)
		p.Add(curve)
		p.Legend.Add(what, curve)
		drawn++
	}
	if drawn == 0 {
		return nil, nil
	}
	return p, nil
}
