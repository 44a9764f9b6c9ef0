package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"
)

// printable is text of others without what would control a terminal.
func printable(text string) string {
	if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) || text == "" {
		return strconv.Quote(text)
	}
	return text
}

// printableJSON is JSON with escapes in the place of characters that would control a terminal.
func printableJSON(text []byte) string {
	var b strings.Builder
	for _, r := range string(text) {
		switch {
		case unicode.IsPrint(r) || r == '\n':
			b.WriteRune(r)
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// clock is a moment in local time.
func clock(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

// around is a moment in local time and from now.
func around(t time.Time) string { return clock(t) + " (" + relative(time.Until(t)) + ")" }

// relative says how far a moment is from now.
func relative(d time.Duration) string {
	if d < 0 {
		return length(-d) + " ago"
	}
	return "in " + length(d)
}

// length is a duration in one unit, and rounded to it if it is long.
func length(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < 2*time.Minute && d != time.Minute:
		return fmt.Sprintf("%d s", d.Round(time.Second)/time.Second)
	case d < 2*time.Hour && d != time.Hour:
		return fmt.Sprintf("%d min", d.Round(time.Minute)/time.Minute)
	case d < 2*day && d != day:
		return fmt.Sprintf("%d h", d.Round(time.Hour)/time.Hour)
	}
	return counted(int64(d.Round(day)/day), "day")
}

// bytes is a size in units of 1024.
func bytes(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	size := float64(n)
	for _, unit := range []string{"kB", "MB", "GB"} {
		if size /= 1024; size < 999.95 {
			return fmt.Sprintf("%.3g %s", size, unit)
		}
	}
	return fmt.Sprintf("%.3g TB", size/1024)
}

// count is a number with commas.
func count(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// counted is a number of things, whose plural has an s.
func counted(n int64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return count(n) + " " + thing + "s"
}

// A table aligns what stands between tabs.
func table(out io.Writer) *tabwriter.Writer { return tabwriter.NewWriter(out, 0, 0, 2, ' ', 0) }
