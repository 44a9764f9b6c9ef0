package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/internal/testkit"
)

type listOutput struct {
	User     string   `json:"user"`
	Sessions []listed `json:"sessions"`
}

func TestListShowsTheLivingSessionsOfTheUser(t *testing.T) {
	t.Parallel()
	s, _, flags := single(t)
	s.signIn("bob", nil)
	_, first := s.signIn("alice", map[string]any{"lang": "de"})
	_, over := s.signIn("alice", nil)
	_, last := s.change(nil, func(own *session.Session) error {
		return own.SignIn(session.SignIn{User: "alice", Class: session.Remembered})
	})
	ctl(t, flags, "end", over).want(0)
	got := read[listOutput](ctl(t, flags, "list", "--user", "alice", "--json", "--idle-timeout", "30m,1=720h"))
	if got.User != "alice" || len(got.Sessions) != 2 || got.Sessions[0].ID != last || got.Sessions[1].ID != first {
		t.Fatalf("%+v, want %s and %s", got, last, first)
	}
	for i, idle := range []time.Duration{720 * time.Hour, 30 * time.Minute} {
		l := got.Sessions[i]
		if l.LastUsed == nil || time.Since(*l.LastUsed) > time.Minute || (l.Expires.Sub(*l.LastUsed)-idle).Abs() > time.Second {
			t.Errorf("%s expires %v and was used %v; want %v in between", l.ID, l.Expires, l.LastUsed, idle)
		}
	}
	if l := got.Sessions[1]; strings.Join(l.Keys, " ") != "lang" || l.Size != len(`{"lang":"de"}`) || l.Class != 0 || got.Sessions[0].Class != 1 {
		t.Errorf("%+v", l)
	}
	for width, lines := range map[int]int{80: 6, 132: 3} {
		r := run(t, t.Context(), &app{width: width}, flags, "list", "-u", "alice").want(0, first, last)
		if r.lacks(over, "de\""); strings.Count(r.out, "\n") != lines {
			t.Errorf("at %d columns:\n%s", width, r.out)
		}
		for line := range strings.Lines(r.out) {
			if len(line) > width+1 {
				t.Errorf("a line of %d columns at %d:\n%s", len(line), width, r.out)
			}
		}
	}
}

// The application's timeouts are not known here, and must not shorten what Redis says.
func TestListSaysWhenSessionsExpire(t *testing.T) {
	t.Parallel()
	_, server, flags := single(t)
	long := 60 * 24 * time.Hour
	s := &site{t, testkit.NewManager(t, session.Config{
		Store: open(t, server.Addr()), IdleTimeout: long, Lifetime: 2 * long,
		Classes: map[session.Class]session.Lifetimes{1: {IdleTimeout: long, Lifetime: 2 * long}},
	})}
	for class := range session.Class(2) {
		s.change(nil, func(own *session.Session) error { return own.SignIn(session.SignIn{User: "alice", Class: class}) })
	}
	for _, l := range read[listOutput](ctl(t, flags, "list", "--user", "alice", "--json")).Sessions {
		if left := time.Until(l.Expires); left < long-time.Minute || l.LastUsed != nil {
			t.Errorf("class %d expires in %v and was used %v; want %v and nothing", l.Class, left, l.LastUsed, long)
		}
	}
}

func TestListOfSomebodyWithoutSessionsIsEmpty(t *testing.T) {
	t.Parallel()
	_, _, flags := single(t)
	ctl(t, flags, "list", "--user", "no\x1bbody").want(0, `"no\x1bbody" has no sessions`)
	if r := ctl(t, flags, "list", "--user", "nobody", "--json"); r.out != `{"sessions":[],"user":"nobody"}`+"\n" {
		t.Errorf("%s", r.out)
	}
}

// A timeout that is not the application's must not give a moment in the future, nor one that only the lifetime gave.
func TestLastUseIsSaidOnlyWhereItIsKnown(t *testing.T) {
	idle := idleTimeouts{0: time.Hour}
	now := time.Now()
	for _, test := range []struct {
		name              string
		class             uint8
		expires, deadline time.Duration
		known             bool
	}{
		{"just now", 0, time.Hour, 2 * time.Hour, true},
		{"before", 0, time.Minute, 2 * time.Hour, true},
		{"other class", 1, time.Minute, 2 * time.Hour, false},
		{"longer timeout", 0, 2 * time.Hour, 3 * time.Hour, false},
		{"at its deadline", 0, time.Minute, time.Minute, false},
	} {
		if _, known := idle.lastUsed(test.class, now.Add(test.expires), now.Add(test.deadline)); known != test.known {
			t.Errorf("%s: %v", test.name, known)
		}
	}
}

