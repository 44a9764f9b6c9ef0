package session_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/sessiontest"
)

const (
	user   = session.Key[string]("user")
	visits = session.Key[int]("visits")
)

func TestValuesSurviveRequestsAndManagers(t *testing.T) {
	sessiontest.OnEachRedis(t, func(t *testing.T, b sessiontest.Backend) {
		one, two := sessiontest.NewManager(t, session.Config{Store: b.Store}), sessiontest.NewManager(t, session.Config{Store: b.Store})
		cookies, _ := sessiontest.Begin(t, one, map[string]any{"user": "alice"})
		sessiontest.Request(t, two, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
			if name, ok := user.Get(s); name != "alice" || !ok {
				t.Errorf("got %q, %v", name, ok)
			}
			if n, ok := visits.Get(s); n != 0 || ok {
				t.Errorf("got %d, %v for a key without a value", n, ok)
			}
			_ = visits.Set(s, 3)
		})
		if got := sessiontest.Values(t, one, cookies); got != `{"user":"alice","visits":3}` {
			t.Errorf("got %s", got)
		}
	})
}

func TestStoredFormat(t *testing.T) {
	b, mini := sessiontest.MiniRedis(t)
	manager := sessiontest.NewManager(t, session.Config{Store: b.Store, IdleTimeout: time.Minute})
	cookies, id := sessiontest.Begin(t, manager, map[string]any{"html": "<a&b>"})
	if form := regexp.MustCompile(`^\{"_rev":"[A-Za-z0-9_-]{16}","html":"<a&b>"\}$`); !form.MatchString(b.Get(t, id)) {
		t.Errorf("stored %s", b.Get(t, id))
	}
	if form := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`); !form.MatchString(id) {
		t.Errorf("ID %s", id)
	}
	if keys := b.Keys(t); !slices.Equal(keys, []string{"session:" + id}) {
		t.Errorf("keys %q", keys)
	}
	if ttl := mini.TTL("session:" + id); ttl != time.Minute {
		t.Errorf("TTL %v", ttl)
	}
	if form := regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`); !form.MatchString(cookies[0].Value) {
		t.Errorf("token %s", cookies[0].Value)
	}
}

func TestUntouchedMembersComeBackByteForByte(t *testing.T) {
	members := `"big":9007199254740993,"long":123456789012345678901234567890.1234567890123456789,"huge":1e400,` +
		`"lone":"\ud800","odd":"\u0041\/\b","_own":{"x":[1,2]},"sp" : [ 1 , 2 ],"dup":1,"dup":2,"\u0061":"escaped name","html":"<>&"`
	sessiontest.OnEachRedis(t, func(t *testing.T, b sessiontest.Backend) {
		manager := sessiontest.NewManager(t, session.Config{Store: b.Store})
		cookies, id := sessiontest.Begin(t, manager, map[string]any{"x": 1})
		b.Do("SET", "session:"+id, "{"+members+"}", "PX", 60000)
		sessiontest.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
			if n, ok := session.Key[int64]("big").Get(s); n != 1<<53+1 || !ok {
				t.Errorf("big is %d", n)
			}
			if n, ok := session.Key[json.Number]("long").Get(s); n != "123456789012345678901234567890.1234567890123456789" || !ok {
				t.Errorf("long is %s", n)
			}
			if n, _ := session.Key[int]("dup").Get(s); n != 2 {
				t.Errorf("dup is %d", n)
			}
			if text, _ := session.Key[string]("a").Get(s); text != "escaped name" {
				t.Errorf("a is %q", text)
			}
			_ = s.Set("new", true)
		})
		if got := b.Get(t, id); !strings.HasPrefix(got, `{"_rev":"`) || !strings.HasSuffix(got, ","+members+`,"new":true}`) {
			t.Errorf("stored %s", got)
		}
	})
}

func TestKeysAndValues(t *testing.T) {
	b, _ := sessiontest.MiniRedis(t)
	manager := sessiontest.NewManager(t, session.Config{Store: b.Store})
	cookies, id := sessiontest.Begin(t, manager, map[string]any{"x": 1})
	b.Do("SET", "session:"+id, `{"_hidden":1,"b":1,"a":2,"b":3}`, "PX", 60000)
	sessiontest.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		if keys := s.Keys(); !slices.Equal(keys, []string{"b", "a"}) {
			t.Errorf("keys %q", keys)
		}
		if _, ok := session.Key[int]("_hidden").Get(s); ok {
			t.Error("a reserved key is visible")
		}
		var n int
		if err := s.Decode("b", &n); err != nil || n != 3 {
			t.Errorf("b is %d, %v", n, err)
		}
		if err := s.Decode("missing", &n); !errors.Is(err, session.ErrNoKey) {
			t.Errorf("missing: %v", err)
		}
		var text string
		if err := s.Decode("a", &text); err == nil || errors.Is(err, session.ErrNoKey) {
			t.Errorf("a as a string: %v", err)
		}
		if text, ok := session.Key[string]("a").Get(s); text != "" || ok {
			t.Errorf("a as a string: %q, %v", text, ok)
		}
		if _, ok := session.Key[struct{ X int }]("a").Get(s); ok {
			t.Error("a is a struct")
		}
		s.Delete("b", "missing", "_hidden")
		if keys := s.Keys(); !slices.Equal(keys, []string{"a"}) {
			t.Errorf("keys after Delete: %q", keys)
		}
		s.Clear()
		if text, _ := json.Marshal(s); string(text) != "{}" {
			t.Errorf("after Clear: %s", text)
		}
		_ = s.Set("c", nil)
	})
	if got := b.Get(t, id); !strings.HasSuffix(got, `","_hidden":1,"c":null}`) {
		t.Errorf("stored %s", got)
	}
}

