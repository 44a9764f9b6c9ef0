package main

import (
	"bytes"
	"fmt"
	"html"
	"math"
)

// A chart is a panel with its lines.
type chart struct {
	title, unit string
	length      float64 // in seconds
	lines       []line
}

type line struct {
	name   string
	points []point
}

// A point is a value at a number of seconds. Where the value is NaN, there is none.
type point struct{ at, value float64 }

const (
	width, height         = 600, 240 // of a chart
	left, right           = 60, 12   // beside its plot
	top, bottom           = 32, 72   // and above and below it
	plotWidth, plotHeight = width - left - right, height - top - bottom
	legendLine            = 16
	legendColumns         = 4
	marks                 = 4 // on an axis
)

var colours = []string{
	"#3274d9", "#e0752d", "#3f9142", "#c4162a", "#8f3bb8", "#a88b00", "#1b9aaa", "#c15c9b", "#6b6f76", "#7a5230",
}

// draw returns the charts as an SVG, two beside each other.
func draw(charts []chart) []byte {
	var b bytes.Buffer
	rows := (len(charts) + 1) / 2
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif" font-size="11">`+"\n",
		2*width, rows*height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="white"/>`+"\n", 2*width, rows*height)
	for i, c := range charts {
		fmt.Fprintf(&b, `<g transform="translate(%d %d)">`+"\n", i%2*width, i/2*height)
		c.draw(&b)
		b.WriteString("</g>\n")
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

func (c chart) draw(b *bytes.Buffer) {
	fmt.Fprintf(b, `<text x="%d" y="20" font-size="13" font-weight="bold">%s</text>`+"\n", left, html.EscapeString(c.title))
	highest := c.highest()
	for i := range marks + 1 {
		y := top + plotHeight - float64(plotHeight*i)/marks
		fmt.Fprintf(b, `<path d="M%d %.1fH%d" stroke="#ddd"/>`+"\n", left, y, left+plotWidth)
		fmt.Fprintf(b, `<text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n", left-6, y+4, label(highest*float64(i)/marks, c.unit))
		x := left + float64(plotWidth*i)/marks
		fmt.Fprintf(b, `<text x="%.1f" y="%d" text-anchor="middle" fill="#666">%.3g s</text>`+"\n", x, top+plotHeight+14, c.length*float64(i)/marks)
	}
	for i, l := range c.lines {
		colour := colours[i%len(colours)]
		fmt.Fprintf(b, `<path d="%s" fill="none" stroke="%s" stroke-width="1.3"/>`+"\n", c.path(l, highest), colour)
		x := left + i%legendColumns*plotWidth/legendColumns
		y := top + plotHeight + 32 + i/legendColumns*legendLine
		fmt.Fprintf(b, `<rect x="%d" y="%d" width="8" height="8" fill="%s"/><text x="%d" y="%d">%s</text>`+"\n",
			x, y-8, colour, x+12, y, html.EscapeString(l.name))
	}
}

// path has a gap where a line has no value.
func (c chart) path(l line, highest float64) string {
	var b bytes.Buffer
	next := byte('M')
	before := math.Inf(-1)
	for _, p := range l.points {
		if math.IsNaN(p.value) {
			next = 'M'
			continue
		}
		if p.at-before > 1.5*interval.Seconds() {
			next = 'M'
		}
		fmt.Fprintf(&b, "%c%.1f %.1f", next, left+plotWidth*p.at/c.length, top+plotHeight*(1-p.value/highest))
		next, before = 'L', p.at
	}
	return b.String()
}

// highest returns the end of the axis: 1, 2 or 5 with zeros, or the like below 1.
func (c chart) highest() float64 {
	largest := 0.0
	for _, l := range c.lines {
		for _, p := range l.points {
			if p.value > largest { // which NaN is not
				largest = p.value
			}
		}
	}
	if largest == 0 {
		return 1
	}
	magnitude := math.Pow(10, math.Floor(math.Log10(largest)))
	for _, factor := range []float64{1, 2, 5} {
		if largest <= factor*magnitude {
			return factor * magnitude
		}
	}
	return 10 * magnitude
}

// label writes a number as Grafana does for its unit, roughly.
func label(value float64, unit string) string {
	switch {
	case unit == "s" && value > 0 && value < 1:
		return fmt.Sprintf("%.3g ms", 1000*value)
	case unit == "s":
		return fmt.Sprintf("%.3g s", value)
	case unit == "decbytes" && value >= 1000:
		return fmt.Sprintf("%.3g kB", value/1000)
	case unit == "decbytes":
		return fmt.Sprintf("%.3g B", value)
	case unit == "percentunit":
		return fmt.Sprintf("%.3g %%", 100*value)
	case unit == "cps":
		return fmt.Sprintf("%.4g/s", value)
	}
	return fmt.Sprintf("%.3g", value)
}
