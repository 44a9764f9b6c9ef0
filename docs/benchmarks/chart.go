package main

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// A chart is a picture of the report.
type chart struct{ file, caption string }

// charts draws those that there is something to draw for.
func (o *outcome) charts(folder string) ([]chart, error) {
	plot.DefaultFont = font.Font{Typeface: "Liberation", Variant: "Sans"}
	plotter.DefaultFont = plot.DefaultFont
	var drawn []chart
	for _, d := range []struct {
		chart
		plots []*plot.Plot
	}{
		{chart{"work.svg", "Requests per second relative to the redigo floor, by work; an untouched route relative to bare"}, o.workChart()},
		{chart{"size.svg", "Requests per second relative to the redigo floor, by the size of the session"}, o.sizeCharts()},
		{chart{"connections.svg", "Requests per second by the number of connections"}, o.connectionCharts()},
		{chart{"save.svg", "Redis CPU per save, by the size of the value"}, o.saveCharts()},
	} {
		if len(d.plots) == 0 {
			continue
		}
		if err := writeSVG(filepath.Join(folder, d.file), d.plots); err != nil {
			return nil, err
		}
		drawn = append(drawn, d.chart)
	}
	return drawn, nil
}

// writeSVG puts plots side by side, and the legend of the first one, which stands for all, to the right of them.
func writeSVG(file string, plots []*plot.Plot) error {
	width, height, legendWidth := 9*vg.Inch, 3.6*vg.Inch, 1.15*vg.Inch
	if plots[0].Legend.Left { // it stands in the plot, where there is room
		legendWidth = 0
	}
	canvas := vgsvg.New(width, height)
	whole := draw.New(canvas)
	whole.SetColor(color.White)
	whole.Fill(whole.Rectangle.Path())
	margin := 3 * vg.Millimeter
	inner := draw.Crop(whole, margin, -margin, margin, -margin)

	area := draw.Crop(inner, 0, -legendWidth, 0, 0)
	if legendWidth > 0 {
		legend := plots[0].Legend
		legend.Left = true
		legend.Draw(draw.Crop(inner, area.Max.X-inner.Min.X+margin, 0, 0, -12*vg.Millimeter))
		for _, p := range plots {
			p.Legend = plot.NewLegend()
		}
	}
	tiles := draw.Tiles{Rows: 1, Cols: len(plots), PadX: 8 * vg.Millimeter}
	for i, c := range plot.Align([][]*plot.Plot{plots}, tiles, area)[0] {
		plots[i].Draw(c)
	}
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return err
	}
	svg := bytes.ReplaceAll(b.Bytes(), []byte("font-family:Liberation Sans;"), []byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;"))
	return os.WriteFile(file, svg, 0o644)
}

// baseline is what the charts take for 1.
func (r *results) baseline() string {
	if r.cell.work == untouched {
		return nameBare
	}
	return nameRedigo
}

// first is the database that has all cells.
func (o *outcome) first() string { return o.plan.databases[0].name }

// colors keep the variants of one library together.
var colors = map[string]color.Color{
	nameRedigo:     gray(0x70),
	nameRueidis:    gray(0x30),
	nameGoRedis:    gray(0xb0),
	nameSession:    color.RGBA{0x1f, 0x5f, 0xbf, 0xff},
	nameUser:       color.RGBA{0x8f, 0xb4, 0xe3, 0xff},
	"scs":          color.RGBA{0xd9, 0x5f, 0x0e, 0xff},
	"scs JSON":     color.RGBA{0xfe, 0x99, 0x29, 0xff},
	"scs idle":     color.RGBA{0xfe, 0xd0, 0x8a, 0xff},
	"gorilla":      color.RGBA{0x2c, 0x86, 0x4b, 0xff},
	"gorilla JSON": color.RGBA{0x8f, 0xcf, 0x9b, 0xff},
	plainSet:       gray(0x70),
	emptyScript:    gray(0xb0),
	scriptWhole:    color.RGBA{0xd9, 0x5f, 0x0e, 0xff},
	scriptDigest:   color.RGBA{0xfe, 0x99, 0x29, 0xff},
}

func gray(level uint8) color.Color { return color.RGBA{level, level, level, 0xff} }

