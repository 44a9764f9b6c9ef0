package session_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/testkit"
)

func TestCommandsOfEachKindOfRequest(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	store := &testkit.FaultyStore{Store: b.Store}
	manager := testkit.NewManager(t, session.Config{Store: store})
	cookies, _ := testkit.Begin(t, manager, map[string]any{"n": 1, "text": "x"})
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
			response := testkit.Request(t, manager, test.cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { test.handler(s) })
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
	b, mini := testkit.MiniRedis(t)
	manager := testkit.NewManager(t, session.Config{Store: b.Store})
	cookies, _ := testkit.Begin(t, manager, map[string]any{"n": 1})
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

func TestLoadAfterTheHandlerIsRefused(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	store := &testkit.FaultyStore{Store: b.Store}
	manager := testkit.NewManager(t, session.Config{Store: store})
	var ctx context.Context
	manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { ctx = r.Context() })).
		ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	if _, err := session.Load(ctx); err == nil || !strings.Contains(err.Error(), "handler has returned") {
		t.Errorf("got %v", err)
	}
}

func TestFailedLoadIsRemembered(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	store := &testkit.FaultyStore{Store: b.Store, OnLoad: func() error { return errors.New("no route") }}
	manager := testkit.NewManager(t, session.Config{Store: store})
	cookies, _ := testkit.Begin(t, manager, map[string]any{"n": 1})
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
	b, _ := testkit.MiniRedis(t)
	store := &testkit.FaultyStore{Store: b.Store}
	manager := testkit.NewManager(t, session.Config{Store: store})
	cookies, _ := testkit.Begin(t, manager, map[string]any{"n": 1})
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
	manager := testkit.NewManager(t, session.Config{Store: testkit.NewMemory()})
	cookies, _ := testkit.Begin(t, manager, map[string]any{"n": 1})
	testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, r *http.Request, s *session.Session) {
		ended, cancel := context.WithCancel(r.Context())
		cancel()
		if again, err := session.Load(ended); again != s || err != nil {
			t.Errorf("got %v, %v", again, err)
		}
	})
}

func TestLoadObeysTheDeadlineOfItsContext(t *testing.T) {
	var got time.Time
	manager := testkit.NewManager(t, session.Config{Store: testkit.ContextStore{Store: testkit.NewMemory(), Given: func(ctx context.Context) { got, _ = ctx.Deadline() }}})
	cookies, _ := testkit.Begin(t, manager, map[string]any{"n": 1})
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
			memory := testkit.NewMemory()
			cookies, _ := testkit.Begin(t, testkit.NewManager(t, session.Config{Store: memory}), map[string]any{"n": 1})
			asked := false
			ctx, cancel := context.WithCancelCause(t.Context())
			store := testkit.ContextStore{Store: memory, Given: func(ctx context.Context) {
				asked = true
				cancel(hungUp)
				wait(ctx)
				if err := context.Cause(ctx); err != context.DeadlineExceeded {
					t.Errorf("the cause is %v", err)
				}
			}}
			manager := testkit.NewManager(t, session.Config{Store: store, StoreTimeout: 10 * time.Millisecond})
			r := httptest.NewRequestWithContext(ctx, "GET", "/", nil)
			r.AddCookie(cookies[0])
			manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
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
	store := &testkit.FaultyStore{Store: testkit.NewMemory()}
	manager := testkit.NewManager(t, session.Config{Store: store, Logger: new(testkit.Logs).Logger()})
	one, _ := testkit.Begin(t, manager, map[string]any{"n": 1})
	two, _ := testkit.Begin(t, manager, map[string]any{"n": 2})
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

func TestValuesThatAreNoSessions(t *testing.T) {
	testkit.OnEachRedis(t, func(t *testing.T, b testkit.Backend) {
		for _, value := range []string{"", "null", "[1]", `"text"`, "1", `{"a":1`, `{"a":1}{"b":2}`, `{"a":1} x`, "\xff\xfe", "{'a':1}"} {
			t.Run(value, func(t *testing.T) {
				var log testkit.Logs
				manager := testkit.NewManager(t, session.Config{Store: b.Store, Logger: log.Logger()})
				cookies, id := testkit.Begin(t, manager, map[string]any{"n": 1})
				b.Do("SET", "session:"+id, value, "PX", 60000)
				var response *http.Response
				for range 2 {
					response = testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
						if s.ID() != "" || len(s.Keys()) != 0 {
							t.Errorf("there is a session %q", s.ID())
						}
						_ = s.Set("n", 2)
					})
				}
				if response.StatusCode != 200 || testkit.Values(t, manager, response.Cookies()) != `{"n":2}` {
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
	testkit.OnEachRedis(t, func(t *testing.T, b testkit.Backend) {
		var log testkit.Logs
		manager := testkit.NewManager(t, session.Config{Store: b.Store, Logger: log.Logger()})
		cookies, id := testkit.Begin(t, manager, map[string]any{"n": 1})
		testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
			b.Do("DEL", "session:"+id)
			b.Do("RPUSH", "session:"+id, "x")
			_ = s.Set("n", 2)
			if err := s.Sync(t.Context()); !errors.Is(err, session.ErrEnded) {
				t.Errorf("Save over a list: %v", err)
			}
		})
		if got := testkit.Values(t, manager, cookies); got != "{}" || !strings.Contains(log.String(), id) {
			t.Errorf("got %s, log %s", got, log.String())
		}
		if n := b.Do("LLEN", "session:"+id); n != int64(1) {
			t.Errorf("the list has %v items", n)
		}
	})
}

func TestSeveralCookiesOfTheName(t *testing.T) {
	b, mini := testkit.MiniRedis(t)
	var log testkit.Logs
	manager := testkit.NewManager(t, session.Config{Store: b.Store, Logger: log.Logger()})
	good, id := testkit.Begin(t, manager, map[string]any{"who": "good"})
	other, otherID := testkit.Begin(t, manager, map[string]any{"who": "other"})
	dead := func() *http.Cookie {
		cookies, id := testkit.Begin(t, manager, map[string]any{"x": 1})
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
			if got := testkit.Values(t, manager, test.cookies); got != test.want {
				t.Errorf("got %s", got)
			}
			if commands := mini.CommandCount() - before; commands != test.commands {
				t.Errorf("%d commands", commands)
			}
		})
	}
	if !strings.Contains(log.String(), id) || !strings.Contains(log.String(), otherID) {
		t.Errorf("several living sessions are not logged: %s", log.String())
	}
}
