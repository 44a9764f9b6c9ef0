package main

import (
	"fmt"
	"io"
	"slices"
)

// usual are the results of the works without large values.
func (o *outcome) usual() []*results {
	return slices.DeleteFunc(slices.Clone(o.cells), func(r *results) bool { return r.cell.work.hasLarge() })
}

// beside are those of the others.
func (o *outcome) beside() []*results {
	return slices.DeleteFunc(slices.Clone(o.cells), func(r *results) bool { return !r.cell.work.hasLarge() })
}

// timeRatio compares how long two contestants take.
func (r *results) timeRatio(a, b string) spread { return r.ratio(b, a) }

// spentRatio compares what two contestants spend of one kind of processor time.
func (r *results) spentRatio(a, b string, of func(sample) float64) spread {
	return spreadOf(ratios(r.values(a, of), r.values(b, of)))
}

func serverSeconds(s sample) float64   { return s.serverCPU.Seconds() }
func databaseSeconds(s sample) float64 { return s.redisCPU.Seconds() }

// besideTable compares each contestant with what large values are to cost nothing above.
func (o *outcome) besideTable(w io.Writer) {
	t := newTable(w, "work", "contestant", "against", "time", "server CPU", "database CPU")
	for _, r := range o.beside() {
		base := r.cell.base()
		for _, c := range r.cell.contestants() {
			if c.name != base {
				t.row(r.cell.String(), c.name, base, factor(r.timeRatio(c.name, base)),
					factor(r.spentRatio(c.name, base, serverSeconds)), factor(r.spentRatio(c.name, base, databaseSeconds)))
			}
		}
	}
}

// besideTargets limit what large values cost a request that does not use them, and one that reads one of them.
func (o *outcome) besideTargets() []target {
	var all []target
	for _, r := range o.beside() {
		most := 1.1
		if r.cell.work == beside {
			most = 1.15
			redis := r.spentRatio(nameLarge, r.cell.base(), databaseSeconds)
			all = append(all, atMost(r, "database CPU against "+r.cell.base(), redis, most))
		}
		all = append(all, atMost(r, "time against "+r.cell.base(), r.timeRatio(nameLarge, r.cell.base()), most))
	}
	return all
}

func atMost(r *results, what string, ratio spread, most float64) target {
	return target{
		what:     fmt.Sprintf("%s, %s", r.cell, what),
		want:     fmt.Sprintf("≤ %.2f", most),
		got:      fmt.Sprintf("%.2f (%.2f to %.2f)", ratio.median, ratio.low, ratio.high),
		met:      ratio.median <= most,
		measured: true,
	}
}