func TestSetRefuses(t *testing.T) {
	b, _ := sessiontest.MiniRedis(t)
	manager := sessiontest.NewManager(t, session.Config{Store: b.Store, MaxBytes: 100})
	sessiontest.Request(t, manager, nil, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		if err := s.Set("f", func() {}); err == nil || !strings.Contains(err.Error(), `"f"`) {
			t.Errorf("a function: %v", err)
		}
		if err := s.Set("_x", 1); err == nil || !strings.Contains(err.Error(), "reserved") {
			t.Errorf("a reserved key: %v", err)
		}
		if err := s.Set("\xff", 1); err == nil || !strings.Contains(err.Error(), "UTF-8") {
			t.Errorf("a key that is not UTF-8: %v", err)
		}
		if err := s.Set("big", strings.Repeat("x", 100)); !errors.Is(err, session.ErrTooLarge) {
			t.Errorf("a large value: %v", err)
		}
		if err := session.Key[func()]("f").Update(s, func(func()) func() { return func() {} }); err == nil {
			t.Error("Update with a function succeeds")
		}
		if len(s.Keys()) != 0 {
			t.Errorf("keys %q", s.Keys())
		}
	})
	if len(b.Keys(t)) != 0 {
		t.Errorf("keys %q", b.Keys(t))
	}
}

// MaxBytes holds to the byte: 27 of {"_rev":"0123456789abcdef","k":"…"} are the revision, the rest is the value.
func TestMaxBytesIsExact(t *testing.T) {
	b, _ := sessiontest.MiniRedis(t)
	const limit = 200
	manager := sessiontest.NewManager(t, session.Config{Store: b.Store, MaxBytes: limit})
	fits := limit - len(`{"_rev":"0123456789abcdef","k":""}`)
	cookies, id := sessiontest.Begin(t, manager, map[string]any{"k": strings.Repeat("x", fits)})
	if got := len(b.Get(t, id)); got != limit {
		t.Errorf("stored %d bytes", got)
	}
	sessiontest.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		if err := s.Set("k", strings.Repeat("x", fits+1)); !errors.Is(err, session.ErrTooLarge) {
			t.Errorf("one byte more: %v", err)
		}
		if err := s.Set("k", strings.Repeat("y", fits)); err != nil {
			t.Errorf("the same size: %v", err)
		}
	})
}

func TestLargerSessionCanBeReadAndShrunk(t *testing.T) {
	b, _ := sessiontest.MiniRedis(t)
	var failure error
	manager := sessiontest.NewManager(t, session.Config{Store: b.Store, MaxBytes: 100, OnError: func(w http.ResponseWriter, _ *http.Request, err error) {
		failure = err
		w.WriteHeader(http.StatusInsufficientStorage)
	}})
	cookies, id := sessiontest.Begin(t, manager, map[string]any{"x": 1})
	large := `{"a":"` + strings.Repeat("x", 200) + `","b":1}`
	b.Do("SET", "session:"+id, large, "PX", 60000)
	response := sessiontest.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		s.Delete("b")
		if err := s.Set("a", strings.Repeat("x", 150)); err != nil {
			t.Errorf("a smaller value: %v", err)
		}
	})
	if response.StatusCode != http.StatusInsufficientStorage || !errors.Is(failure, session.ErrTooLarge) {
		t.Errorf("saving a session that is still too large: %d, %v", response.StatusCode, failure)
	}
	if got := b.Get(t, id); got != large {
		t.Errorf("stored %s", got)
	}
	sessiontest.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { s.Delete("a") })
	if got := b.Get(t, id); !strings.HasSuffix(got, `","b":1}`) {
		t.Errorf("stored %s", got)
	}
}

