package main

import (
	"fmt"
	"regexp"
	"slices"
	"time"
)

// A cell is one combination that is measured for all contestants.
type cell struct {
	work        work
	size        int
	connections int
	network     string // between the server and Redis
}

func (c cell) String() string {
	connections := fmt.Sprintf("%d connections", c.connections)
	if c.connections == 1 {
		connections = "1 connection"
	}
	return fmt.Sprintf("%s, %s, %s, %s", c.work, sizeName(c.size), connections, c.network)
}

// contestants are those that the cell is for: bare does no work but the one without a session, and few have large values.
func (c cell) contestants() []contestant {
	switch c.work {
	case beside:
		return contestantsNamed(nameSession, nameLarge, nameHash)
	case readLarge:
		return contestantsNamed(nameHGET, nameLarge, nameHash)
	}
	return slices.DeleteFunc(slices.Clone(contestants), func(x contestant) bool {
		return x.name == nameBare && c.work != untouched
	})
}

// own is the contestant that stands for this repository.
func (c cell) own() string {
	if c.work == beside || c.work == readLarge {
		return nameLarge
	}
	return nameSession
}

// A plan says what is measured, and how long.
type plan struct {
	cells     []cell
	rounds    int
	slice     time.Duration // of one contestant in one round; more for large values
	saves     int           // rounds of the table of saves
	large     int           // rounds with the largest session
	largeSize int
	inspected int // requests in which commands and allocations are counted

	inspectedSizes []int
}

func shortPlan() plan {
	return plan{
		cells: []cell{
			{untouched, size4kB, 32, "unix"},
			{read, size200B, 32, "unix"},
			{read, size4kB, 32, "unix"},
			{write, size4kB, 32, "unix"},
			{read, size4kB, 32, "tcp"},
			{beside, size4kB, largeSessions, "unix"},
			{readLarge, size4kB, largeSessions, "unix"},
		},
		rounds: 3, slice: 300 * time.Millisecond, saves: 3, large: 3, largeSize: size10MB, inspected: 100, inspectedSizes: budgetSizes,
	}
}

// largeSessions are so few because each has 10 MB, with each contestant.
const largeSessions = 16

func fullPlan() plan {
	p := plan{rounds: 7, slice: 500 * time.Millisecond, saves: 9, large: 9, largeSize: size10MB, inspected: 500, inspectedSizes: budgetSizes}
	add := func(network string, w work, sizes []int, connections ...int) {
		for _, size := range sizes {
			for _, n := range connections {
				p.cells = append(p.cells, cell{w, size, n, network})
			}
		}
	}
	add("unix", untouched, []int{size4kB}, 1, 32, 256)
	add("unix", read, []int{size200B, size4kB}, 1, 32, 256)
	add("unix", read, []int{size64kB, size1MB}, 32)
	add("unix", write, []int{size4kB}, 1, 32, 256)
	add("unix", write, []int{size200B, size64kB, size1MB}, 32)
	add("unix", begin, []int{size200B}, 32)
	add("unix", end, []int{size200B}, 32)
	add("tcp", read, []int{size200B}, 32)
	add("tcp", read, []int{size4kB}, 1, 32, 256)
	add("tcp", write, []int{size4kB}, 32, 256)
	add("unix", beside, []int{size4kB}, 1, largeSessions)
	add("unix", readLarge, []int{size4kB}, 1, largeSessions)
	return p
}

// What comes after the cells has names too.
const (
	namedBudgets = "commands and allocations"
	namedSaves   = "saves"
	namedLarge   = "large session"
)

// only keeps that whose name matches.
func (p *plan) only(pattern *regexp.Regexp) {
	p.cells = slices.DeleteFunc(p.cells, func(c cell) bool { return !pattern.MatchString(c.String()) })
	for name, rounds := range map[string]*int{namedBudgets: &p.inspected, namedSaves: &p.saves, namedLarge: &p.large} {
		if !pattern.MatchString(name) {
			*rounds = 0
		}
	}
}

func (p *plan) empty() bool { return len(p.cells)+p.inspected+p.saves+p.large == 0 }

// sliceFor is longer where a request takes longer.
func (p *plan) sliceFor(c cell) time.Duration {
	if c.size >= size1MB || c.work == readLarge {
		return 2 * p.slice
	}
	return p.slice
}

// duration is about how long the cells from the first one on take, and all that follows them.
func (p *plan) duration(first int) time.Duration {
	total := time.Duration(p.inspected)*60*time.Millisecond + time.Duration(p.saves)*4*time.Second + time.Duration(p.large)*time.Second
	for _, c := range p.cells[first:] {
		turns := p.rounds * len(c.contestants())
		total += time.Second + time.Duration(turns)*(p.sliceFor(c)+warmUp+30*time.Millisecond)
	}
	return total
}

// A sample is what one contestant did in one round of a cell.
type sample struct {
	rate      float64 // works per second
	failed    int     // that are not in the rate
	p50, p99  time.Duration
	serverCPU time.Duration // per work
	redisCPU  time.Duration
}

// results are all samples of a cell, by contestant, in the order of the rounds.
type results struct {
	cell    cell
	samples map[string][]sample
}

func (r *results) values(contestant string, of func(sample) float64) []float64 {
	var values []float64
	for _, s := range r.samples[contestant] {
		values = append(values, of(s))
	}
	return values
}

func (r *results) rates(contestant string) []float64 {
	return r.values(contestant, func(s sample) float64 { return s.rate })
}

func (r *results) redisCPU(contestant string) []float64 {
	return r.values(contestant, func(s sample) float64 { return s.redisCPU.Seconds() })
}

// ratio compares the rates of two contestants.
func (r *results) ratio(a, b string) spread { return spreadOf(ratios(r.rates(a), r.rates(b))) }

// floor is what a user would have without any library: for the route that uses no session that is bare. What is done
// beside large values is compared with a session that has none.
func (r *results) floor() string {
	switch r.cell.work {
	case untouched:
		return nameBare
	case beside:
		return nameSession
	case readLarge:
		return nameHGET
	}
	return nameFloor
}

// bestRival is the rival with the highest median.
func (r *results) bestRival() string {
	best, highest := "", 0.0
	for _, c := range r.cell.contestants() {
		if rate := median(r.rates(c.name)); c.rival && rate > highest {
			best, highest = c.name, rate
		}
	}
	return best
}
