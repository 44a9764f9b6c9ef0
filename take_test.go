package session_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/internal/testkit"
	"github.com/sessionkv/session/memstore"
)

const nonce = session.Key[string]("nonce")

// Of requests that all loaded the session before one of them took the value, one gets it.
func TestTakeIsExclusive(t *testing.T) {
	testkit.OnEachRedis(t, func(t *testing.T, b testkit.Backend) {
		managers := []*session.Manager{testkit.NewManager(t, session.Config{Store: b.Store}), testkit.NewManager(t, session.Config{Store: b.Store})}
		cookies, _ := testkit.Begin(t, managers[0], map[string]any{"nonce": "abc", "kept": true})
		const n = 20
		var loaded, done sync.WaitGroup
		loaded.Add(n)
		results := make(chan error, n)
		for i := range n {
			done.Go(func() {
				testkit.Request(t, managers[i%2], cookies, func(_ http.ResponseWriter, r *http.Request, s *session.Session) {
					loaded.Done()
					loaded.Wait()
					got, err := nonce.Take(r.Context(), s)
					if err == nil && got != "abc" {
						t.Errorf("got %q", got)
					}
					results <- err
				})
			})
		}
		done.Wait()
		close(results)
		taken := 0
		for err := range results {
			if err == nil {
				taken++
			} else if !errors.Is(err, session.ErrNoKey) {
				t.Error(err)
			}
		}
		if taken != 1 {
			t.Errorf("%d requests got it", taken)
		}
		if got := testkit.Values(t, managers[0], cookies); got != `{"kept":true}` {
			t.Errorf("stored %s", got)
		}
	})
}

// A Take that fails leaves the other changes of the request, and is not made later.
func TestTakeThatFailsLeavesTheRest(t *testing.T) {
	for name, test := range map[string]struct {
		meanwhile string // what another request stores, "" for nothing
		fault     error
		want      error
		stored    string
	}{
		"another was faster":       {`{"by":"another"}`, nil, session.ErrNoKey, `{"by":"another","mine":1}`},
		"another type by now":      {`{"nonce":[1]}`, nil, nil, `{"nonce":[1],"mine":1}`},
		"the store failed before":  {"", errors.New("down"), nil, `{"mine":1,"nonce":"abc"}`},
		"another value by another": {`{"nonce":"xyz"}`, nil, nil, `{"mine":1}`},
	} {
		t.Run(name, func(t *testing.T) {
			memory := testkit.NewMemory()
			store := &testkit.FaultyStore{Store: memory}
			manager := testkit.NewManager(t, session.Config{Store: store, Logger: new(testkit.Logs).Logger()})
			cookies, id := testkit.Begin(t, manager, map[string]any{"nonce": "abc", "mine": 0})
			testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, r *http.Request, s *session.Session) {
				s.Delete("mine")
				_ = s.Set("mine", 1)
				if test.meanwhile != "" {
					memory.Put(id, test.meanwhile)
				}
				if test.fault != nil {
					s.Destroy() // so that the failure comes before the save of the change
					s.Discard()
					_ = s.Set("mine", 1)
					_ = s.Renew()
					store.BeforeSave = func() error { return test.fault }
				}
				got, err := nonce.Take(r.Context(), s)
				store.BeforeSave = nil
				switch {
				case name == "another value by another":
					if got != "xyz" || err != nil {
						t.Errorf("got %q, %v", got, err)
					}
				case err == nil || test.want != nil && !errors.Is(err, test.want) || test.fault != nil && !errors.Is(err, test.fault):
					t.Errorf("got %q, %v", got, err)
				}
				if test.fault != nil {
					s.Discard()
					_ = s.Set("mine", 1)
				}
			})
			if got := testkit.Values(t, manager, cookies); got != test.stored && test.fault == nil {
				t.Errorf("stored %s, want %s", got, test.stored)
			}
		})
	}
}