func TestCommandsOfEachKindOfRequest(t *testing.T) {
	b, _ := sessiontest.MiniRedis(t)
	store := &sessiontest.FaultyStore{Store: b.Store}
	manager := sessiontest.NewManager(t, session.Config{Store: store})
	cookies, _ := sessiontest.Begin(t, manager, map[string]any{"n": 1, "text": "x"})
	store.Calls()
	tests := map[string]struct {
		cookies []*http.Cookie
		handler func(s *session.Session)
		calls   string
		header  bool
	}{
		"reading without a cookie":        {nil, func(s *session.Session) { s.Keys() }, "0 loads, 0 saves, 0 deletes", false},
		"deleting without a cookie":       {nil, func(s *session.Session) { s.Delete("n"); s.Clear() }, "0 loads, 0 saves, 0 deletes", false},
		"destroying without a cookie":     {nil, func(s *session.Session) { s.Destroy() }, "0 loads, 0 saves, 0 deletes", false},
		"renewing without a cookie":       {nil, func(s *session.Session) { _ = s.Renew() }, "0 loads, 0 saves, 0 deletes", false},
		"Set and Delete without a cookie": {nil, func(s *session.Session) { _ = s.Set("a", 1); s.Delete("a") }, "0 loads, 0 saves, 0 deletes", false},
		"reading":                         {cookies, func(s *session.Session) { s.Keys(); visits.Get(s) }, "1 loads, 0 saves, 0 deletes", false},
		"Set of the same value":           {cookies, func(s *session.Session) { _ = s.Set("n", 1) }, "1 loads, 0 saves, 0 deletes", false},
		"Set there and back":              {cookies, func(s *session.Session) { _ = s.Set("n", 2); _ = s.Set("n", 1) }, "1 loads, 0 saves, 0 deletes", false},
		"Delete of a key without a value": {cookies, func(s *session.Session) { s.Delete("a") }, "1 loads, 0 saves, 0 deletes", false},
		"Update to the same value":        {cookies, func(s *session.Session) { _ = session.Key[int]("n").Update(s, func(n int) int { return n }) }, "1 loads, 0 saves, 0 deletes", false},
		"writing":                         {cookies, func(s *session.Session) { _ = s.Set("m", 2) }, "1 loads, 1 saves, 0 deletes", false},
		"several writes":                  {cookies, func(s *session.Session) { _ = s.Set("o", 2); _ = s.Set("p", 2); s.Delete("m") }, "1 loads, 1 saves, 0 deletes", false},
		"beginning a session":             {nil, func(s *session.Session) { _ = s.Set("n", 1) }, "0 loads, 1 saves, 0 deletes", true},
		"beginning and destroying":        {nil, func(s *session.Session) { _ = s.Set("n", 1); s.Destroy() }, "0 loads, 0 saves, 0 deletes", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			response := sessiontest.Request(t, manager, test.cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { test.handler(s) })
			if calls := store.Calls(); calls != test.calls {
				t.Errorf("%s", calls)
			}
			if header := response.Header.Get("Set-Cookie") != ""; header != test.header {
				t.Errorf("Set-Cookie %q", response.Header.Get("Set-Cookie"))
			}
		})
	}
}

func TestUntouchedRouteCostsNothing(t *testing.T) {
	b, mini := sessiontest.MiniRedis(t)
	manager := sessiontest.NewManager(t, session.Config{Store: b.Store})
	cookies, _ := sessiontest.Begin(t, manager, map[string]any{"n": 1})
	before := mini.CommandCount()
	r := httptest.NewRequest("GET", "/", nil)
	r.AddCookie(cookies[0])
	w := httptest.NewRecorder()
	manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "x") })).ServeHTTP(w, r)
	if after := mini.CommandCount(); after != before {
		t.Errorf("%d commands", after-before)
	}
	if header := w.Header(); header.Get("Vary") != "" || header.Get("Cache-Control") != "" || header.Get("Set-Cookie") != "" {
		t.Errorf("headers %v", header)
	}
}

func TestTokensThatLeadToNothingAreNotAdopted(t *testing.T) {
	b, mini := sessiontest.MiniRedis(t)
	manager := sessiontest.NewManager(t, session.Config{Store: b.Store, Lifetime: time.Hour, IdleTimeout: time.Minute})
	cookies, _ := sessiontest.Begin(t, manager, map[string]any{"n": 1})
	live := cookies[0].Value
	sessiontest.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { s.Destroy() })
	over := "AAAAAAA" + live[7:]
	tests := map[string]struct {
		token    string
		commands int
	}{
		"never issued":        {live[:20] + "AAAA" + live[24:], 1},
		"destroyed":           {live, 1},
		"past its deadline":   {over, 0},
		"too short":           {live[:42], 0},
		"too long":            {live + "A", 0},
		"empty":               {"", 0},
		"standard alphabet":   {"+/" + live[2:], 0},
		"padded":              {live + "=", 0},
		"loose trailing bits": {live[:42] + "B", 0},
		"an attacker's word":  {"attackerchosen", 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			mini.FlushAll()
			token := &http.Cookie{Name: "__Host-session", Value: test.token}
			before := mini.CommandCount()
			response := sessiontest.Request(t, manager, []*http.Cookie{token}, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
				if s.ID() != "" || len(s.Keys()) != 0 {
					t.Errorf("there is a session %q with %q", s.ID(), s.Keys())
				}
			})
			if commands := mini.CommandCount() - before; commands != test.commands {
				t.Errorf("%d commands, want %d", commands, test.commands)
			}
			if response.Header.Get("Set-Cookie") != "" {
				t.Errorf("reading sets a cookie: %v", response.Header)
			}
			response = sessiontest.Request(t, manager, []*http.Cookie{token}, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
				_ = s.Set("user", "victim")
			})
			if fresh := response.Cookies(); len(fresh) != 1 || fresh[0].Value == test.token {
				t.Errorf("cookies %v", fresh)
			}
			if keys := b.Keys(t); len(keys) != 1 {
				t.Errorf("keys %q", keys)
			}
			if got := sessiontest.Values(t, manager, []*http.Cookie{token}); got != "{}" {
				t.Errorf("the token now leads to %s", got)
			}
		})
	}
}

