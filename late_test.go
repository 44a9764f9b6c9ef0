package session_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/internal/testkit"
)

func TestSaveInTheMiddleOfAHandler(t *testing.T) {
	testkit.OnEachRedis(t, func(t *testing.T, b testkit.Backend) {
		manager := testkit.NewManager(t, session.Config{Store: b.Store, IdleTimeout: time.Minute})
		response := testkit.Request(t, manager, nil, func(w http.ResponseWriter, r *http.Request, s *session.Session) {
			if err := s.Sync(r.Context()); err != nil || s.ID() != "" {
				t.Errorf("Save of nothing: %v, ID %q", err, s.ID())
			}
			_ = visits.Set(s, 1)
			if err := s.Sync(r.Context()); err != nil || b.Get(t, s.ID()) == "" {
				t.Errorf("Save of a new session: %v, ID %q", err, s.ID())
			}
			w.WriteHeader(200)
			b.Do("SET", "session:"+s.ID(), `{"visits":7}`, "PX", 5000)
			_ = visits.Update(s, func(n int) int { return n + 1 })
			if n, _ := visits.Get(s); n != 2 {
				t.Errorf("before Save Get shows %d", n)
			}
			if err := s.Sync(r.Context()); err != nil {
				t.Errorf("Save of a change: %v", err)
			}
			if n, _ := visits.Get(s); n != 8 {
				t.Errorf("after Save Get shows %d", n)
			}
			b.Do("SET", "session:"+s.ID(), `{"visits":9}`, "PX", 5000)
			if err := s.Sync(r.Context()); err != nil {
				t.Errorf("Save of no change: %v", err)
			}
			if n, _ := visits.Get(s); n != 9 {
				t.Errorf("after a Save without changes Get shows %d", n)
			}
			if ttl := b.Do("PTTL", "session:"+s.ID()).(int64); ttl < 50_000 {
				t.Errorf("the Save without changes left %d ms to live", ttl)
			}
			b.Do("DEL", "session:"+s.ID())
			if err := s.Sync(r.Context()); !errors.Is(err, session.ErrEnded) {
				t.Errorf("Save of a deleted session: %v", err)
			}
		})
		if response.Header.Get("Set-Cookie") == "" || len(b.Keys(t)) != 0 {
			t.Errorf("cookie %q, keys %q", response.Header.Get("Set-Cookie"), b.Keys(t))
		}
	})
}

func TestSessionThatEndsBeforeTheHeadersGetsNoCookie(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	manager := testkit.NewManager(t, session.Config{Store: b.Store})
	response := testkit.Request(t, manager, nil, func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		_ = visits.Set(s, 1)
		_ = s.Sync(r.Context())
		b.Do("DEL", "session:"+s.ID())
		_ = visits.Set(s, 2)
	})
	if response.Header.Get("Set-Cookie") != "" || len(b.Keys(t)) != 0 {
		t.Errorf("cookie %q, keys %q", response.Header.Get("Set-Cookie"), b.Keys(t))
	}
}

func TestChangesAfterTheHeadersLeft(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	manager := testkit.NewManager(t, session.Config{Store: b.Store})
	response := testkit.Request(t, manager, nil, func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		w.WriteHeader(200)
		if err := s.Set("n", 1); !errors.Is(err, session.ErrHeadersSent) {
			t.Errorf("Set that would begin a session: %v", err)
		}
		if err := visits.Update(s, func(n int) int { return n + 1 }); !errors.Is(err, session.ErrHeadersSent) {
			t.Errorf("Update that would begin a session: %v", err)
		}
	})
	if response.Header.Get("Set-Cookie") != "" || len(b.Keys(t)) != 0 {
		t.Errorf("cookie %q, keys %q", response.Header.Get("Set-Cookie"), b.Keys(t))
	}
	cookies, id := testkit.Begin(t, manager, map[string]any{"n": 1})
	testkit.Request(t, manager, cookies, func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		_, _ = io.WriteString(w, "x")
		if err := s.Set("late", true); err != nil {
			t.Errorf("Set on a stored session: %v", err)
		}
	})
	if got := b.Get(t, id); !strings.HasSuffix(got, `,"n":1,"late":true}`) {
		t.Errorf("stored %s", got)
	}
	testkit.Request(t, manager, cookies, func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		_, _ = io.WriteString(w, "x")
		s.Destroy()
		if err := s.Set("n", 1); !errors.Is(err, session.ErrHeadersSent) {
			t.Errorf("Set after a late Destroy: %v", err)
		}
	})
	if keys := b.Keys(t); len(keys) != 0 {
		t.Errorf("keys %q after a late Destroy", keys)
	}
}

// What belongs to a privilege must not go to the old token because a handler overlooked the error of Renew.
func TestNothingIsSetAfterARenewThatCameTooLate(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	manager := testkit.NewManager(t, session.Config{Store: b.Store})
	cookies, _ := testkit.Begin(t, manager, map[string]any{"n": 1})
	testkit.Request(t, manager, cookies, func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		w.WriteHeader(200)
		if err := s.Renew(); !errors.Is(err, session.ErrHeadersSent) {
			t.Errorf("Renew: %v", err)
		}
		if err := user.Set(s, "alice"); !errors.Is(err, session.ErrHeadersSent) {
			t.Errorf("Set: %v", err)
		}
	})
	if got := testkit.Values(t, manager, cookies); got != `{"n":1}` {
		t.Errorf("got %s", got)
	}
}

func TestLateSaveThatFailsIsLogged(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	store := &testkit.FaultyStore{Store: b.Store}
	var log testkit.Logs
	manager := testkit.NewManager(t, session.Config{Store: store, Logger: log.Logger()})
	cookies, id := testkit.Begin(t, manager, map[string]any{"n": 1})
	response := testkit.Request(t, manager, cookies, func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		w.WriteHeader(201)
		_ = s.Set("n", 2)
		store.BeforeSave = func() error { return errors.New("disk on fire") }
	})
	if response.StatusCode != 201 || !strings.Contains(log.String(), "disk on fire") || !strings.Contains(log.String(), id) {
		t.Errorf("status %d, log %s", response.StatusCode, log.String())
	}
}

func TestAfterTheHandlerTheSessionCanOnlyBeRead(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	var log testkit.Logs
	manager := testkit.NewManager(t, session.Config{Store: b.Store, Logger: log.Logger()})
	cookies, id := testkit.Begin(t, manager, map[string]any{"user": "alice"})
	before := b.Get(t, id)
	var s *session.Session
	var ctx context.Context
	testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, r *http.Request, loaded *session.Session) { s, ctx = loaded, r.Context() })
	for name, err := range map[string]error{
		"Set":    s.Set("user", "bob"),
		"Update": user.Update(s, func(string) string { return "bob" }),
		"Renew":  s.Renew(),
		"Save":   s.Sync(context.Background()),
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

// A stream may set the same few keys for hours. What it keeps for a conflict does not grow with their number.
func TestChangesOfALongStreamDoNotPileUp(t *testing.T) {
	mem := testkit.NewMemory()
	manager := testkit.NewManager(t, session.Config{Store: mem})
	cookies, id := testkit.Begin(t, manager, map[string]any{"a": -1, "b": -1, "kept": true})
	const sets = 200_000
	testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
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
	if got := testkit.Values(t, manager, cookies); got != `{"by":"another","a":0,"b":1,"c":1}` && got != `{"by":"another","a":0,"c":1,"b":1}` {
		t.Errorf("stored %s", got)
	}
}