func TestTakeRefusesWhatPopWould(t *testing.T) {
	manager := testkit.NewManager(t, session.Config{Store: testkit.NewMemory(), Logger: new(testkit.Logs).Logger()})
	cookies, _ := testkit.Begin(t, manager, map[string]any{"nonce": 1})
	testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, r *http.Request, s *session.Session) {
		if got, err := nonce.Take(r.Context(), s); err == nil || got != "" {
			t.Errorf("a number: %q, %v", got, err)
		}
		if got, ok := nonce.Pop(s); ok || got != "" || !nonce.Has(s) {
			t.Errorf("Pop of a number: %q, %v, still there: %v", got, ok, nonce.Has(s))
		}
		if _, err := session.Key[string]("none").Take(r.Context(), s); !errors.Is(err, session.ErrNoKey) {
			t.Errorf("no value: %v", err)
		}
		ended, cancel := context.WithCancel(r.Context())
		cancel()
		if _, err := nonce.Take(ended, s); !errors.Is(err, context.Canceled) {
			t.Errorf("ended context: %v", err)
		}
	})
	if got := testkit.Values(t, manager, cookies); got != `{"nonce":1}` {
		t.Errorf("stored %s", got)
	}
}

// What the library keeps in a session for itself is no value that somebody could take.
func TestTakeLeavesReservedKeys(t *testing.T) {
	manager := testkit.NewManager(t, session.Config{Store: testkit.NewMemory()})
	d := testkit.NewDevice(t, manager)
	d.SignIn("alice")
	d.Do(func(r *http.Request, s *session.Session) error {
		for _, key := range []session.Key[any]{"_user", "_rev", "_none"} {
			if got, err := key.Take(r.Context(), s); !errors.Is(err, session.ErrNoKey) || got != nil {
				t.Errorf("%s: got %v, %v", key, got, err)
			}
		}
		return nil
	})
	if got := d.View(); got.User != "alice" {
		t.Errorf("afterwards: %+v", got)
	}
}

// A value of another type is not the same as none: the log says so, once for a request and key.
func TestValueOfAnotherTypeIsLoggedOnce(t *testing.T) {
	log := new(testkit.Logs)
	manager := testkit.NewManager(t, session.Config{Store: testkit.NewMemory(), Logger: log.Logger()})
	cookies, id := testkit.Begin(t, manager, map[string]any{"nonce": int64(9876543210987)})
	for range 2 {
		testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
			for range 3 {
				_, _ = nonce.Get(s)
				_, _ = nonce.Pop(s)
			}
			_, _ = user.Get(s)
		})
	}
	if lines := log.Lines(); len(lines) != 2 || !containsAll(lines[0], "another type", "key=nonce", "type=string", id) || containsAll(lines[0], "9876543210987") {
		t.Errorf("log: %q", lines)
	}
}