func TestReadingSlidesTheTimeToLive(t *testing.T) {
	b, mini := sessiontest.MiniRedis(t)
	manager := sessiontest.NewManager(t, session.Config{Store: b.Store, IdleTimeout: time.Minute})
	cookies, id := sessiontest.Begin(t, manager, map[string]any{"n": 1})
	for range 5 {
		mini.FastForward(40 * time.Second)
		if got := sessiontest.Values(t, manager, cookies); got != `{"n":1}` {
			t.Fatalf("got %s", got)
		}
		if ttl := mini.TTL("session:" + id); ttl != time.Minute {
			t.Errorf("TTL %v", ttl)
		}
	}
	mini.FastForward(time.Minute)
	if got := sessiontest.Values(t, manager, cookies); got != "{}" {
		t.Errorf("an idle session has %s", got)
	}
}

func TestLifetimeBoundsTheTimeToLive(t *testing.T) {
	b, mini := sessiontest.MiniRedis(t)
	manager := sessiontest.NewManager(t, session.Config{Store: b.Store, IdleTimeout: time.Hour, Lifetime: time.Minute})
	cookies, id := sessiontest.Begin(t, manager, map[string]any{"n": 1})
	if ttl := mini.TTL("session:" + id); ttl > 61*time.Second || ttl < 50*time.Second {
		t.Errorf("TTL %v", ttl)
	}
	sessiontest.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		if rest := time.Until(s.Deadline()); rest > 61*time.Second || rest < 50*time.Second {
			t.Errorf("deadline in %v", rest)
		}
		_ = s.Set("n", 2)
	})
	if ttl := mini.TTL("session:" + id); ttl > 61*time.Second || ttl < 50*time.Second {
		t.Errorf("TTL %v after a write", ttl)
	}
}

func TestRenewGivesANewTokenAndKeepsTheValues(t *testing.T) {
	sessiontest.OnEachRedis(t, func(t *testing.T, b sessiontest.Backend) {
		manager := sessiontest.NewManager(t, session.Config{Store: b.Store})
		cookies, id := sessiontest.Begin(t, manager, map[string]any{"cart": []int{1, 2}})
		var fresh string
		response := sessiontest.Request(t, manager, cookies, func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
			if err := s.Renew(); err != nil {
				t.Error(err)
			}
			_ = user.Set(s, "alice")
			w.WriteHeader(200)
			fresh = s.ID()
			if err := s.Renew(); !errors.Is(err, session.ErrHeaderSent) {
				t.Errorf("Renew after the headers: %v", err)
			}
		})
		if fresh == id || b.Get(t, id) != "" {
			t.Errorf("ID %s became %s, the old key has %q", id, fresh, b.Get(t, id))
		}
		if got := sessiontest.Values(t, manager, response.Cookies()); got != `{"cart":[1,2],"user":"alice"}` {
			t.Errorf("got %s", got)
		}
		if got := sessiontest.Values(t, manager, cookies); got != "{}" {
			t.Errorf("the old token leads to %s", got)
		}
		if keys := b.Keys(t); len(keys) != 1 {
			t.Errorf("keys %q", keys)
		}
	})
}

func TestDestroyDeletesAndClearsTheCookie(t *testing.T) {
	b, _ := sessiontest.MiniRedis(t)
	manager := sessiontest.NewManager(t, session.Config{Store: b.Store, Cookie: session.Cookie{Name: "__Secure-x", Domain: "example.com", Path: "/app", Partitioned: true, SameSite: http.SameSiteNoneMode}})
	cookies, _ := sessiontest.Begin(t, manager, map[string]any{"n": 1})
	var s *session.Session
	response := sessiontest.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, destroyed *session.Session) {
		s = destroyed
		s.Destroy()
		if len(s.Keys()) != 0 || s.ID() != "" || !s.Deadline().IsZero() {
			t.Errorf("left: %q %q %v", s.Keys(), s.ID(), s.Deadline())
		}
	})
	if keys := b.Keys(t); len(keys) != 0 {
		t.Errorf("keys %q", keys)
	}
	want := "__Secure-x=; Path=/app; Domain=example.com; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; HttpOnly; Secure; SameSite=None; Partitioned"
	if got := response.Header.Get("Set-Cookie"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestSetAfterDestroyBeginsANewSession(t *testing.T) {
	b, _ := sessiontest.MiniRedis(t)
	manager := sessiontest.NewManager(t, session.Config{Store: b.Store})
	cookies, id := sessiontest.Begin(t, manager, map[string]any{"secret": 1})
	response := sessiontest.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		s.Destroy()
		_ = s.Set("notice", "signed out")
		_ = s.Renew()
	})
	if b.Get(t, id) != "" {
		t.Error("the old session is still there")
	}
	if fresh := response.Cookies(); len(fresh) != 1 || fresh[0].Value == cookies[0].Value || fresh[0].MaxAge != 0 {
		t.Errorf("cookies %v", fresh)
	}
	if got := sessiontest.Values(t, manager, response.Cookies()); got != `{"notice":"signed out"}` {
		t.Errorf("got %s", got)
	}
}