func TestShowHasTheValuesOnlyWithTheFlag(t *testing.T) {
	t.Parallel()
	s, server, flags := single(t)
	_, visitor := s.visit(map[string]any{"cart": "secret-of-1", "n": json.Number("12345678901234567890")})
	_, user := s.signIn("alice", map[string]any{"lang": "secret-of-1"})
	for _, id := range []string{visitor, user, "session:" + visitor, "session:{" + strings.Replace(user, ":", "}:", 1)} {
		plain, asJSON := ctl(t, flags, "show", id), ctl(t, flags, "show", id, "--json")
		plain.want(0, "living").lacks("secret-of-1")
		asJSON.want(0, "living").lacks("secret-of-1")
		ctl(t, flags, "show", id, "--values").want(0, `"secret-of-1"`)
	}
	got := read[shown](ctl(t, flags, "show", visitor, "--values", "--json", "--idle-timeout", "30m"))
	if string(got.Values["n"]) != "12345678901234567890" || strings.Join(got.Keys, " ") != "cart n" || got.User != "" || got.LastUsed == nil {
		t.Errorf("%+v", got)
	}
	got = read[shown](ctl(t, flags, "show", user, "--json"))
	value := server.Do(t, "GET", "session:{"+strings.Replace(user, ":", "}:", 1)).([]byte)
	if got.User != "alice" || *got.Class != 0 || got.SignedIn == nil || got.Deadline == nil || got.Size != len(value) || got.Values != nil {
		t.Errorf("%+v", got)
	}
}

func TestLargeValuesAreShownAndEndWithTheirSession(t *testing.T) {
	t.Parallel()
	s, server, flags := single(t)
	_, visitor := s.change(nil, func(own *session.Session) error {
		return session.Large[[]byte]("report").Set(own, []byte("secret-of-1"))
	})
	hash := "{session:" + visitor + "}:large"
	ctl(t, flags, "show", visitor, "--values").want(0, "large", "report", "11 B").lacks("secret-of-1")
	if got := read[shown](ctl(t, flags, "show", visitor, "--json")); got.Large["report"].Bytes != 11 || len(got.Keys) > 0 {
		t.Errorf("%+v", got)
	}
	if got := read[report](ctl(t, flags, "stats", "--json")); got.Large != 1 || got.Staged != 0 || got.Others != 0 || got.Sessions != 1 {
		t.Errorf("%+v", got)
	}
	if n := server.Do(t, "EXISTS", hash); n != int64(1) {
		t.Fatalf("%d hashes", n)
	}
	ctl(t, flags, "end", visitor).want(0)
	if n := server.Do(t, "EXISTS", hash); n != int64(0) {
		t.Errorf("%d hashes are left", n)
	}
}

func TestShowKeepsNothingAlive(t *testing.T) {
	t.Parallel()
	s, server, flags := single(t)
	_, id := s.visit(map[string]any{"a": 1})
	server.Do(t, "PEXPIRE", "session:"+id, 60_000)
	ctl(t, flags, "show", id).want(0, "in 60 s", "unless it is used")
	if left := server.Do(t, "PTTL", "session:"+id).(int64); left > 60_000 {
		t.Errorf("it lives for %d ms", left)
	}
	server.Do(t, "PERSIST", "session:"+id)
	ctl(t, flags, "show", id).want(0, "expires  never")
}

func TestShowExplainsWhatIsLeftOfASession(t *testing.T) {
	t.Parallel()
	s, server, flags := single(t)
	cookies, before := s.visit(map[string]any{"cart": "secret-of-1"})
	_, after := s.change(cookies, func(own *session.Session) error { return own.SignIn(session.SignIn{User: "alice"}) })
	got := read[shown](ctl(t, flags, "show", before, "--values", "--json"))
	if got.State != renewed || got.To != after || got.Values != nil || len(got.Keys) > 0 {
		t.Errorf("%+v, want one renewed to %s", got, after)
	}
	ctl(t, flags, "show", before, "--values").want(0, "renewed: ", after).lacks("secret-of-1")

	ctl(t, flags, "end", after).want(0)
	if got := read[shown](ctl(t, flags, "show", after, "--json")); got.State != ended || got.Why != "by_operator" {
		t.Errorf("%+v", got)
	}
	_, lost := s.signIn("bob", map[string]any{"a": 1})
	tag, member, _ := strings.Cut(lost, ":")
	server.Do(t, "ZREM", "session:{"+tag+"}:user", member)
	if got := read[shown](ctl(t, flags, "show", lost, "--json")); got.State != removed || got.User != "bob" {
		t.Errorf("%+v", got)
	}
	_, edited := s.visit(map[string]any{"a": 1})
	for _, text := range []string{"secret-of-1", "null", `"secret-of-1"`} {
		server.Do(t, "SET", "session:"+edited, text)
		r := ctl(t, flags, "show", edited, "--values")
		r.want(0, "unreadable").lacks("secret-of-1")
	}
}

func TestNoSessionIsExitCode3(t *testing.T) {
	t.Parallel()
	s, server, flags := single(t)
	_, id := s.signIn("alice", nil)
	for _, command := range []string{"show", "end"} {
		ctl(t, flags, command, "none").want(exitNotFound, "no session none")
		ctl(t, flags, command, id+"0").want(exitNotFound, "no session")
		ctl(t, flags, command, "\x1b[31m").want(exitNotFound, `no session "\x1b[31m"`)
	}
	server.Do(t, "RPUSH", "session:list", 1)
	ctl(t, flags, "show", "list").want(exitFailure, "list")
}

func TestWhatControlsATerminalIsEscaped(t *testing.T) {
	t.Parallel()
	s, _, flags := single(t)
	_, id := s.signIn("al\x1b[31mice\xff", map[string]any{"k\x1b": "\u009b31m\u202e\U000e0001é"})
	r := ctl(t, flags, "show", id, "--values").want(0, `"al\x1b[31mice\xff"`, `"k\x1b"`, `\u009b31m\u202e\udb40\udc01é`)
	r.lacks("\x1b", "\u009b", "\u202e")
}
