package main

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
)

func TestPictureIsXMLWithEachLine(t *testing.T) {
	svg := string(draw([]chart{
		{title: "a & b", unit: "s", length: 10, lines: []line{{"p50 <ok>", []point{{0, 1}, {1, 2}}}, {"none", nil}}},
		{title: "nothing", unit: "cps", length: 10},
		{title: "bytes", unit: "decbytes", length: 10, lines: []line{{"load", []point{{0, 1500}}}}},
	}))
	decoder := xml.NewDecoder(strings.NewReader(svg))
	for {
		if _, err := decoder.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"a &amp; b", "p50 &lt;ok&gt;", ">none<", ">nothing<", ">2 s<", ">500 ms<", ">2 kB<", ">500 B<", ">1/s<"} {
		if !strings.Contains(svg, want) {
			t.Errorf("the picture has no %s:\n%s", want, svg)
		}
	}
}

func TestLineHasGapsWhereThereIsNothing(t *testing.T) {
	c := chart{length: 10}
	for name, points := range map[string][]point{
		"not a number": {{0, 0}, {1, 0}, {2, math.NaN()}, {3, 0}},
		"no point":     {{0, 0}, {1, 0}, {3, 0}},
	} {
		path := c.path(line{points: points}, 1)
		if strings.Count(path, "M") != 2 || strings.Count(path, "L") != 1 {
			t.Errorf("%s: %s", name, path)
		}
	}
}

func TestAxisEndsAboveTheLargestValue(t *testing.T) {
	for largest, want := range map[float64]float64{0: 1, 0.03: 0.05, 1: 1, 1.5: 2, 4: 5, 70: 100} {
		c := chart{lines: []line{{"", []point{{0, largest}, {1, math.NaN()}}}}}
		if got := c.highest(); math.Abs(got-want) > 1e-9 {
			t.Errorf("for %v the axis ends at %v, not %v", largest, got, want)
		}
	}
}