func TestChangesAfterTheHeadersLeft(t *testing.T) {
	b, _ := sessiontest.MiniRedis(t)
	manager := sessiontest.NewManager(t, session.Config{Store: b.Store})
	response := sessiontest.Request(t, manager, nil, func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		w.WriteHeader(200)
		if err := s.Set("n", 1); !errors.Is(err, session.ErrHeaderSent) {
			t.Errorf("Set that would begin a session: %v", err)
		}
		if err := visits.Update(s, func(n int) int { return n + 1 }); !errors.Is(err, session.ErrHeaderSent) {
			t.Errorf("Update that would begin a session: %v", err)
		}
	})
	if response.Header.Get("Set-Cookie") != "" || len(b.Keys(t)) != 0 {
		t.Errorf("cookie %q, keys %q", response.Header.Get("Set-Cookie"), b.Keys(t))
	}
	cookies, id := sessiontest.Begin(t, manager, map[string]any{"n": 1})
	sessiontest.Request(t, manager, cookies, func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		_, _ = io.WriteString(w, "x")
		if err := s.Set("late", true); err != nil {
			t.Errorf("Set on a stored session: %v", err)
		}
	})
	if got := b.Get(t, id); !strings.HasSuffix(got, `,"n":1,"late":true}`) {
		t.Errorf("stored %s", got)
	}
	sessiontest.Request(t, manager, cookies, func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		_, _ = io.WriteString(w, "x")
		s.Destroy()
		if err := s.Set("n", 1); !errors.Is(err, session.ErrHeaderSent) {
			t.Errorf("Set after a late Destroy: %v", err)
		}
	})
	if keys := b.Keys(t); len(keys) != 0 {
		t.Errorf("keys %q after a late Destroy", keys)
	}
}

// What belongs to a privilege must not go to the old token because a handler overlooked the error of Renew.
func TestNothingIsSetAfterARenewThatCameTooLate(t *testing.T) {
	b, _ := sessiontest.MiniRedis(t)
	manager := sessiontest.NewManager(t, session.Config{Store: b.Store})
	cookies, _ := sessiontest.Begin(t, manager, map[string]any{"n": 1})
	sessiontest.Request(t, manager, cookies, func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		w.WriteHeader(200)
		if err := s.Renew(); !errors.Is(err, session.ErrHeaderSent) {
			t.Errorf("Renew: %v", err)
		}
		if err := user.Set(s, "alice"); !errors.Is(err, session.ErrHeaderSent) {
			t.Errorf("Set: %v", err)
		}
	})
	if got := sessiontest.Values(t, manager, cookies); got != `{"n":1}` {
		t.Errorf("got %s", got)
	}
}

func TestLateSaveThatFailsIsLogged(t *testing.T) {
	b, _ := sessiontest.MiniRedis(t)
	store := &sessiontest.FaultyStore{Store: b.Store}
	var log sessiontest.Logs
	manager := sessiontest.NewManager(t, session.Config{Store: store, Logger: log.Logger()})
	cookies, id := sessiontest.Begin(t, manager, map[string]any{"n": 1})
	response := sessiontest.Request(t, manager, cookies, func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		w.WriteHeader(201)
		_ = s.Set("n", 2)
		store.BeforeSave = func() error { return errors.New("disk on fire") }
	})
	if response.StatusCode != 201 || !strings.Contains(log.String(), "disk on fire") || !strings.Contains(log.String(), id) {
		t.Errorf("status %d, log %s", response.StatusCode, log.String())
	}
}

func TestAfterTheHandlerTheSessionCanOnlyBeRead(t *testing.T) {
	b, _ := sessiontest.MiniRedis(t)
	var log sessiontest.Logs
	manager := sessiontest.NewManager(t, session.Config{Store: b.Store, Logger: log.Logger()})
	cookies, id := sessiontest.Begin(t, manager, map[string]any{"user": "alice"})
	before := b.Get(t, id)
	var s *session.Session
	var ctx context.Context
	sessiontest.Request(t, manager, cookies, func(_ http.ResponseWriter, r *http.Request, loaded *session.Session) { s, ctx = loaded, r.Context() })
	for name, err := range map[string]error{
		"Set":    s.Set("user", "bob"),
		"Update": user.Update(s, func(string) string { return "bob" }),
		"Renew":  s.Renew(),
		"Save":   s.Save(context.Background()),
	} {
		if err == nil || !strings.Contains(err.Error(), "handler has returned") {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.Delete("user")
	s.Clear()
	s.Destroy()
	for _, method := range []string{"Delete", "Clear", "Destroy"} {
		if !strings.Contains(log.String(), "method="+method) {
			t.Errorf("%s is ignored silently: %s", method, log.String())
		}
	}
	if name, ok := user.Get(s); name != "alice" || !ok || b.Get(t, id) != before {
		t.Errorf("%q %v, stored %s", name, ok, b.Get(t, id))
	}
	if again, err := session.Load(ctx); again != s || err != nil {
		t.Errorf("Load: %v", err)
	}
}

func TestLoadAfterTheHandlerIsRefused(t *testing.T) {
	b, _ := sessiontest.MiniRedis(t)
	store := &sessiontest.FaultyStore{Store: b.Store}
	manager := sessiontest.NewManager(t, session.Config{Store: store})
	var ctx context.Context
	manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { ctx = r.Context() })).
		ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	if _, err := session.Load(ctx); err == nil || !strings.Contains(err.Error(), "handler has returned") {
		t.Errorf("got %v", err)
	}
}