// Discard drops what the request did, whatever it was; what a Save has saved stays.
func TestDiscard(t *testing.T) {
	for name, work := range map[string]func(r *http.Request, s *session.Session){
		"Set":     func(_ *http.Request, s *session.Session) { _ = s.Set("n", 2) },
		"Delete":  func(_ *http.Request, s *session.Session) { s.Delete("n") },
		"Clear":   func(_ *http.Request, s *session.Session) { s.Clear() },
		"Renew":   func(_ *http.Request, s *session.Session) { _ = s.Renew(); _ = s.Set("n", 2) },
		"Destroy": func(_ *http.Request, s *session.Session) { s.Destroy() },
		"Destroy, Set": func(_ *http.Request, s *session.Session) {
			s.Destroy()
			_ = s.Set("n", 2)
			s.Destroy()
			_ = s.Set("n", 3)
		},
	} {
		t.Run(name, func(t *testing.T) {
			store := &testkit.FaultyStore{Store: testkit.NewMemory()}
			manager := testkit.NewManager(t, session.Config{Store: store})
			cookies, id := testkit.Begin(t, manager, map[string]any{"n": 1})
			store.Calls()
			response := testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, r *http.Request, s *session.Session) {
				work(r, s)
				s.Discard()
				if n, _ := session.Key[int]("n").Get(s); n != 1 || s.ID() != id {
					t.Errorf("the Session shows %d, ID %q", n, s.ID())
				}
			})
			if len(response.Cookies()) > 0 || store.Calls() != "1 loads, 0 saves, 0 deletes" {
				t.Errorf("cookies %v", response.Cookies())
			}
			if got := testkit.Values(t, manager, cookies); got != `{"n":1}` {
				t.Errorf("stored %s", got)
			}
		})
	}
	t.Run("after a Save", func(t *testing.T) {
		manager := testkit.NewManager(t, session.Config{Store: testkit.NewMemory()})
		response := testkit.Request(t, manager, nil, func(_ http.ResponseWriter, r *http.Request, s *session.Session) {
			_ = s.Set("n", 1)
			if err := s.Sync(r.Context()); err != nil {
				t.Error(err)
			}
			s.Destroy()
			_ = s.Set("n", 2)
			s.Discard()
		})
		if got := testkit.Values(t, manager, response.Cookies()); got != `{"n":1}` {
			t.Errorf("stored %s", got)
		}
	})
}

// HandlerFunc answers a failed load by OnError, and needs no Handler around it.
func TestHandlerFunc(t *testing.T) {
	store := &testkit.FaultyStore{Store: testkit.NewMemory()}
	down := errors.New("down")
	var told error
	manager := testkit.NewManager(t, session.Config{Store: store, OnError: func(w http.ResponseWriter, _ *http.Request, err error) {
		told = err
		http.Error(w, "later", http.StatusServiceUnavailable)
	}})
	count := manager.HandlerFunc(func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		if err := visits.Update(s, func(n int) int { return n + 1 }); err != nil {
			t.Error(err)
		}
	})
	for name, handler := range map[string]http.Handler{"alone": count, "within Handler": manager.Handler(count)} {
		t.Run(name, func(t *testing.T) {
			serve := func(cookies []*http.Cookie) *http.Response {
				r := httptest.NewRequest("GET", "/", nil)
				for _, cookie := range cookies {
					r.AddCookie(cookie)
				}
				w := httptest.NewRecorder()
				handler.ServeHTTP(w, r)
				return w.Result()
			}
			cookies := serve(nil).Cookies()
			serve(cookies)
			if got := testkit.Values(t, manager, cookies); got != `{"visits":2}` {
				t.Errorf("stored %s", got)
			}
			store.OnLoad = func() error { return down }
			response := serve(cookies)
			store.OnLoad = nil
			if response.StatusCode != 503 || response.Header.Get("Cache-Control") != "no-store" || !errors.Is(told, down) {
				t.Errorf("%d, %v, OnError got %v", response.StatusCode, response.Header, told)
			}
		})
	}
}

func containsAll(text string, parts ...string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}

// The caller who comes too late has failed at nothing.
func TestTakeThatIsTooLateIsNoFailedSave(t *testing.T) {
	var events []session.Event
	observe := func(_ context.Context, e session.Event) { events = append(events, e) }
	d := testkit.NewDevice(t, testkit.NewManager(t, session.Config{Store: new(memstore.Store), Observe: observe}))
	d.Do(func(_ *http.Request, s *session.Session) error { return visits.Set(s, 1) })
	d.Do(func(r *http.Request, s *session.Session) error {
		d.Twin().Do(func(r *http.Request, s *session.Session) error { _, err := visits.Take(r.Context(), s); return err })
		if _, err := visits.Take(r.Context(), s); !errors.Is(err, session.ErrNoKey) {
			t.Errorf("the second Take: %v", err)
		}
		return nil
	})
	for _, e := range events {
		if e.Outcome == session.OutcomeError {
			t.Errorf("%v %v: %v", e.Kind, e.Outcome, e.Err)
		}
	}
}
