package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// A bin is the number of values up to a size that do not belong to the bin before.
type bin struct {
	label string
	upTo  int64 // none for the last bin
	n     int64
}

// The bounds of bins. The last bin has what is above.
var (
	sizeBounds = []int64{128, 256, 512, 1 << 10, 2 << 10, 4 << 10, 8 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20}
	lifeBounds = []time.Duration{
		time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 20 * time.Minute, 25 * time.Minute, 30 * time.Minute,
		time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 24 * time.Hour,
		7 * 24 * time.Hour, 14 * 24 * time.Hour, 21 * 24 * time.Hour, 30 * 24 * time.Hour,
	}
)

// binned counts values by bounds. Empty bins at both ends are left out.
func binned[T ~int64](values, bounds []T, label func(T) string) []bin {
	bins := make([]bin, len(bounds)+1)
	for i, bound := range bounds {
		bins[i] = bin{label: "up to " + label(bound), upTo: int64(bound)}
	}
	bins[len(bounds)].label = "more"
	for _, v := range values {
		i, _ := slices.BinarySearch(bounds, v)
		bins[i].n++
	}
	for len(bins) > 0 && bins[0].n == 0 {
		bins = bins[1:]
	}
	for len(bins) > 0 && bins[len(bins)-1].n == 0 {
		bins = bins[:len(bins)-1]
	}
	return bins
}

// eighths are blocks of one to eight eighths of a column.
var eighths = []rune("▏▎▍▌▋▊▉█")

// blocks is a bar of part of width columns. What is not nothing can be seen.
func blocks(part float64, width int) string {
	n := int(part*float64(width)*8 + 0.5)
	if n == 0 && part > 0 {
		n = 1
	}
	text := strings.Repeat("█", n/8)
	if n%8 > 0 {
		text += string(eighths[n%8-1])
	}
	return text
}

// draw draws bins into a terminal of so many columns.
func draw(out io.Writer, bins []bin, width int) {
	var all, largest int64
	labels := 0
	for _, b := range bins {
		all, largest, labels = all+b.n, max(largest, b.n), max(labels, len(b.label))
	}
	const share = len("  100.0 %  ")
	bars := min(max(width-labels-share-2, 5), 60)
	for _, b := range bins {
		line := fmt.Sprintf("  %*s  %5.1f %%  %s", labels, b.label, 100*float64(b.n)/float64(all), blocks(float64(b.n)/float64(largest), bars))
		fmt.Fprintln(out, strings.TrimRight(line, " "))
	}
}

// quantile returns the value that a part of sorted values do not exceed, 0 if there are none.
func quantile[T any](sorted []T, part float64) (value T) {
	if len(sorted) > 0 {
		value = sorted[int(part*float64(len(sorted)-1))]
	}
	return value
}
