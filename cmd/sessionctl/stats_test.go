package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/internal/redistest"
)

// fill makes 2,000 sessions, 500 of them of 250 users.
func (s *site) fill() {
	s.t.Helper()
	for i := range 500 {
		s.signIn(fmt.Sprint("user", i/2), map[string]any{"a": strings.Repeat("x", 1000)})
		for range 3 {
			s.visit(map[string]any{"a": 1})
		}
	}
}

func TestStatsCountTheSessions(t *testing.T) {
	t.Parallel()
	s, server, flags := single(t)
	s.fill()
	for range 10 { // what is no session must not count as one
		cookies, _ := s.visit(map[string]any{"a": 1})
		s.change(cookies, func(own *session.Session) error { return own.SignIn(session.SignIn{User: "user0"}) })
	}
	ctl(t, flags, "end", "--user", "user0").want(0)
	_, endless := s.visit(map[string]any{"a": 1})
	server.Do(t, "PERSIST", "session:"+endless)
	server.Do(t, "SET", "{session:"+endless+"}:rev", "x")
	server.Do(t, "SET", "other", "x")
	server.Do(t, "HSET", "session:0c6a1b6e-8d0f-8b5e-9b3c-5f6a2f0f3a11", "a", "1")

	r := read[report](ctl(t, flags, "stats", "--json"))
	if !r.Exact || r.Sessions != 1999 || r.OfUsers != 498 || r.OfVisitors != 1501 || r.Users == nil || *r.Users != 249 {
		t.Errorf("%+v, want 498 sessions of 249 users and 1,501 of visitors", r)
	}
	if r.Marks != 22 || r.Staged != 1 || r.Others != 2 || r.Endless != 1 || r.Records != 250 {
		t.Errorf("%+v, want 10 renewed and 12 ended, one being saved, two others, one without expiry, 249 lists and a stamp", r)
	}
	if n := sum(r.SizeBins); n != 1999 || r.Sizes.Median > 100 || r.Sizes.Max < 1000 || r.Bytes < 498*1000 {
		t.Errorf("%d in the bins of %+v", n, r)
	}
	if n := sum(r.LifeBins); n != 1998 || r.Lives.Median > 1800 || r.Lives.Median < 1700 {
		t.Errorf("%d in the bins of %+v", n, r)
	}
	ctl(t, flags, "stats").want(0, "1,999 sessions: 498 of users, 1,501 of visitors; 249 users signed in", "1 session without expiry", "█")
}

func sum(bins []reportBin) (n int64) {
	for _, b := range bins {
		n += b.Count
	}
	return n
}

// calls returns how often a server has been sent a command.
func calls(t *testing.T, server *redistest.Server, command string) int {
	t.Helper()
	info := string(server.Do(t, "INFO", "commandstats").([]byte))
	found := regexp.MustCompile(`cmdstat_` + command + `:calls=(\d+)`).FindStringSubmatch(info)
	if found == nil {
		return 0
	}
	n, _ := strconv.Atoi(found[1])
	return n
}

func TestStatsOfASampleLookAtNoMore(t *testing.T) {
	t.Parallel()
	s, server, flags := single(t)
	s.fill()
	r := read[report](ctl(t, flags, "stats", "--sample", "200", "--rate", "1000", "--json"))
	if r.Exact || r.Users != nil || r.Keys != 2250 || r.Seen < 200 || r.Seen > 400 {
		t.Errorf("%+v, want a sample of some 200", r)
	}
	if r.Sessions < 1800 || r.Sessions > 2250 || r.OfUsers < 250 || r.OfUsers > 1000 {
		t.Errorf("%+v, want an estimate of 2,000", r)
	}
	if looked := calls(t, server, "strlen"); looked > 400 || calls(t, server, "keys") > 0 {
		t.Errorf("%d keys were looked at", looked)
	}
	ctl(t, flags, "stats", "--sample", "200").want(0, "about ", " of 2,250 keys")
}

// The first page is one key, and a second passes before the next: Ctrl-C comes in between.
func TestTheRateIsKept(t *testing.T) {
	t.Parallel()
	s, server, flags := single(t)
	s.fill()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan result)
	go func() { done <- run(t, ctx, new(app), flags, "stats", "--rate", "1") }()
	redistest.Eventually(t, func() error {
		if calls(t, server, "scan") == 0 {
			return fmt.Errorf("no SCAN")
		}
		return nil
	})
	cancel()
	if r := <-done; r.code != exitInterrupted || r.out+r.err != "" {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
	if n := calls(t, server, "scan"); n > 5 {
		t.Errorf("%d SCANs", n)
	}
}

func TestStatsOfNothing(t *testing.T) {
	t.Parallel()
	_, _, flags := single(t)
	ctl(t, flags, "stats").want(0, "0 sessions")
	if r := read[report](ctl(t, flags, "stats", "--json", "--sample", "0")); !r.Exact || r.Sessions != 0 || r.SizeBins == nil {
		t.Errorf("%+v", r)
	}
	ctl(t, flags, "stats", "--rate", "0").want(exitUsage, "--rate")
	ctl(t, flags, "stats", "--sample", "-1").want(exitUsage, "--sample")
}

