package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// A bar shows on a terminal how far a scan is. A nil bar shows nothing.
type bar struct {
	out   io.Writer
	width int
	shown time.Time
}

const (
	barPause = 100 * time.Millisecond // between two pictures
	barWidth = 30
)

func (a *app) bar() *bar {
	if !a.progress {
		return nil
	}
	return &bar{out: a.err, width: min(barWidth, max(a.width-40, 5)), shown: time.Now()}
}

func (b *bar) show(seen, goal int64) {
	if b == nil || time.Since(b.shown) < barPause {
		return
	}
	b.shown = time.Now()
	part := min(float64(seen)/float64(max(goal, 1)), 1)
	full := int(part * float64(b.width))
	fmt.Fprintf(b.out, "\r\x1b[K%s%s %3.0f %% of %s", strings.Repeat("█", full), strings.Repeat("░", b.width-full), part*100, counted(goal, "key"))
}

// clear removes the bar, so that what is written next stands alone.
func (b *bar) clear() {
	if b != nil {
		fmt.Fprint(b.out, "\r\x1b[K")
	}
}
