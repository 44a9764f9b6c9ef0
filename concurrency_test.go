package session_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/internal/testkit"
	"github.com/sessionkv/session/redisstore"
)

// together runs n requests of one session at once, each of which has loaded the session before any of them saves, and
// spreads them over the managers.
func together(t *testing.T, n int, managers []*session.Manager, cookies []*http.Cookie, handler func(i int, s *session.Session) error) {
	t.Helper()
	var done, loaded sync.WaitGroup
	loaded.Add(n)
	for i := range n {
		done.Go(func() {
			response := testkit.Request(t, managers[i%len(managers)], cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
				loaded.Done()
				loaded.Wait()
				if err := handler(i, s); err != nil {
					t.Errorf("request %d: %v", i, err)
				}
			})
			if response.StatusCode != 200 {
				t.Errorf("request %d: status %d", i, response.StatusCode)
			}
		})
	}
	done.Wait()
}

// twoNodes returns two managers, each with a store of its own, on one Redis. That a busy machine is slow is no failure.
func twoNodes(t *testing.T, address string, config session.Config) []*session.Manager {
	t.Helper()
	const patience = 9 * time.Second
	config.StoreTimeout = patience
	config.OnError = func(w http.ResponseWriter, _ *http.Request, err error) {
		t.Log(err) // which says whether the machine was too busy
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	var managers []*session.Manager
	for range 2 {
		store := redisstore.New(&redis.Pool{MaxIdle: 64, DialContext: func(ctx context.Context) (redis.Conn, error) {
			return redis.DialContext(ctx, "tcp", address, redis.DialConnectTimeout(patience))
		}}, redisstore.Options{})
		t.Cleanup(func() { _ = store.Close() })
		config.Store = store
		managers = append(managers, testkit.NewManager(t, config))
	}
	return managers
}

func onTwoNodes(t *testing.T, config session.Config, test func(t *testing.T, b testkit.Backend, managers []*session.Manager)) {
	testkit.OnEachRedis(t, func(t *testing.T, b testkit.Backend) {
		for _, nodes := range []int{1, 2} {
			t.Run(fmt.Sprintf("%d nodes", nodes), func(t *testing.T) {
				test(t, b, twoNodes(t, b.Address, config)[:nodes])
			})
		}
	})
}

func TestSimultaneousRequestsLoseNoKey(t *testing.T) {
	onTwoNodes(t, session.Config{}, func(t *testing.T, b testkit.Backend, managers []*session.Manager) {
		cookies, _ := testkit.Begin(t, managers[0], map[string]any{"first": 1})
		together(t, 50, managers, cookies, func(i int, s *session.Session) error { return s.Set(fmt.Sprint("key", i), i) })
		testkit.Request(t, managers[0], cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
			if n := len(s.Keys()); n != 51 {
				t.Errorf("%d keys: %q", n, s.Keys())
			}
			for i := range 50 {
				if n, ok := session.Key[int](fmt.Sprint("key", i)).Get(s); n != i || !ok {
					t.Errorf("key%d is %d, %v", i, n, ok)
				}
			}
		})
	})
}

func TestSimultaneousUpdatesAreExact(t *testing.T) {
	onTwoNodes(t, session.Config{}, func(t *testing.T, b testkit.Backend, managers []*session.Manager) {
		cookies, _ := testkit.Begin(t, managers[0], map[string]any{"first": 1})
		together(t, 50, managers, cookies, func(_ int, s *session.Session) error {
			return visits.Update(s, func(n int) int { return n + 1 })
		})
		if got := testkit.Values(t, managers[0], cookies); got != `{"first":1,"visits":50}` {
			t.Errorf("got %s", got)
		}
	})
}

func TestHundredsOfUpdatesOfALargeSessionAllSucceed(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	testkit.OnEachRedis(t, func(t *testing.T, b testkit.Backend) {
		if strings.Contains(t.Name(), "miniredis") {
			t.Skip("miniredis makes a new Lua state for every script: too slow for so many writers")
		}
		n := 200
		if testkit.RaceEnabled {
			n = 50 // the race detector makes the scan of 64 kB ten times slower
		}
		managers := twoNodes(t, b.Address, session.Config{})
		cookies, _ := testkit.Begin(t, managers[0], map[string]any{"ballast": strings.Repeat("x", 64<<10)})
		together(t, n, managers, cookies, func(_ int, s *session.Session) error {
			return visits.Update(s, func(n int) int { return n + 1 })
		})
		testkit.Request(t, managers[0], cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
			if got, _ := visits.Get(s); got != n {
				t.Errorf("%d of %d updates", got, n)
			}
		})
	})
}

