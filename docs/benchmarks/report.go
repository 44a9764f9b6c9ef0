package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// write puts the report and its charts into a folder.
func (o *outcome) write(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	charts, err := o.charts(folder)
	if err != nil {
		return err
	}
	var b strings.Builder
	o.report(&b, charts)
	return os.WriteFile(filepath.Join(folder, "report.md"), []byte(b.String()), 0o644)
}

// summary is what the program prints at the end.
func (o *outcome) summary(w io.Writer) {
	if len(o.usual()) > 0 {
		o.overview(w)
		fmt.Fprintln(w)
	}
	o.targetTable(w)
}

func (o *outcome) report(w io.Writer, charts []chart) {
	m := o.machine
	fmt.Fprintf(w, "# Benchmarks\n\n")
	fmt.Fprintf(w, "%s, in %s, by `%s` in `docs/benchmarks`. %s, %s, %s, %d × %s, shared by the load generator, the server and the database.\n\n",
		o.started.UTC().Format("2 January 2006"), o.took.Round(time.Second), o.command, m.goVersion, o.plan.versions(), m.system, m.cpus, m.cpu)
	fmt.Fprint(w, strings.TrimSpace(howToRead), "\n\n")
	fmt.Fprintf(w, "There were %d rounds, and a turn took %s.\n", o.plan.rounds, o.plan.slice)

	section := func(measured bool, title, text string, table func(io.Writer)) {
		if measured {
			fmt.Fprintf(w, "\n## %s\n\n%s\n\n", title, text)
			table(w)
		}
	}
	section(len(o.usual()) > 0, "Requests per second", "The work \"new, then destroy\" is counted once for its two requests.", o.overview)
	section(len(o.usual()) > 0, "Processor time per request", "In µs, of the server + of the database; and, of the load generator, what it spends on a request to session. The ratios are "+
		"of the server and the database together, within the rounds. Where a processor is to spare, this is what a user pays.", o.cpuTable)
	for _, c := range charts {
		fmt.Fprintf(w, "\n![%s](%s)\n", c.caption, c.file)
	}
	section(true, "Targets", "What session has set itself.", o.targetTable)
	section(len(o.budgets) > 0, "Commands, round trips and bytes",
		"Of one request. Bytes are those that the database receives and sends for a session of 4 kB. "+
			"For a second database there is only what takes other commands than with the first.", o.commandTables)
	section(len(o.budgets) > 0, "Allocations",
		"In the handler, of one request, above those of bare; in brackets kB. \"New, then destroy\" is two requests.", o.allocTable)
	section(len(o.saves) > 0, "What a save costs the database",
		"Its CPU time per save, in µs, and in brackets what of it is the commands' own, without reading, parsing and answering them. "+
			"All but the first two replace a value only if it is still the one that was read.", o.saveTables)
	section(len(o.beside()) > 0, "Large values", "The size is that of the small values, which all but HGET have, also session. Less than 1 is better than what is named "+
		"under \"against\".", o.besideTable)
	section(len(o.large.session) > 0, "A session of "+sizeName(o.plan.largeSize),
		"One small value is read, by one goroutine, without HTTP.", o.largeTable)
	section(len(o.cells) > 0, "All measurements", "p50 and p99 are how long a client waits. CPU is per request, and its ratio is that of the server and the database together. "+
		"That of the load generator includes what the network between it and the server takes.", o.cellTables)
	fmt.Fprint(w, "\n## Contestants\n\n",
		"All serve the same routes with the same response of 16 bytes, each in a process of its own. The rivals use the pool of 64 redigo connections that the ",
		"redigo floor has; session is on what `redisstore.Open` makes.\n\n")
	for _, c := range slices.Concat(contestants, largeContestants) {
		fmt.Fprintf(w, "- **%s**: %s\n", c.name, c.about)
	}
}

const howToRead = `
Everything runs on one machine, so the numbers of requests say little in themselves: **read the ratios**. All contestants take turns, in short
slices, round after round (A B C A B C …), and a ratio is the median of the ratios within the rounds, so that what slows the machine down
for a while falls out. In brackets is the middle half of the rounds: where it spans 1, the two are equal as far as this run can tell.

The load comes from a process of its own over HTTP/1.1 connections that are kept alive, each with the cookie of a session of its own. The session is
a JSON object of texts, lists of texts, numbers and truth values; a request reads one small number of it, or reads it and stores it one higher. The size is
that of the JSON. "unix" and "tcp" are how the server reaches the database; the client always comes over TCP. Each write stores another value than there
was, and the load generator counts an answer that says otherwise as failed.
`