func TestOutputThatCannotBeWrittenIsAFailure(t *testing.T) {
	t.Parallel()
	_, _, flags := single(t)
	for _, args := range []string{"stats", "stats --json", "list --user alice", "list --help"} {
		var err safeText
		a := &app{out: full{}, err: &err, width: defaultWidth}
		if code := a.main(t.Context(), append(strings.Fields(args), flags...)); code != exitFailure || !strings.Contains(err.String(), "no space") {
			t.Errorf("%s: exit code %d\n%s", args, code, err.String())
		}
	}
}

// full is a disk.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// The bar is for a terminal, on stderr, and gone before anything else is written.
func TestTheBarIsOnlyForATerminal(t *testing.T) {
	t.Parallel()
	s, _, flags := single(t)
	s.fill()
	r := run(t, t.Context(), &app{progress: true}, flags, "stats", "--rate", "4000")
	if !strings.Contains(r.err, "░") || !strings.HasSuffix(r.err, "\r\x1b[K") || strings.Contains(r.out, "░") {
		t.Errorf("stderr %q\n%s", r.err, r.out)
	}
	if r := ctl(t, flags, "stats"); r.err != "" {
		t.Errorf("stderr without a terminal: %q", r.err)
	}
}

func TestHistogramsFitTheirWidth(t *testing.T) {
	values := []int64{1, 128, 129, 2 << 20}
	for range 1000 {
		values = append(values, 5000)
	}
	bins := binned(values, sizeBounds, bytes)
	if len(bins) != len(sizeBounds)+1 || bins[0].n != 2 || bins[1].n != 1 || bins[len(bins)-1].n != 1 {
		t.Errorf("%+v", bins)
	}
	for _, width := range []int{40, 80, 200} {
		var text strings.Builder
		draw(&text, bins, width)
		if strings.Count(text.String(), "▏") != 3 || !strings.Contains(text.String(), "█████") {
			t.Errorf("what is little does not show:\n%s", text.String())
		}
		for line := range strings.Lines(text.String()) {
			if n := len([]rune(line)) - 1; n > width {
				t.Errorf("a line of %d columns at %d:\n%s", n, width, text.String())
			}
		}
	}
}

func TestWatchPrintsTheNumbers(t *testing.T) {
	t.Parallel()
	s, _, flags := single(t)
	s.visit(map[string]any{"a": 1})
	out, stop := watching(t, flags, "--json")
	out.await(t, `"sessions":1,`)
	s.signIn("alice", nil)
	out.await(t, `"sessions":2,"of_users":1,`)
	stop()
	for line := range strings.Lines(out.String()) {
		if !json.Valid([]byte(line)) {
			t.Errorf("no JSON: %s", line)
		}
	}
	out, stop = watching(t, flags)
	out.await(t, "+0.0")
	stop()
	if strings.Count(out.String(), "SESSIONS") != 1 {
		t.Errorf("%s", out)
	}
}

// watching runs watch until stop is called.
func watching(t *testing.T, flags []string, args ...string) (out *safeText, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	out = new(safeText)
	done := make(chan int)
	go func() {
		a := &app{in: strings.NewReader(""), out: out, err: t.Output(), width: defaultWidth}
		done <- a.main(ctx, append(append([]string{"watch", "--every", "100ms"}, args...), flags...))
	}()
	return out, func() {
		t.Helper()
		cancel()
		if code := <-done; code != exitInterrupted {
			t.Errorf("exit code %d", code)
		}
	}
}

func TestWatchTellsWhatHappensToAUser(t *testing.T) {
	t.Parallel()
	s, server, flags := single(t)
	_, first := s.signIn("alice", nil)
	out, stop := watching(t, flags, "--user", "alice")
	out.await(t, "living   "+first)
	cookies, second := s.signIn("alice", nil)
	out.await(t, "began    "+second)
	tag, member, _ := strings.Cut(second, ":")
	server.Do(t, "PEXPIRE", "session:{"+tag+"}:"+member, 600_000)
	redistest.Eventually(t, func() error { // so that the shorter life has been seen
		if n := calls(t, server, "pexpire"); n == 0 {
			return fmt.Errorf("no PEXPIRE")
		}
		return nil
	})
	looks := calls(t, server, "zrange")
	redistest.Eventually(t, func() error {
		if calls(t, server, "zrange") < looks+2 {
			return fmt.Errorf("watch does not look")
		}
		return nil
	})
	s.change(cookies, func(*session.Session) error { return nil })
	out.await(t, "used     "+second)
	_, third := s.change(cookies, (*session.Session).Renew)
	out.await(t, "renewed  "+second+"  now "+third)
	ctl(t, flags, "end", first).want(0)
	out.await(t, "over     "+first)
	stop()
	out, stop = watching(t, flags, "--user", "bob", "--json")
	s.signIn("bob", nil)
	out.await(t, `"what":"`)
	stop()
}