func TestOneKeyWrittenByTwoTheLaterWins(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	manager := testkit.NewManager(t, session.Config{Store: b.Store})
	cookies, id := testkit.Begin(t, manager, map[string]any{"a": 0, "b": 0, "c": 0})
	testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, slow *session.Session) {
		_ = slow.Set("a", "slow")
		slow.Delete("b")
		testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, fast *session.Session) {
			_ = fast.Set("a", "fast")
			_ = fast.Set("b", "fast")
			_ = fast.Set("d", "fast")
			fast.Delete("c")
		})
	})
	if got := b.Get(t, id); !strings.HasSuffix(got, `","a":"slow","d":"fast"}`) {
		t.Errorf("stored %s", got)
	}
}

func TestClearWinsOverWhatItSawAndWhatItDidNot(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	manager := testkit.NewManager(t, session.Config{Store: b.Store})
	cookies, _ := testkit.Begin(t, manager, map[string]any{"a": 0})
	testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, slow *session.Session) {
		slow.Clear()
		_ = slow.Set("left", true)
		testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, fast *session.Session) { _ = fast.Set("b", 1) })
	})
	if got := testkit.Values(t, manager, cookies); got != `{"left":true}` {
		t.Errorf("got %s", got)
	}
}

func TestReaderNeverOverwritesAWriter(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	manager := testkit.NewManager(t, session.Config{Store: b.Store})
	cookies, _ := testkit.Begin(t, manager, map[string]any{"a": 0})
	testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, reader *session.Session) {
		testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, writer *session.Session) { _ = writer.Set("a", 1) })
		reader.Keys()
		_ = reader.Set("a", 0)
	})
	if got := testkit.Values(t, manager, cookies); got != `{"a":1}` {
		t.Errorf("got %s", got)
	}
}

func TestUpdateThatMeetsAnotherTypeFailsTheSave(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	var failure error
	manager := testkit.NewManager(t, session.Config{Store: b.Store, OnError: func(w http.ResponseWriter, _ *http.Request, err error) { failure = err }})
	cookies, _ := testkit.Begin(t, manager, map[string]any{"visits": 1})
	response := testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		_ = visits.Update(s, func(n int) int { return n + 1 })
		testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, other *session.Session) { _ = other.Set("visits", 4929.5) })
	})
	if response.StatusCode != 503 || failure == nil {
		t.Errorf("status %d, error %v", response.StatusCode, failure)
	}
	if failure != nil && strings.Contains(failure.Error(), "4929") {
		t.Errorf("the error, which is logged, quotes the value: %v", failure)
	}
	if got := testkit.Values(t, manager, cookies); got != `{"visits":4929.5}` {
		t.Errorf("got %s", got)
	}
}

func TestTooLargeAfterAMerge(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	var failure error
	manager := testkit.NewManager(t, session.Config{Store: b.Store, MaxBytes: 200, OnError: func(w http.ResponseWriter, _ *http.Request, err error) { failure = err }})
	cookies, _ := testkit.Begin(t, manager, map[string]any{"a": 0})
	testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		_ = s.Set("b", strings.Repeat("b", 100))
		testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, other *session.Session) {
			_ = other.Set("c", strings.Repeat("c", 100))
		})
	})
	if !errors.Is(failure, session.ErrTooLarge) {
		t.Errorf("got %v", failure)
	}
	if got := testkit.Values(t, manager, cookies); got != `{"a":0,"c":"`+strings.Repeat("c", 100)+`"}` {
		t.Errorf("got %s", got)
	}
}

// endings are the ways in which a session ends while a slow request holds it.
var endings = map[string]func(t *testing.T, b testkit.Backend, manager *session.Manager, cookies []*http.Cookie, id string){
	"destroyed": func(t *testing.T, _ testkit.Backend, manager *session.Manager, cookies []*http.Cookie, _ string) {
		testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { s.Destroy() })
	},
	"deleted in Redis": func(_ *testing.T, b testkit.Backend, _ *session.Manager, _ []*http.Cookie, id string) {
		b.Do("DEL", "session:"+id)
	},
	"expired": func(t *testing.T, b testkit.Backend, _ *session.Manager, _ []*http.Cookie, id string) {
		b.Do("PEXPIRE", "session:"+id, 1)
		if b.Mini != nil {
			b.Mini.FastForward(time.Millisecond)
		}
		for deadline := time.Now().Add(5 * time.Second); b.Do("EXISTS", "session:"+id) != int64(0); {
			if time.Now().After(deadline) {
				t.Fatal("the key does not expire")
			}
		}
	},
}