func (o *outcome) overview(w io.Writer) {
	others := []string{nameBare, nameRedigo, nameRueidis, nameGoRedis}
	header := []string{"work", nameSession}
	for _, name := range others {
		header = append(header, "/ "+name)
	}
	t := newTable(w, append(header, "/ best rival", "which is")...)
	for _, r := range o.usual() {
		row := []string{r.cell.String(), count(median(r.rates(nameSession)))}
		for _, name := range others {
			row = append(row, factor(r.ratio(nameSession, name)))
		}
		best := r.best(rival)
		t.row(append(row, factor(r.ratio(nameSession, best)), best)...)
	}
}

func (o *outcome) cpuTable(w io.Writer) {
	t := newTable(w, "work", nameSession, nameBare, nameRedigo, nameRueidis, nameGoRedis, "best rival", "load generator",
		"session / rueidis floor", "session / best rival")
	for _, r := range o.usual() {
		row := []string{r.cell.String()}
		for _, name := range []string{nameSession, nameBare, nameRedigo, nameRueidis, nameGoRedis, r.best(rival)} {
			server, database := r.seconds(name, serverCPU), r.seconds(name, redisCPU)
			if math.IsNaN(server) {
				row = append(row, "–")
				continue
			}
			row = append(row, micros(server)+" + "+micros(database))
		}
		t.row(append(row, micros(r.seconds(nameSession, loadCPU)),
			factor(r.cpuRatio(nameSession, nameRueidis)), factor(r.cpuRatio(nameSession, r.best(rival))))...)
	}
}

func (o *outcome) targetTable(w io.Writer) {
	t := newTable(w, "target", "wanted", "found", "")
	for _, x := range o.targets() {
		if !x.measured {
			x.got = "–"
		}
		t.row(x.what, x.want, x.got, x.verdict())
	}
}

func (o *outcome) commandTables(w io.Writer) {
	o.perDatabase(w, func(d database) { o.commandTable(w, d) })
}

// perDatabase writes what is one table for each database.
func (o *outcome) perDatabase(w io.Writer, write func(database)) {
	for i, d := range o.plan.databases {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "### %s\n\n", d.name)
		write(d)
	}
}

func (o *outcome) commandTable(w io.Writer, d database) {
	t := newTable(w, "", "work", "commands", "round trips", "bytes in", "bytes out")
	for _, c := range contestants {
		if c.kind == bare {
			continue
		}
		for _, work := range budgetWorks {
			b := o.budgets[budgetKey{d.name, c.name, work, size4kB}]
			if d.name != o.first() && slices.Equal(b.commands, o.budgets[budgetKey{o.first(), c.name, work, size4kB}].commands) {
				continue
			}
			small := o.budgets[budgetKey{d.name, c.name, work, size200B}] // a value of some size needs more than one read
			t.row(c.name, work.String(), list(b.commands), fmt.Sprintf("%.1f", small.roundTrips), count(b.input), count(b.output))
		}
	}
}

func (o *outcome) allocTable(w io.Writer) {
	header := []string{""}
	for _, work := range budgetWorks {
		header = append(header, work.String()+", 4 kB")
	}
	for _, size := range []int{size200B, size64kB} {
		header = append(header, read.String()+", "+sizeName(size))
	}
	t := newTable(w, header...)
	for _, c := range contestants {
		if c.kind == bare {
			continue
		}
		cell := func(work work, size int) string {
			b, bare := o.budgets[budgetKey{o.first(), c.name, work, size}], o.budgets[budgetKey{o.first(), nameBare, work, size}]
			return fmt.Sprintf("%.0f (%.1f)", b.allocs-bare.allocs, (b.allocated-bare.allocated)/1000)
		}
		row := []string{c.name}
		for _, work := range budgetWorks {
			row = append(row, cell(work, size4kB))
		}
		t.row(append(row, cell(read, size200B), cell(read, size64kB))...)
	}
}

