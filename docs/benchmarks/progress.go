package main

import (
	"fmt"
	"os"
	"time"
)

// progress tells the user what is going on: in one line that is written over, or, where that is not possible, in a line for
// every cell.
type progress struct {
	out      *os.File
	terminal bool
	plan     plan
	at       int // the cell
	started  time.Time
}

func newProgress(out *os.File, p plan) *progress {
	info, err := out.Stat()
	return &progress{out: out, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0, plan: p}
}

// step begins a cell.
func (p *progress) step(i int) {
	p.at, p.started = i, time.Now()
	if !p.terminal {
		fmt.Fprintf(p.out, "[%d/%d] %s\n", i+1, len(p.plan.cells), p.plan.cells[i])
	}
}

// rest begins what comes after the cells.
func (p *progress) rest() {
	p.at, p.started = len(p.plan.cells), time.Now()
	if rest := p.plan.inspected + p.plan.saves + p.plan.large; !p.terminal && rest > 0 {
		fmt.Fprintf(p.out, "%s, %s, %s\n", namedBudgets, namedSaves, namedLarge)
	}
}

func (p *progress) say(format string, args ...any) {
	if !p.terminal {
		return
	}
	position := fmt.Sprintf("%d/%d", min(p.at+1, len(p.plan.cells)), len(p.plan.cells))
	left := max(0, p.plan.duration(p.at)-time.Since(p.started)).Round(time.Second)
	fmt.Fprintf(p.out, "\r\x1b[K[%s, about %s left] %s", position, left, fmt.Sprintf(format, args...))
}

// done removes the line.
func (p *progress) done() {
	if p.terminal {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}