func newPlot(title, y string) *plot.Plot {
	p := plot.New()
	p.Title.Text = title
	p.Title.TextStyle.Font.Size = 12
	p.Title.Padding = 4 * vg.Millimeter
	p.Y.Label.Text = y
	p.Y.Label.Padding = 2 * vg.Millimeter
	p.Y.Min = 0
	p.Y.Tick.Marker = majorTicks{}
	p.Legend.Top = true
	p.Legend.TextStyle.Font.Size = 9
	p.Legend.Padding = 0.6 * vg.Millimeter
	p.Legend.ThumbnailWidth = 5 * vg.Millimeter
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.LineStyle.Color = gray(0x90)
		axis.Tick.LineStyle.Color = gray(0x90)
		axis.Tick.Label.Font.Size = 9
		axis.Label.TextStyle.Font.Size = 10
	}
	grid := plotter.NewGrid()
	grid.Vertical.Width = 0
	grid.Horizontal.Color, grid.Horizontal.Width = gray(0xdd), vg.Points(0.6)
	p.Add(grid)
	return p
}

// workChart compares the works at 32 connections.
func (o *outcome) workChart() []*plot.Plot {
	var cells []*results
	var names []string
	for _, r := range o.cells {
		c := r.cell
		if c.connections == 32 && c.network == "unix" && c.size <= size4kB && c.database == o.first() {
			cells = append(cells, r)
			names = append(names, strings.Replace(c.work.String(), ", then ", ", ", 1)+"\n"+sizeName(c.size))
		}
	}
	if len(cells) == 0 {
		return nil
	}
	p := newPlot("Requests per second relative to the redigo floor, 32 connections", "redigo floor = 1")
	shown := compared(nameRueidis, nameGoRedis)
	const group = 0.8 // of the distance between two works
	width := 7 * vg.Inch / vg.Length(len(cells)) * group / vg.Length(len(shown))
	for i, name := range shown {
		var medians plotter.Values
		for _, r := range cells {
			ratio := r.ratio(name, r.baseline()).median
			if math.IsNaN(ratio) { // the floors are not measured where there is nothing to do
				ratio = 0
			}
			medians = append(medians, ratio)
		}
		bars, err := plotter.NewBarChart(medians, width)
		if err != nil {
			return nil
		}
		bars.Color = colors[name]
		bars.LineStyle.Width = 0
		bars.Offset = width * (vg.Length(i) - vg.Length(len(shown)-1)/2)
		p.Add(bars)
		p.Legend.Add(name, bars)
	}
	p.Add(level(1))
	p.NominalX(names...)
	p.X.Min, p.X.Max = -0.5, float64(len(cells))-0.5
	p.Y.Max = max(p.Y.Max, 1) * 1.05
	return []*plot.Plot{p}
}

// compared are the names of the rivals and of session, after those that come first.
func compared(first ...string) []string {
	names := append(first, nameSession)
	for _, c := range contestants {
		if c.kind == rival {
			names = append(names, c.name)
		}
	}
	return names
}

// level is a dashed line from one end of a plot to the other.
func level(y float64) plot.Plotter {
	line := plotter.NewFunction(func(float64) float64 { return y })
	line.Color = gray(0x40)
	line.Dashes = []vg.Length{vg.Points(4), vg.Points(3)}
	return line
}

// sizeCharts follow read and write from small sessions to large ones, at 32 connections.
func (o *outcome) sizeCharts() []*plot.Plot {
	return o.lineCharts([]int{size200B, size4kB, size64kB, size1MB}, sizeName,
		func(w work, size int) cell { return cell{w, size, 32, "unix", o.first()} },
		func(w work) *plot.Plot {
			p := newPlot(capital(w.String())+", 32 connections", "requests per second, redigo floor = 1")
			p.X.Label.Text = "size of the session"
			p.Add(level(1))
			return p
		},
		compared(nameRueidis),
		func(r *results, name string) float64 { return r.ratio(name, r.baseline()).median })
}

