package session_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/internal/testkit"
)

// Code that is not the library's may come back to the Session: a logger that adds its ID to every line, a store that
// traces its calls, a value that encodes itself. None of it may wait for a lock that its own caller holds.

// comeBack uses the session that ctx leads to, if it leads to one.
func comeBack(ctx context.Context) {
	if s, err := session.Load(ctx); err == nil {
		s.ID()
		s.Keys()
		_ = s.Set("seen", true)
	}
}

// A contextualHandler adds the session's ID to each line, as handlers of package slog do that know the request.
type contextualHandler struct{ slog.Handler }

func (h contextualHandler) Handle(ctx context.Context, record slog.Record) error {
	comeBack(ctx)
	return h.Handler.Handle(ctx, record)
}

// returns fails the test if fn hangs.
func returns(t *testing.T, fn func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		fn()
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("it hangs")
	}
}

func TestForeignCodeMayComeBackToTheSession(t *testing.T) {
	output := new(testkit.Logs)
	logger := slog.New(contextualHandler{slog.NewTextHandler(output, nil)})
	for name, test := range map[string]func(t *testing.T, manager *session.Manager, store *testkit.FaultyStore, mem *testkit.Memory){
		"a stored value is no session": func(t *testing.T, manager *session.Manager, _ *testkit.FaultyStore, mem *testkit.Memory) {
			cookies, id := testkit.Begin(t, manager, map[string]any{"n": 1})
			mem.Put(id, "[]")
			testkit.Request(t, manager, cookies, func(http.ResponseWriter, *http.Request, *session.Session) {})
		},
		"two living sessions": func(t *testing.T, manager *session.Manager, _ *testkit.FaultyStore, _ *testkit.Memory) {
			one, _ := testkit.Begin(t, manager, map[string]any{"n": 1})
			two, _ := testkit.Begin(t, manager, map[string]any{"n": 2})
			testkit.Request(t, manager, append(one, two...), func(http.ResponseWriter, *http.Request, *session.Session) {})
		},
		"a late save fails": func(t *testing.T, manager *session.Manager, store *testkit.FaultyStore, _ *testkit.Memory) {
			cookies, _ := testkit.Begin(t, manager, map[string]any{"n": 1})
			testkit.Request(t, manager, cookies, func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
				w.WriteHeader(http.StatusOK)
				_ = s.Set("n", 2)
				store.BeforeSave = func() error { return errors.New("down") }
			})
		},
		"a save fails": func(t *testing.T, manager *session.Manager, store *testkit.FaultyStore, _ *testkit.Memory) {
			cookies, _ := testkit.Begin(t, manager, map[string]any{"n": 1})
			testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
				_ = s.Set("n", 2)
				store.BeforeSave = func() error { return errors.New("down") }
			})
		},
		"a conflict with what is no session": func(t *testing.T, manager *session.Manager, _ *testkit.FaultyStore, mem *testkit.Memory) {
			cookies, id := testkit.Begin(t, manager, map[string]any{"n": 1})
			testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
				_ = s.Set("n", 2)
				mem.Put(id, "[]")
			})
		},
		"a change after the handler": func(t *testing.T, manager *session.Manager, _ *testkit.FaultyStore, _ *testkit.Memory) {
			var ended *session.Session
			testkit.Request(t, manager, nil, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { ended = s })
			ended.Delete("n")
			ended.Destroy()
		},
		"every call of the store": func(t *testing.T, manager *session.Manager, _ *testkit.FaultyStore, _ *testkit.Memory) {
			cookies, _ := testkit.Begin(t, manager, map[string]any{"n": 1})
			testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, r *http.Request, s *session.Session) {
				_ = s.Sync(r.Context())
				_ = s.Set("n", 2)
				_ = s.Sync(r.Context())
				_ = s.Renew()
			})
			testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { s.Destroy() })
		},
	} {
		t.Run(name, func(t *testing.T) {
			mem := testkit.NewMemory()
			store := &testkit.FaultyStore{Store: testkit.ContextStore{Store: mem, Given: comeBack}}
			manager := testkit.NewManager(t, session.Config{Store: store, Logger: logger, OnError: func(w http.ResponseWriter, r *http.Request, err error) {
				comeBack(r.Context())
				logger.ErrorContext(r.Context(), "failed", "error", err)
				w.WriteHeader(http.StatusServiceUnavailable)
			}})
			returns(t, func() { test(t, manager, store, mem) })
		})
	}
}

// A nosy value uses a session while it is encoded or decoded.
type nosy struct{ s *session.Session }

func (n nosy) MarshalJSON() ([]byte, error) {
	if n.s != nil {
		n.s.ID()
		_ = n.s.Set("encoded", true)
	}
	return []byte("{}"), nil
}

func TestValueThatUsesTheSessionWhileItIsEncoded(t *testing.T) {
	manager := testkit.NewManager(t, session.Config{Store: testkit.NewMemory()})
	var cookies []*http.Cookie
	returns(t, func() {
		cookies = testkit.Request(t, manager, nil, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
			if err := s.Set("nosy", nosy{s}); err != nil {
				t.Error(err)
			}
		}).Cookies()
	})
	if got := testkit.Values(t, manager, cookies); got != `{"encoded":true,"nosy":{}}` {
		t.Errorf("stored %s", got)
	}
}

