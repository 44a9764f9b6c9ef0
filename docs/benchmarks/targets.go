package main

import (
	"fmt"
	"slices"
	"strings"
)

// A target is something that session has set itself, and what became of it.
type target struct {
	what, want, got string
	met             bool
	measured        bool
}

// verdict is what the report says.
func (t target) verdict() string {
	switch {
	case !t.measured:
		return "not measured"
	case t.met:
		return "met"
	}
	return "**not met**"
}

// rateTargets are the least ratios of session's rate to that of another. They hold for 4 kB, over a socket and over TCP.
var rateTargets = []struct {
	work        work
	connections []int
	against     func(*results) (contestant, role string)
	least       float64
	ifEqual     float64 // where the database has SET with IFEQ, if that is another
}{
	{untouched, []int{1, 32, 256}, named(nameBare), 0.97, 0},
	{read, []int{1}, bestFloor, 0.95, 0},
	{read, []int{32, 256}, named(nameRueidis), 0.85, 0},
	{read, []int{32, 256}, named(nameRedigo), 1.0, 0},
	{read, []int{32, 256}, bestRival, 2.4, 0},
	{write, []int{1}, bestFloor, 0.9, 0},
	{write, []int{32, 256}, named(nameRueidis), 0.75, 0.85},
	{write, []int{32, 256}, bestRival, 2.4, 0},
}

func named(name string) func(*results) (contestant, role string) {
	return func(*results) (contestant, role string) { return name, name }
}

func bestFloor(r *results) (contestant, role string) {
	name := r.best(floor)
	return name, "the best floor, " + name
}

func bestRival(r *results) (contestant, role string) {
	name := r.best(rival)
	return name, "the best rival, " + name
}

func (o *outcome) targets() []target {
	var all []target
	for _, d := range o.plan.databases {
		all = append(all, o.rateTargets(d)...)
	}
	for _, d := range o.plan.databases {
		all = append(all, o.userTarget(d))
		all = append(all, o.saveTargets(d)...)
		all = append(all, o.commandTargets(d)...)
	}
	return append(append(all, o.largeTarget()), o.besideTargets()...)
}

func (o *outcome) rateTargets(d database) []target {
	var all []target
	for _, network := range []string{"unix", "tcp"} {
		for _, t := range rateTargets {
			least := t.least
			if t.ifEqual > 0 && o.ifEqual[d.name] {
				least = t.ifEqual
			}
			for _, connections := range t.connections {
				if r := o.find(cell{t.work, size4kB, connections, network, d.name}); r != nil {
					name, role := t.against(r)
					all = append(all, atLeast(r, nameSession, name, "against "+role, least))
				}
			}
		}
	}
	return all
}

// userTarget limits what the list of a user costs a load.
func (o *outcome) userTarget(d database) target {
	c := cell{read, size4kB, 32, "unix", d.name}
	r := o.find(c)
	if r == nil {
		r = &results{cell: c}
	}
	return atLeast(r, nameUser, nameSession, "of a user, against session", 0.94)
}

func (o *outcome) find(c cell) *results {
	for _, r := range o.cells {
		if r.cell == c {
			return r
		}
	}
	return nil
}

func atLeast(r *results, one, other, role string, least float64) target {
	ratio := r.ratio(one, other)
	return target{
		what:     fmt.Sprintf("%s, %s", r.cell, role),
		want:     fmt.Sprintf("≥ %.2f", least),
		got:      fmt.Sprintf("%.2f (%.2f to %.2f)", ratio.median, ratio.low, ratio.high),
		met:      ratio.median >= least,
		measured: len(r.samples) > 0,
	}
}

// savesOn are those that were measured on a database.
func (o *outcome) savesOn(d database) []saveResults {
	return slices.DeleteFunc(slices.Clone(o.saves), func(s saveResults) bool { return s.database != d.name })
}

// saveTargets limit what the safe save costs the database above a plain SET.
func (o *outcome) saveTargets(d database) []target {
	var all []target
	for _, s := range o.savesOn(d) {
		most := map[int]float64{size64kB: 15, size1MB: 50}[s.size]
		if most == 0 {
			continue
		}
		above := s.above(stagedSave)
		all = append(all, target{
			what:     fmt.Sprintf("save of %s, %s: its CPU above a plain SET", sizeName(s.size), d.name),
			want:     fmt.Sprintf("≤ %.0f µs", most),
			got:      fmt.Sprintf("%.1f µs (%.1f to %.1f)", above.median, above.low, above.high),
			met:      above.median <= most,
			measured: true,
		})
	}
	return all
}

// above is how much more CPU time of the database, in microseconds, a way takes than a plain SET in the same round.
func (s *saveResults) above(way string) spread {
	var more []float64
	for i, cpu := range s.cpu[way] {
		more = append(more, (cpu-s.cpu[plainSet][i])*1e6)
	}
	return spreadOf(more)
}

func (o *outcome) largeTarget() target {
	const most = 1.3
	ratio := spreadOf(ratios(o.large.session, o.large.floor))
	return target{
		what:     "session of 10 MB, one small value read: time against a GETEX of it",
		want:     fmt.Sprintf("≤ %.1f", most),
		got:      fmt.Sprintf("%.2f (%.2f to %.2f)", ratio.median, ratio.low, ratio.high),
		met:      ratio.median <= most,
		measured: len(o.large.session) > 0,
	}
}

func (o *outcome) commandTargets(d database) []target {
	exact := func(w work, roundTrips float64, commands ...string) target {
		b := o.budgets[budgetKey{d.name, nameSession, w, size200B}] // a larger one can take Redis more than one read
		return target{
			what:     fmt.Sprintf("%s, %s: commands, and round trips", w, d.name),
			want:     fmt.Sprintf("%s; %.0f", list(commands), roundTrips),
			got:      fmt.Sprintf("%s; %.2f", list(b.commands), b.roundTrips),
			met:      slices.Equal(b.commands, commands) && b.roundTrips < roundTrips+0.05,
			measured: len(o.budgets) > 0,
		}
	}
	save := []string{"GETEX", "SET", "EVALSHA"}
	if o.ifEqual[d.name] {
		save = []string{"GETEX", "SET"}
	}
	return []target{
		exact(untouched, 0),
		exact(read, 1, "GETEX"),
		exact(write, 2, save...),
		exact(begin, 1, "SET"),
	}
}

// list writes commands in one cell of a table.
func list(commands []string) string {
	if len(commands) == 0 {
		return "none"
	}
	return strings.Join(commands, " ")
}