func TestFailedLoadIsRemembered(t *testing.T) {
	b, _ := sessiontest.MiniRedis(t)
	store := &sessiontest.FaultyStore{Store: b.Store, OnLoad: func() error { return errors.New("no route") }}
	manager := sessiontest.NewManager(t, session.Config{Store: store})
	cookies, _ := sessiontest.Begin(t, manager, map[string]any{"n": 1})
	r := httptest.NewRequest("GET", "/", nil)
	r.AddCookie(cookies[0])
	store.Calls()
	manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		for range 3 {
			if s, err := session.Load(r.Context()); s != nil || err == nil || !strings.Contains(err.Error(), "no route") {
				t.Errorf("got %v, %v", s, err)
			}
		}
	})).ServeHTTP(httptest.NewRecorder(), r)
	if calls := store.Calls(); calls != "1 loads, 0 saves, 0 deletes" {
		t.Errorf("%s", calls)
	}
}

func TestLoadWithAnEndedContext(t *testing.T) {
	b, _ := sessiontest.MiniRedis(t)
	store := &sessiontest.FaultyStore{Store: b.Store}
	manager := sessiontest.NewManager(t, session.Config{Store: store})
	cookies, _ := sessiontest.Begin(t, manager, map[string]any{"n": 1})
	r := httptest.NewRequest("GET", "/", nil)
	r.AddCookie(cookies[0])
	store.Calls()
	manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		ended, cancel := context.WithCancel(r.Context())
		cancel()
		if _, err := session.Load(ended); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if calls := store.Calls(); calls != "0 loads, 0 saves, 0 deletes" {
			t.Errorf("%s", calls)
		}
		during, cancel := context.WithCancel(r.Context())
		store.OnLoad = func() error { cancel(); return during.Err() }
		if _, err := session.Load(during); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		store.OnLoad = nil
		if _, err := session.Load(r.Context()); err != nil {
			t.Errorf("the next Load with a living context: %v", err)
		}
	})).ServeHTTP(httptest.NewRecorder(), r)
}

func TestLoadOfALoadedSessionNeedsNoLivingContext(t *testing.T) {
	manager := sessiontest.NewManager(t, session.Config{Store: sessiontest.NewMemory()})
	cookies, _ := sessiontest.Begin(t, manager, map[string]any{"n": 1})
	sessiontest.Request(t, manager, cookies, func(_ http.ResponseWriter, r *http.Request, s *session.Session) {
		ended, cancel := context.WithCancel(r.Context())
		cancel()
		if again, err := session.Load(ended); again != s || err != nil {
			t.Errorf("got %v, %v", again, err)
		}
	})
}

func TestLoadObeysTheDeadlineOfItsContext(t *testing.T) {
	var got time.Time
	manager := sessiontest.NewManager(t, session.Config{Store: sessiontest.ContextStore{Store: sessiontest.NewMemory(), Given: func(ctx context.Context) { got, _ = ctx.Deadline() }}})
	cookies, _ := sessiontest.Begin(t, manager, map[string]any{"n": 1})
	r := httptest.NewRequest("GET", "/", nil)
	r.AddCookie(cookies[0])
	manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), time.Second)
		defer cancel()
		if _, err := session.Load(ctx); err != nil {
			t.Error(err)
		}
		if want, _ := ctx.Deadline(); !got.Equal(want) {
			t.Errorf("the store has until %v, the caller until %v", got, want)
		}
	})).ServeHTTP(httptest.NewRecorder(), r)
}

// The context of a store ends by its deadline alone, also where the cause is asked for and the client has hung up.
func TestCauseOfTheStoresContextIsItsDeadline(t *testing.T) {
	hungUp := errors.New("the client has hung up")
	for name, wait := range map[string]func(ctx context.Context){
		"waited for": func(ctx context.Context) { <-ctx.Done() },
		"polled": func(ctx context.Context) {
			for ctx.Err() == nil {
				runtime.Gosched()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			memory := sessiontest.NewMemory()
			cookies, _ := sessiontest.Begin(t, sessiontest.NewManager(t, session.Config{Store: memory}), map[string]any{"n": 1})
			asked := false
			store := sessiontest.ContextStore{Store: memory, Given: func(ctx context.Context) {
				asked = true
				wait(ctx)
				if err := context.Cause(ctx); err != context.DeadlineExceeded {
					t.Errorf("the cause is %v", err)
				}
			}}
			manager := sessiontest.NewManager(t, session.Config{Store: store, StoreTimeout: 10 * time.Millisecond})
			ctx, cancel := context.WithCancelCause(t.Context())
			r := httptest.NewRequestWithContext(ctx, "GET", "/", nil)
			r.AddCookie(cookies[0])
			manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				go cancel(hungUp)
				_, _ = session.Load(context.WithValue(r.Context(), contextKey{}, 1))
			})).ServeHTTP(httptest.NewRecorder(), r)
			if !asked {
				t.Error("the store was not asked")
			}
		})
	}
}

type contextKey struct{}

