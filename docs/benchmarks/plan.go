package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A cell is one combination that is measured for all contestants that it is for.
type cell struct {
	work        work
	size        int
	connections int
	network     string // between the server and the database
	database    string
}

func (c cell) String() string {
	connections := fmt.Sprintf("%d connections", c.connections)
	if c.connections == 1 {
		connections = "1 connection"
	}
	return fmt.Sprintf("%s, %s, %s, %s, %s", c.work, sizeName(c.size), connections, c.network, c.database)
}

func (c cell) server(contestant string) serverKey {
	return serverKey{contestant, c.network, c.database}
}

// contestants are those that the cell is for: to a route that uses no session, bare is the floor. What the list of a user
// costs is looked at once for each database.
func (c cell) contestants() []contestant {
	if c.work.hasLarge() {
		return contestantsNamed(c.base(), nameLarge, nameHash)
	}
	return slices.DeleteFunc(slices.Clone(contestants), func(x contestant) bool {
		switch {
		case x.name == nameUser:
			return c.work != read || c.size != size4kB || c.connections != 32 || c.network != "unix"
		case x.kind == bare:
			return c.work != untouched
		case x.kind == floor:
			return c.work == untouched
		}
		return false
	})
}

// A plan says what is measured, and how long.
type plan struct {
	databases []database
	cells     []cell
	rounds    int
	slice     time.Duration // of one contestant in one round; more for large values
	saves     int           // rounds of the table of saves
	large     int           // rounds with the largest session
	largeSize int
	inspected int // requests in which commands and allocations are counted

	inspectedSizes []int
}

// add adds all combinations.
func (p *plan) add(d database, network string, w work, sizes []int, connections ...int) {
	for _, size := range sizes {
		for _, n := range connections {
			p.cells = append(p.cells, cell{w, size, n, network, d.name})
		}
	}
}

// versions lists the databases.
func (p *plan) versions() string {
	var all []string
	for _, d := range p.databases {
		all = append(all, d.version)
	}
	return strings.Join(all, " and ")
}

func shortPlan(databases []database) plan {
	p := plan{
		databases: databases, rounds: 3, slice: 300 * time.Millisecond, saves: 3, large: 3, largeSize: size10MB,
		inspected: 100, inspectedSizes: budgetSizes,
	}
	p.add(databases[0], "unix", untouched, []int{size4kB}, 32)
	for _, d := range databases {
		p.add(d, "unix", read, []int{size4kB}, 32)
		p.add(d, "unix", write, []int{size4kB}, 32)
	}
	p.add(databases[0], "unix", beside, []int{size4kB}, largeSessions)
	p.add(databases[0], "unix", readLarge, []int{size4kB}, largeSessions)
	return p
}

// largeSessions are so few because each has 10 MB, with each contestant.
const largeSessions = 16

// fullPlan has all cells for the first database, and for the others those that have targets.
func fullPlan(databases []database) plan {
	p := plan{
		databases: databases, rounds: 7, slice: 400 * time.Millisecond, saves: 5, large: 7, largeSize: size10MB,
		inspected: 300, inspectedSizes: budgetSizes,
	}
	first := databases[0]
	p.add(first, "unix", untouched, []int{size4kB}, 1, 32, 256)
	for _, d := range databases {
		p.add(d, "unix", read, []int{size4kB}, 1, 32, 256)
		p.add(d, "unix", write, []int{size4kB}, 1, 32, 256)
	}
	p.add(first, "unix", read, []int{size200B, size64kB, size1MB}, 32)
	p.add(first, "unix", write, []int{size200B, size64kB, size1MB}, 32)
	p.add(first, "unix", begin, []int{size200B}, 32)
	p.add(first, "unix", end, []int{size200B}, 32)
	p.add(first, "tcp", read, []int{size4kB}, 32)
	p.add(first, "tcp", write, []int{size4kB}, 32)
	p.add(first, "unix", beside, []int{size4kB}, 1, largeSessions)
	p.add(first, "unix", readLarge, []int{size4kB}, 1, largeSessions)
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
	total := time.Duration(p.large) * time.Second
	total += time.Duration(len(p.databases)) * (time.Duration(p.inspected)*80*time.Millisecond + time.Duration(p.saves)*4*time.Second)
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
	loadCPU   time.Duration
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

// ratio compares the rates of two contestants.
func (r *results) ratio(a, b string) spread { return spreadOf(ratios(r.rates(a), r.rates(b))) }

// cpuRatio compares what their servers and the database spend on a work.
func (r *results) cpuRatio(a, b string) spread {
	spent := func(s sample) float64 { return (s.serverCPU + s.redisCPU).Seconds() }
	return spreadOf(ratios(r.values(a, spent), r.values(b, spent)))
}

// best is the contestant of a kind that has the highest median.
func (r *results) best(k kind) string {
	best, highest := "", 0.0
	for _, c := range contestants {
		if rate := median(r.rates(c.name)); c.kind == k && rate > highest {
			best, highest = c.name, rate
		}
	}
	return best
}