// connectionCharts follow read and write from few connections to many, at 4 kB.
func (o *outcome) connectionCharts() []*plot.Plot {
	return o.lineCharts([]int{1, 32, 256}, func(n int) string { return fmt.Sprint(n) },
		func(w work, n int) cell { return cell{w, size4kB, n, "unix", o.first()} },
		func(w work) *plot.Plot {
			p := newPlot(capital(w.String())+", 4 kB", "thousand requests per second")
			p.X.Label.Text = "connections"
			return p
		},
		compared(nameRedigo, nameRueidis),
		func(r *results, name string) float64 { return median(r.rates(name)) / 1000 })
}

// lineCharts draw a plot for read and one for write, with the same scale. Its lines are those of the names; its points are
// those of the steps whose cells were measured.
func (o *outcome) lineCharts(steps []int, stepName func(int) string, cellOf func(work, int) cell, newPlot func(work) *plot.Plot,
	names []string, value func(r *results, name string) float64) []*plot.Plot {
	var plots []*plot.Plot
	highest := 0.0
	for _, w := range []work{read, write} {
		p := newPlot(w)
		var ticks []string
		points := make(map[string]plotter.XYs)
		for _, step := range steps {
			r := o.find(cellOf(w, step))
			if r == nil {
				continue
			}
			for _, name := range names {
				points[name] = append(points[name], plotter.XY{X: float64(len(ticks)), Y: value(r, name)})
			}
			ticks = append(ticks, stepName(step))
		}
		if len(ticks) < 2 {
			return nil
		}
		for _, name := range names {
			addLine(p, name, points[name])
		}
		p.NominalX(ticks...)
		p.X.Min, p.X.Max = -0.2, float64(len(ticks))-0.8
		highest = max(highest, p.Y.Max)
		plots = append(plots, p)
	}
	for _, p := range plots {
		p.Y.Max = highest * 1.05
	}
	return plots
}

func addLine(p *plot.Plot, name string, points plotter.XYs) {
	line, dots, err := plotter.NewLinePoints(points)
	if err != nil { // a NaN or no points: there is nothing to show
		return
	}
	line.Color, dots.Color = colors[name], colors[name]
	line.Width = vg.Points(1.6)
	if name == nameSession {
		line.Width = vg.Points(2.6)
	}
	dots.Shape, dots.Radius = draw.CircleGlyph{}, vg.Points(2.6)
	p.Add(line, dots)
	p.Legend.Add(name, line, dots)
}

// saveCharts compare the ways to save, in a plot for each database.
func (o *outcome) saveCharts() []*plot.Plot {
	var plots []*plot.Plot
	for _, d := range o.plan.databases {
		if saves := o.savesOn(d); len(saves) > 1 {
			plots = append(plots, saveChart(d, saves))
		}
	}
	return plots
}

func saveChart(d database, saves []saveResults) *plot.Plot {
	p := newPlot(d.name+": CPU per save", "µs, logarithmic")
	p.X.Label.Text = "size of the value"
	p.Y.Min, p.Y.Scale, p.Y.Tick.Marker = 1, plot.LogScale{}, powers{}
	var ticks []string
	for _, s := range saves {
		ticks = append(ticks, sizeName(s.size))
	}
	for _, way := range saveWays {
		var points plotter.XYs
		for i, s := range saves {
			points = append(points, plotter.XY{X: float64(i), Y: max(1, median(s.cpu[way])*1e6)})
		}
		addLine(p, way, points)
	}
	p.NominalX(ticks...)
	p.X.Min, p.X.Max = -0.2, float64(len(ticks))-0.8
	p.Y.Max = math.Pow(10, math.Ceil(math.Log10(p.Y.Max)))
	p.Legend.Left = true
	return p
}

// majorTicks are the usual ones that have a label.
type majorTicks struct{}

func (majorTicks) Ticks(low, high float64) []plot.Tick {
	return slices.DeleteFunc(plot.DefaultTicks{}.Ticks(low, high), plot.Tick.IsMinor)
}

// powers ticks the powers of ten, in full.
type powers struct{}

func (powers) Ticks(low, high float64) []plot.Tick {
	var ticks []plot.Tick
	for x := math.Pow(10, math.Ceil(math.Log10(low))); x <= high*1.001; x *= 10 {
		ticks = append(ticks, plot.Tick{Value: x, Label: count(x)})
	}
	return ticks
}
