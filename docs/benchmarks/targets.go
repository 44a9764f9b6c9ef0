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

// rateTargets are the least ratios of session's rate to that of another. They hold in every network that is measured.
var rateTargets = []struct {
	work        work
	size        int
	connections int
	floor       float64 // 0 where there is none
	rival       float64
}{
	{untouched, size4kB, 1, 0.97, 0},
	{untouched, size4kB, 32, 0.97, 0},
	{untouched, size4kB, 256, 0.97, 0},
	{read, size4kB, 1, 0.93, 0},
	{read, size4kB, 32, 1.0, 2.4},
	{read, size4kB, 256, 1.0, 2.4},
	{write, size4kB, 32, 0.95, 2},
	{write, size4kB, 256, 0.95, 2},
	{read, size200B, 32, 0.97, 1.5},
	{read, size200B, 256, 0.97, 1.5},
}

func (o *outcome) targets() []target {
	all := append(o.rateTargets(), o.userTargets()...)
	all = append(all, o.saveTargets()...)
	all = append(all, o.largeTarget())
	all = append(all, o.besideTargets()...)
	all = append(all, o.allocTargets()...)
	return append(all, o.commandTargets()...)
}

func (o *outcome) rateTargets() []target {
	var all []target
	for _, network := range []string{"unix", "tcp"} {
		for _, t := range rateTargets {
			c := cell{t.work, t.size, t.connections, network}
			r := o.find(c)
			if r == nil {
				continue
			}
			all = append(all, atLeast(r, r.floor(), t.floor))
			if t.rival > 0 {
				all = append(all, atLeast(r, r.bestRival(), t.rival))
			}
		}
	}
	return all
}

// userTargets limit what the list of a user costs a load.
func (o *outcome) userTargets() []target {
	const least = 0.94
	var all []target
	for _, network := range []string{"unix", "tcp"} {
		r := o.find(cell{read, size4kB, 32, network})
		if r == nil {
			continue
		}
		ratio := r.ratio(nameUser, nameSession)
		all = append(all, target{
			what:     fmt.Sprintf("%s, of a user, against session", r.cell),
			want:     fmt.Sprintf("≥ %.2f", least),
			got:      fmt.Sprintf("%.2f (%.2f to %.2f)", ratio.median, ratio.low, ratio.high),
			met:      ratio.median >= least,
			measured: true,
		})
	}
	return all
}

func (o *outcome) find(c cell) *results {
	for _, r := range o.cells {
		if r.cell == c {
			return r
		}
	}
	return nil
}

func atLeast(r *results, other string, least float64) target {
	ratio := r.ratio(nameSession, other)
	role := other
	if other != r.floor() {
		role = "the best rival, " + other
	}
	return target{
		what:     fmt.Sprintf("%s, against %s", r.cell, role),
		want:     fmt.Sprintf("≥ %.2f", least),
		got:      fmt.Sprintf("%.2f (%.2f to %.2f)", ratio.median, ratio.low, ratio.high),
		met:      ratio.median >= least,
		measured: true,
	}
}

// saveTargets limit what the safe save costs Redis above a plain SET.
func (o *outcome) saveTargets() []target {
	var all []target
	for _, s := range o.saves {
		most := map[int]float64{size64kB: 15, size1MB: 50}[s.size]
		if most == 0 {
			continue
		}
		above := s.above(stagedSave)
		all = append(all, target{
			what:     fmt.Sprintf("save of %s: Redis CPU above a plain SET", sizeName(s.size)),
			want:     fmt.Sprintf("≤ %.0f µs", most),
			got:      fmt.Sprintf("%.1f µs (%.1f to %.1f)", above.median, above.low, above.high),
			met:      above.median <= most,
			measured: true,
		})
	}
	return all
}

// above is how much more CPU time of Redis, in microseconds, a way takes than a plain SET in the same round.
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

// besideTargets limit what large values cost a request that does not use them, and one that reads one of them.
func (o *outcome) besideTargets() []target {
	var all []target
	for _, r := range o.cells {
		time := spreadOf(ratios(r.rates(r.floor()), r.rates(nameLarge)))
		switch r.cell.work {
		case beside:
			redis := spreadOf(ratios(r.redisCPU(nameLarge), r.redisCPU(r.floor())))
			all = append(all, atMost(r, "time against a session without", time, 1.15), atMost(r, "Redis CPU against a session without", redis, 1.15))
		case readLarge:
			all = append(all, atMost(r, "time against a bare HGET", time, 1.1))
		}
	}
	return all
}

func atMost(r *results, what string, ratio spread, most float64) target {
	return target{
		what:     fmt.Sprintf("%s: %s", r.cell, what),
		want:     fmt.Sprintf("≤ %.2f", most),
		got:      fmt.Sprintf("%.2f (%.2f to %.2f)", ratio.median, ratio.low, ratio.high),
		met:      ratio.median <= most,
		measured: true,
	}
}

// overBare is how many allocations a work of a contestant makes more than a handler without a session.
func (o *outcome) overBare(key budgetKey) float64 {
	bare := key
	bare.contestant = nameBare
	return o.budgets[key].allocs - o.budgets[bare].allocs
}

func (o *outcome) allocTargets() []target {
	limit := func(w work, size int, most float64) target {
		got := o.overBare(budgetKey{nameSession, w, size})
		return target{
			what:     fmt.Sprintf("%s, %s, %d values: allocations over bare", w, sizeName(size), memberCount(size)),
			want:     fmt.Sprintf("≤ %.0f", most),
			got:      fmt.Sprintf("%.1f", got),
			met:      got < most+0.5, // the runtime's own now and then
			measured: len(o.budgets) > 0,
		}
	}
	all := []target{limit(untouched, size4kB, 3)}
	for _, size := range budgetSizes {
		all = append(all, limit(read, size, 12))
	}
	return all
}

func (o *outcome) commandTargets() []target {
	exact := func(w work, roundTrips float64, commands ...string) target {
		b := o.budgets[budgetKey{nameSession, w, size200B}] // a larger one can take Redis more than one read
		return target{
			what:     fmt.Sprintf("%s: commands, and round trips", w),
			want:     fmt.Sprintf("%s; %.0f", list(commands), roundTrips),
			got:      fmt.Sprintf("%s; %.2f", list(b.commands), b.roundTrips),
			met:      slices.Equal(b.commands, commands) && b.roundTrips < roundTrips+0.05,
			measured: len(o.budgets) > 0,
		}
	}
	return []target{
		exact(untouched, 0),
		exact(read, 1, "GETEX"),
		exact(write, 2, "GETEX", "SET", "EVALSHA"),
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