// An Update whose function uses a Session would wait for itself. It panics at once, when it is called first and when it
// is called again for a conflict.
func TestUpdateWhoseFunctionUsesTheSessionPanics(t *testing.T) {
	for name, use := range map[string]func(s *session.Session){
		"Get":     func(s *session.Session) { visits.Get(s) },
		"Set":     func(s *session.Session) { _ = visits.Set(s, 1) },
		"Update":  func(s *session.Session) { _ = visits.Update(s, func(n int) int { return n }) },
		"ID":      func(s *session.Session) { s.ID() },
		"Save":    func(s *session.Session) { _ = s.Sync(context.Background()) },
		"Destroy": func(s *session.Session) { s.Destroy() },
		"Renew":   func(s *session.Session) { _ = s.Renew() },
		"encoding": func(s *session.Session) {
			_ = session.Key[nosy]("nosy").Update(s, func(nosy) nosy { return nosy{s} })
		},
	} {
		t.Run(name, func(t *testing.T) {
			mem := testkit.NewMemory()
			store := &testkit.FaultyStore{Store: mem}
			manager := testkit.NewManager(t, session.Config{Store: store})
			cookies, id := testkit.Begin(t, manager, map[string]any{"visits": 1})
			returns(t, func() {
				text := panicOf(func() {
					testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
						_ = visits.Update(s, func(n int) int { use(s); return n + 1 })
					})
				})
				if !strings.Contains(text, "function given to Key.Update") {
					t.Errorf("at the call: %q", text)
				}
				text = panicOf(func() {
					testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
						called := false
						_ = visits.Update(s, func(n int) int {
							if called {
								use(s)
							}
							called = true
							return n + 1
						})
						mem.Put(id, `{"visits":7}`)
					})
				})
				if !strings.Contains(text, "function given to Key.Update") {
					t.Errorf("at the conflict: %q", text)
				}
			})
			if got := testkit.Values(t, manager, cookies); got != `{"visits":7}` {
				t.Errorf("stored %s", got)
			}
		})
	}
}

// panicOf returns what fn panics with, as text.
func panicOf(fn func()) (text string) {
	defer func() {
		if v := recover(); v != nil {
			text, _ = v.(string)
		}
	}()
	fn()
	return ""
}

// A goroutine of the handler that only waits for the one that is in an Update is not taken for a mistake.
func TestOthersWaitForAnUpdate(t *testing.T) {
	manager := testkit.NewManager(t, session.Config{Store: testkit.NewMemory()})
	cookies, _ := testkit.Begin(t, manager, map[string]any{"visits": 1})
	testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		in, waited := testkit.NewGate(), make(chan struct{})
		go func() {
			defer close(waited)
			<-in.Reached
			go close(in.Open)
			_ = s.Set("other", json.RawMessage("1"))
		}()
		_ = visits.Update(s, func(n int) int { in.Wait(); return n + 1 })
		<-waited
	})
	if got := testkit.Values(t, manager, cookies); got != `{"visits":2,"other":1}` {
		t.Errorf("stored %s", got)
	}
}

// A request whose context has ended reaches nobody with a cookie.
func TestNothingThatNeedsACookieIsDoneForAClientThatHasGone(t *testing.T) {
	type handler = func(w http.ResponseWriter, r *http.Request, s *session.Session)
	for name, c := range map[string]struct {
		handler handler
		begun   bool   // the client had a session before
		stored  string // what that session has afterwards, "{}" if it is gone
		fails   bool
	}{
		"Renew keeps the old session": {func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
			_ = errors.Join(s.Renew(), user.Set(s, "alice"))
		}, true, `{"n":1}`, true},
		"a change is saved": {func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
			_ = s.Set("n", 2)
		}, true, `{"n":2}`, false},
		"Destroy destroys": {func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { s.Destroy() }, true, "{}", false},
		"Destroy destroys, and no session begins": {func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
			s.Destroy()
			_ = s.Set("n", 3)
		}, true, "{}", true},
		"no session begins": {func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { _ = s.Set("n", 1) }, false, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			store := testkit.NewMemory()
			var failure error
			manager := testkit.NewManager(t, session.Config{Store: store, Logger: new(testkit.Logs).Logger(), OnError: func(w http.ResponseWriter, _ *http.Request, err error) {
				failure = err
				w.WriteHeader(http.StatusServiceUnavailable)
			}})
			var cookies []*http.Cookie
			if c.begun {
				cookies, _ = testkit.Begin(t, manager, map[string]any{"n": 1})
			}
			ctx, hangUp := context.WithCancel(t.Context())
			r := httptest.NewRequestWithContext(ctx, "GET", "https://example.com/", nil)
			for _, cookie := range cookies {
				r.AddCookie(cookie)
			}
			w := httptest.NewRecorder()
			manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				s := testkit.Load(t, r)
				hangUp()
				c.handler(w, r, s)
				if err := s.Sync(context.WithoutCancel(r.Context())); (err != nil) != c.fails || err != nil && !errors.Is(err, context.Canceled) {
					t.Errorf("Save: %v", err)
				}
				c.handler(w, r, s)
			})).ServeHTTP(w, r)
			if (failure != nil) != c.fails || failure != nil && !errors.Is(failure, context.Canceled) {
				t.Errorf("the save at the end: %v", failure)
			}
			if c.begun {
				if got := testkit.Values(t, manager, cookies); got != c.stored {
					t.Errorf("stored %s, want %s", got, c.stored)
				}
			}
			if want := map[bool]int{true: 1}[c.begun && c.stored != "{}"]; len(store.Stored()) != want {
				t.Errorf("%d sessions are stored, want %d", len(store.Stored()), want)
			}
			for _, line := range w.Result().Header["Set-Cookie"] {
				if !strings.Contains(line, "Max-Age=0") {
					t.Errorf("a cookie for nobody: %s", line)
				}
			}
		})
	}
}