func (o *outcome) saveTables(w io.Writer) {
	o.perDatabase(w, func(d database) {
		t := newTable(w, append([]string{"value"}, saveWays...)...)
		for _, s := range o.savesOn(d) {
			row := []string{sizeName(s.size)}
			for _, way := range saveWays {
				row = append(row, fmt.Sprintf("%s (%s)", micros(median(s.cpu[way])), micros(median(s.executed[way]))))
			}
			t.row(row...)
		}
	})
}

func (o *outcome) largeTable(w io.Writer) {
	t := newTable(w, "", "time", "ratio")
	floor, own := spreadOf(o.large.floor), spreadOf(o.large.session)
	t.row("GETEX by redigo", fmt.Sprintf("%.1f ms", floor.median*1e3), "1")
	t.row(nameSession, fmt.Sprintf("%.1f ms", own.median*1e3), factor(spreadOf(ratios(o.large.session, o.large.floor))))
}

func (o *outcome) cellTables(w io.Writer) {
	for i, r := range o.cells {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "### %s\n\n", capital(r.cell.String()))
		r.table(w)
		r.failures(w)
	}
}

func (r *results) table(w io.Writer) {
	t := newTable(w, "", "requests/s", "middle half", "session / it", "CPU, session / it", "p50", "p99", "server CPU", "database CPU", "load CPU")
	for _, c := range r.cell.contestants() {
		rate := spreadOf(r.rates(c.name))
		t.row(c.name, count(rate.median), count(rate.low)+" to "+count(rate.high),
			factor(r.ratio(r.cell.own(), c.name)), factor(r.cpuRatio(r.cell.own(), c.name)),
			r.duration(c.name, func(s sample) time.Duration { return s.p50 }),
			r.duration(c.name, func(s sample) time.Duration { return s.p99 }),
			r.duration(c.name, serverCPU),
			r.duration(c.name, redisCPU),
			r.duration(c.name, loadCPU))
	}
}

// failures tells of responses with an error, which should not be.
func (r *results) failures(w io.Writer) {
	for _, c := range r.cell.contestants() {
		failed := 0
		for _, s := range r.samples[c.name] {
			failed += s.failed
		}
		if failed > 0 {
			fmt.Fprintf(w, "\n**%d requests of %s failed.** They are not counted above.\n", failed, c.name)
		}
	}
}

func serverCPU(s sample) time.Duration { return s.serverCPU }
func redisCPU(s sample) time.Duration  { return s.redisCPU }
func loadCPU(s sample) time.Duration   { return s.loadCPU }

// seconds is the median of a time.
func (r *results) seconds(contestant string, of func(sample) time.Duration) float64 {
	return median(r.values(contestant, func(s sample) float64 { return of(s).Seconds() }))
}

// duration writes the median of a time.
func (r *results) duration(contestant string, of func(sample) time.Duration) string {
	seconds := r.seconds(contestant, of)
	if seconds >= 0.00995 {
		return fmt.Sprintf("%.0f ms", seconds*1e3)
	}
	return micros(seconds) + " µs"
}

// table writes Markdown.
type table struct{ w io.Writer }

func newTable(w io.Writer, header ...string) table {
	t := table{w}
	t.row(header...)
	fmt.Fprintln(w, "|"+strings.Repeat("---|", len(header)))
	return t
}

func (t table) row(cells ...string) { fmt.Fprintln(t.w, "| "+strings.Join(cells, " | ")+" |") }

// count writes a number with three significant digits, and commas.
func count(x float64) string {
	if math.IsNaN(x) {
		return "–"
	}
	if x >= 1000 {
		unit := math.Pow(10, math.Floor(math.Log10(x))-2)
		x = math.Round(x/unit) * unit
	}
	digits := strconv.FormatFloat(x, 'f', 0, 64)
	for i := len(digits) - 3; i > 0 && digits[i-1] != '-'; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// micros writes seconds as microseconds.
func micros(seconds float64) string {
	us := seconds * 1e6
	if math.Abs(us) < 9.95 {
		return fmt.Sprintf("%.1f", us)
	}
	return count(us)
}

func factor(s spread) string {
	if math.IsNaN(s.median) {
		return "–"
	}
	if s == (spread{1, 1, 1}) { // of something to itself
		return "1"
	}
	return fmt.Sprintf("%.2f (%.2f to %.2f)", s.median, s.low, s.high)
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