func TestFailedLoadLeavesNoID(t *testing.T) {
	store := &sessiontest.FaultyStore{Store: sessiontest.NewMemory()}
	manager := sessiontest.NewManager(t, session.Config{Store: store, Logger: new(sessiontest.Logs).Logger()})
	one, _ := sessiontest.Begin(t, manager, map[string]any{"n": 1})
	two, _ := sessiontest.Begin(t, manager, map[string]any{"n": 2})
	var s *session.Session
	r := httptest.NewRequest("GET", "/", nil)
	for _, cookie := range append(one, two...) {
		r.AddCookie(cookie)
	}
	manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		loads := 0
		store.OnLoad = func() error { // the first cookie is found, the second fails
			if loads++; loads == 2 {
				cancel()
				return errors.New("down")
			}
			return nil
		}
		if _, err := session.Load(ctx); err == nil {
			t.Error("Load succeeded")
		}
		store.OnLoad = func() error { return driver.ErrNotFound }
		var err error
		if s, err = session.Load(r.Context()); err != nil || s.ID() != "" || !s.Deadline().IsZero() {
			t.Errorf("ID %q, deadline %v, %v", s.ID(), s.Deadline(), err)
		}
	})).ServeHTTP(httptest.NewRecorder(), r)
}

// What the next request cannot read, Set refuses.
func TestSetRefusesWhatDoesNotFitIntoASession(t *testing.T) {
	manager := sessiontest.NewManager(t, session.Config{Store: sessiontest.NewMemory()})
	nested := func(depth int) json.RawMessage {
		return json.RawMessage(strings.Repeat("[", depth) + strings.Repeat("]", depth))
	}
	var s *session.Session
	cookies := sessiontest.Request(t, manager, nil, func(_ http.ResponseWriter, _ *http.Request, loaded *session.Session) {
		s = loaded
		if err := s.Set("deep", nested(9999)); err != nil {
			t.Error(err)
		}
		for name, err := range map[string]error{
			"Set":    s.Set("deeper", nested(10_000)),
			"Update": session.Key[json.RawMessage]("deeper").Update(s, func(json.RawMessage) json.RawMessage { return nested(10_000) }),
		} {
			if err == nil || !strings.Contains(err.Error(), "nested") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}).Cookies()
	if got := sessiontest.Values(t, manager, cookies); got != `{"deep":`+string(nested(9999))+`}` {
		t.Errorf("%d bytes are stored", len(got))
	}
}

// A stream may set the same few keys for hours. What it keeps for a conflict does not grow with their number.
func TestChangesOfALongStreamDoNotPileUp(t *testing.T) {
	mem := sessiontest.NewMemory()
	manager := sessiontest.NewManager(t, session.Config{Store: mem})
	cookies, id := sessiontest.Begin(t, manager, map[string]any{"a": -1, "b": -1, "kept": true})
	const sets = 200_000
	sessiontest.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for i := range sets {
			_ = s.Set([]string{"a", "b", "c"}[i%3], i%2)
			if i%5 == 0 {
				s.Delete("c")
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 1<<20 {
			t.Errorf("%d bytes are kept after %d changes", grown, sets)
		}
		mem.Put(id, `{"by":"another","a":7,"c":7}`)
	})
	if got := sessiontest.Values(t, manager, cookies); got != `{"by":"another","a":0,"b":1,"c":1}` && got != `{"by":"another","a":0,"c":1,"b":1}` {
		t.Errorf("stored %s", got)
	}
}

func TestClientThatHangsUpLosesNothing(t *testing.T) {
	b, _ := sessiontest.MiniRedis(t)
	manager := sessiontest.NewManager(t, session.Config{Store: b.Store})
	cookies, id := sessiontest.Begin(t, manager, map[string]any{"n": 1})
	waiting, done := sessiontest.NewGate(), make(chan struct{})
	server := sessiontest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(done)
		manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s := sessiontest.Load(t, r)
			waiting.Wait()
			<-r.Context().Done()
			_ = s.Set("n", 2)
		})).ServeHTTP(w, r)
	}))
	ctx, hangUp := context.WithCancel(t.Context())
	r, _ := http.NewRequestWithContext(ctx, "GET", server.URL, nil)
	r.AddCookie(cookies[0])
	go func() {
		<-waiting.Reached
		hangUp()
		close(waiting.Open)
	}()
	if response, err := server.Client().Do(r); err == nil {
		response.Body.Close()
		t.Error("the client got a response")
	}
	<-done
	if got := b.Get(t, id); !strings.HasSuffix(got, `"n":2}`) {
		t.Errorf("stored %s", got)
	}
}