func TestSlowRequestNeverBringsASessionBack(t *testing.T) {
	testkit.OnEachRedis(t, func(t *testing.T, b testkit.Backend) {
		manager := testkit.NewManager(t, session.Config{Store: b.Store})
		for ending, end := range endings {
			for work, do := range testkit.SlowWorks() {
				t.Run(ending+", it "+work, func(t *testing.T) {
					cookies, id := testkit.Begin(t, manager, map[string]any{"user": "alice"})
					response := testkit.Request(t, manager, cookies, func(w http.ResponseWriter, r *http.Request, s *session.Session) {
						end(t, b, manager, cookies, id)
						do(w, s)
					})
					if got := b.Get(t, id); got != "" {
						t.Errorf("the session is back: %s", got)
					}
					if cookie := response.Header.Get("Set-Cookie"); cookie != "" {
						t.Errorf("Set-Cookie: %s", cookie)
					}
					if response.StatusCode != 200 {
						t.Errorf("status %d", response.StatusCode)
					}
				})
			}
		}
	})
}

// What had loaded the session before it was renewed does nothing, and is told so, with two exceptions: who only reads need
// not know, and a second renewal of a visitor's session gives that browser a second session of the same values.
func TestSlowRequestThatMeetsARenewalIsToldToAskAgain(t *testing.T) {
	testkit.OnEachRedis(t, func(t *testing.T, b testkit.Backend) {
		manager := testkit.NewManager(t, session.Config{Store: b.Store})
		for work, do := range testkit.SlowWorks() {
			t.Run("it "+work, func(t *testing.T) {
				cookies, id := testkit.Begin(t, manager, map[string]any{"user": "alice"})
				var renewed *http.Response
				response := testkit.Request(t, manager, cookies, func(w http.ResponseWriter, r *http.Request, s *session.Session) {
					renewed = testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
						if err := s.Renew(); err != nil {
							t.Error(err)
						}
					})
					do(w, s)
				})
				status, retry, cookie := http.StatusServiceUnavailable, "1", 0
				switch work {
				case "reads", "writes after the headers":
					status, retry = http.StatusOK, ""
				case "renews":
					status, retry, cookie = http.StatusOK, "", 1
				}
				if response.StatusCode != status || response.Header.Get("Retry-After") != retry || len(response.Cookies()) != cookie {
					t.Errorf("status %d, headers %v", response.StatusCode, response.Header)
				}
				for _, c := range append(response.Cookies(), renewed.Cookies()...) {
					if got := testkit.Values(t, manager, []*http.Cookie{c}); got != `{"user":"alice"}` {
						t.Errorf("the new session has %s", got)
					}
				}
				if got := b.Get(t, id); !strings.Contains(got, `"_renewed"`) {
					t.Errorf("in the place of the old session there is %s", got)
				}
			})
		}
	})
}

func TestEndedSessionSaysSo(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	manager := testkit.NewManager(t, session.Config{Store: b.Store})
	cookies, id := testkit.Begin(t, manager, map[string]any{"user": "alice"})
	response := testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, r *http.Request, s *session.Session) {
		b.Do("DEL", "session:"+id)
		_ = s.Set("n", 1)
		for name, err := range map[string]error{
			"Save":   s.Sync(r.Context()),
			"Set":    s.Set("n", 2),
			"Update": visits.Update(s, func(n int) int { return n + 1 }),
			"Renew":  s.Renew(),
		} {
			if !errors.Is(err, session.ErrEnded) {
				t.Errorf("%s: %v", name, err)
			}
		}
		s.Delete("user")
		if s.ID() != id || len(s.Keys()) != 0 {
			t.Errorf("ID %q, keys %q", s.ID(), s.Keys())
		}
		s.Destroy()
		if err := s.Set("n", 3); err != nil {
			t.Errorf("Set after Destroy: %v", err)
		}
	})
	if got := testkit.Values(t, manager, response.Cookies()); got != `{"n":3}` {
		t.Errorf("got %s", got)
	}
}

func TestGoroutinesOfOneHandlerShareTheSession(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	manager := testkit.NewManager(t, session.Config{Store: b.Store})
	cookies, _ := testkit.Begin(t, manager, map[string]any{"n": 1})
	testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, r *http.Request, _ *session.Session) {
		var all sync.WaitGroup
		for i := range 20 {
			all.Go(func() {
				s := testkit.Load(t, r)
				_ = s.Set(fmt.Sprint("key", i), i)
				_ = visits.Update(s, func(n int) int { return n + 1 })
				s.Keys()
				_ = s.JSON()
				if i%5 == 0 {
					if err := s.Sync(r.Context()); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
	})
	testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		if n, _ := visits.Get(s); n != 20 || len(s.Keys()) != 22 {
			t.Errorf("visits %d, keys %q", n, s.Keys())
		}
	})
}