func TestValuesThatAreNoSessions(t *testing.T) {
	sessiontest.OnEachRedis(t, func(t *testing.T, b sessiontest.Backend) {
		for _, value := range []string{"", "null", "[1]", `"text"`, "1", `{"a":1`, `{"a":1}{"b":2}`, `{"a":1} x`, "\xff\xfe", "{'a':1}"} {
			t.Run(value, func(t *testing.T) {
				var log sessiontest.Logs
				manager := sessiontest.NewManager(t, session.Config{Store: b.Store, Logger: log.Logger()})
				cookies, id := sessiontest.Begin(t, manager, map[string]any{"n": 1})
				b.Do("SET", "session:"+id, value, "PX", 60000)
				var response *http.Response
				for range 2 {
					response = sessiontest.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
						if s.ID() != "" || len(s.Keys()) != 0 {
							t.Errorf("there is a session %q", s.ID())
						}
						_ = s.Set("n", 2)
					})
				}
				if response.StatusCode != 200 || sessiontest.Values(t, manager, response.Cookies()) != `{"n":2}` {
					t.Errorf("no new session: %d", response.StatusCode)
				}
				if got := b.Get(t, id); got != value {
					t.Errorf("the bytes became %q", got)
				}
				if !strings.Contains(log.String(), id) {
					t.Errorf("log: %s", log.String())
				}
			})
		}
	})
}

func TestKeyOfAnotherTypeIsNoSession(t *testing.T) {
	sessiontest.OnEachRedis(t, func(t *testing.T, b sessiontest.Backend) {
		var log sessiontest.Logs
		manager := sessiontest.NewManager(t, session.Config{Store: b.Store, Logger: log.Logger()})
		cookies, id := sessiontest.Begin(t, manager, map[string]any{"n": 1})
		sessiontest.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
			b.Do("DEL", "session:"+id)
			b.Do("RPUSH", "session:"+id, "x")
			_ = s.Set("n", 2)
			if err := s.Save(t.Context()); !errors.Is(err, session.ErrEnded) {
				t.Errorf("Save over a list: %v", err)
			}
		})
		if got := sessiontest.Values(t, manager, cookies); got != "{}" || !strings.Contains(log.String(), id) {
			t.Errorf("got %s, log %s", got, log.String())
		}
		if n := b.Do("LLEN", "session:"+id); n != int64(1) {
			t.Errorf("the list has %v items", n)
		}
	})
}

func TestSeveralCookiesOfTheName(t *testing.T) {
	b, mini := sessiontest.MiniRedis(t)
	var log sessiontest.Logs
	manager := sessiontest.NewManager(t, session.Config{Store: b.Store, Logger: log.Logger()})
	good, id := sessiontest.Begin(t, manager, map[string]any{"who": "good"})
	other, otherID := sessiontest.Begin(t, manager, map[string]any{"who": "other"})
	dead := func() *http.Cookie {
		cookies, id := sessiontest.Begin(t, manager, map[string]any{"x": 1})
		b.Do("DEL", "session:"+id)
		return cookies[0]
	}
	junk := &http.Cookie{Name: "__Host-session", Value: "junk"}
	tests := map[string]struct {
		cookies  []*http.Cookie
		want     string
		commands int
	}{
		"good, junk":              {[]*http.Cookie{good[0], junk}, `{"who":"good"}`, 1},
		"junk, good":              {[]*http.Cookie{junk, good[0]}, `{"who":"good"}`, 1},
		"dead, good":              {[]*http.Cookie{dead(), good[0]}, `{"who":"good"}`, 2},
		"good, dead":              {[]*http.Cookie{good[0], dead()}, `{"who":"good"}`, 2},
		"good twice":              {[]*http.Cookie{good[0], good[0]}, `{"who":"good"}`, 1},
		"good, other":             {[]*http.Cookie{good[0], other[0]}, `{}`, 2},
		"other, dead, good":       {[]*http.Cookie{other[0], dead(), good[0]}, `{}`, 3},
		"four, the last is good":  {[]*http.Cookie{dead(), dead(), dead(), good[0]}, `{"who":"good"}`, 4},
		"five, the first is good": {[]*http.Cookie{good[0], dead(), dead(), dead(), dead()}, `{}`, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			before := mini.CommandCount()
			if got := sessiontest.Values(t, manager, test.cookies); got != test.want {
				t.Errorf("got %s", got)
			}
			if commands := mini.CommandCount() - before; commands != test.commands {
				t.Errorf("%d commands", commands)
			}
		})
	}
	if !strings.Contains(log.String(), id) || !strings.Contains(log.String(), otherID) {
		t.Errorf("two living sessions are not logged: %s", log.String())
	}
}

func TestPopShowsAMessageOnce(t *testing.T) {
	b, _ := sessiontest.MiniRedis(t)
	manager := sessiontest.NewManager(t, session.Config{Store: b.Store})
	const notice = session.Key[string]("notice")
	cookies, _ := sessiontest.Begin(t, manager, map[string]any{"notice": "saved", "n": 1})
	for _, want := range []string{"saved", ""} {
		sessiontest.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
			if got, ok := notice.Pop(s); got != want || ok != (want != "") {
				t.Errorf("got %q, %v", got, ok)
			}
		})
	}
}

func TestUpdateRefusesAValueOfAnotherType(t *testing.T) {
	b, _ := sessiontest.MiniRedis(t)
	manager := sessiontest.NewManager(t, session.Config{Store: b.Store})
	cookies, id := sessiontest.Begin(t, manager, map[string]any{"visits": "many"})
	before := b.Get(t, id)
	sessiontest.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		if err := visits.Update(s, func(n int) int { return n + 1 }); err == nil || !strings.Contains(err.Error(), `"visits"`) {
			t.Errorf("got %v", err)
		}
	})
	if got := b.Get(t, id); got != before {
		t.Errorf("stored %s", got)
	}
}
