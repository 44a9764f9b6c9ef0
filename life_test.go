package session_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/internal/testkit"
)

func TestRenewMergesWhatTheOldSessionBecame(t *testing.T) {
	testkit.OnEachRedis(t, func(t *testing.T, b testkit.Backend) {
		manager := testkit.NewManager(t, session.Config{Store: b.Store})
		cookies, id := testkit.Begin(t, manager, map[string]any{"a": 0, "visits": 1})
		response := testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
			_ = s.Renew()
			_ = user.Set(s, "alice")
			_ = visits.Update(s, func(n int) int { return n + 1 })
			testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, other *session.Session) {
				_ = other.Set("a", 1)
				_ = visits.Update(other, func(n int) int { return n + 10 })
			})
		})
		if got := testkit.Values(t, manager, response.Cookies()); got != `{"a":1,"visits":12,"user":"alice"}` {
			t.Errorf("got %s", got)
		}
		if living := b.Living(t); len(living) != 1 || living[0] == "session:"+id {
			t.Errorf("living %q", living)
		}
	})
}

func TestRenewOfASessionThatIsGoneKeepsOnlyWhatWasSet(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	manager := testkit.NewManager(t, session.Config{Store: b.Store})
	cookies, id := testkit.Begin(t, manager, map[string]any{"secret": 1})
	response := testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		b.Do("DEL", "session:"+id)
		_ = s.Renew()
		_ = user.Set(s, "alice")
	})
	if got := testkit.Values(t, manager, response.Cookies()); got != `{"user":"alice"}` {
		t.Errorf("got %s", got)
	}
}

func TestRenewedSessionThatVanishesBeforeItsMergeHasEnded(t *testing.T) {
	b, mini := testkit.MiniRedis(t)
	store := &testkit.FaultyStore{Store: b.Store}
	manager := testkit.NewManager(t, session.Config{Store: store})
	cookies, _ := testkit.Begin(t, manager, map[string]any{"n": 1})
	var kept *session.Session
	response := testkit.Request(t, manager, cookies, func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		kept = s
		_ = s.Renew()
		testkit.Request(t, testkit.NewManager(t, session.Config{Store: b.Store}), cookies, func(_ http.ResponseWriter, _ *http.Request, other *session.Session) {
			_ = other.Set("n", 2)
		})
		saves := 0
		store.BeforeSave = func() error {
			if saves++; saves == 2 {
				mini.FlushAll()
			}
			return nil
		}
		w.WriteHeader(200)
		if err := s.Set("n", 3); !errors.Is(err, session.ErrEnded) {
			t.Errorf("Set: %v", err)
		}
	})
	if response.Header.Get("Set-Cookie") != "" || len(b.Keys(t)) != 0 || len(kept.Keys()) != 0 {
		t.Errorf("headers %v, keys %q, values %q", response.Header, b.Keys(t), kept.Keys())
	}
}

// The marker may stand although its reply was lost, so that the new session has to stay; nobody has its token.
func TestRenewWhoseMarkerMayNotStandFails(t *testing.T) {
	for name, before := range map[string]bool{"it does not": true, "it does": false} {
		t.Run(name, func(t *testing.T) {
			b, _ := testkit.MiniRedis(t)
			store := &testkit.FaultyStore{Store: b.Store}
			manager := testkit.NewManager(t, session.Config{Store: store})
			cookies, id := testkit.Begin(t, manager, map[string]any{"n": 1})
			saves := 0
			fail := func() error {
				if saves++; saves == 2 {
					return errors.New("reply lost")
				}
				return nil
			}
			if before {
				store.BeforeSave = fail
			} else {
				store.AfterSave = fail
			}
			response := testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { _ = s.Renew() })
			if response.StatusCode != 503 || response.Header.Get("Set-Cookie") != "" {
				t.Errorf("status %d, headers %v", response.StatusCode, response.Header)
			}
			if keys := b.Keys(t); len(keys) != 2 {
				t.Errorf("keys %q", keys)
			}
			if got := strings.Contains(b.Get(t, id), "_renewed"); got == before {
				t.Errorf("the old key has %s", b.Get(t, id))
			}
		})
	}
}

func TestDestroyThatFailsIsAFailedSave(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	store := &testkit.FaultyStore{Store: b.Store, OnDelete: func() error { return errors.New("no route") }}
	manager := testkit.NewManager(t, session.Config{Store: store})
	cookies, id := testkit.Begin(t, manager, map[string]any{"n": 1})
	response := testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		s.Destroy()
		_ = s.Set("n", 2)
	})
	if response.StatusCode != 503 || response.Header.Get("Set-Cookie") != "" || b.Get(t, id) == "" || len(b.Keys(t)) != 1 {
		t.Errorf("status %d, headers %v, keys %q", response.StatusCode, response.Header, b.Keys(t))
	}
}

func TestTokensThatLeadToNothingAreNotAdopted(t *testing.T) {
	b, mini := testkit.MiniRedis(t)
	manager := testkit.NewManager(t, session.Config{Store: b.Store, Lifetime: time.Hour, IdleTimeout: time.Minute})
	cookies, _ := testkit.Begin(t, manager, map[string]any{"n": 1})
	live := cookies[0].Value
	testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { s.Destroy() })
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
			response := testkit.Request(t, manager, []*http.Cookie{token}, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
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
			response = testkit.Request(t, manager, []*http.Cookie{token}, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
				_ = s.Set("user", "victim")
			})
			if fresh := response.Cookies(); len(fresh) != 1 || fresh[0].Value == test.token {
				t.Errorf("cookies %v", fresh)
			}
			if keys := b.Keys(t); len(keys) != 1 {
				t.Errorf("keys %q", keys)
			}
			if got := testkit.Values(t, manager, []*http.Cookie{token}); got != "{}" {
				t.Errorf("the token now leads to %s", got)
			}
		})
	}
}

func TestReadingSlidesTheTimeToLive(t *testing.T) {
	b, mini := testkit.MiniRedis(t)
	manager := testkit.NewManager(t, session.Config{Store: b.Store, IdleTimeout: time.Minute})
	cookies, id := testkit.Begin(t, manager, map[string]any{"n": 1})
	for range 5 {
		mini.FastForward(40 * time.Second)
		if got := testkit.Values(t, manager, cookies); got != `{"n":1}` {
			t.Fatalf("got %s", got)
		}
		if ttl := mini.TTL("session:" + id); ttl != time.Minute {
			t.Errorf("TTL %v", ttl)
		}
	}
	mini.FastForward(time.Minute)
	if got := testkit.Values(t, manager, cookies); got != "{}" {
		t.Errorf("an idle session has %s", got)
	}
}

func TestLifetimeBoundsTheTimeToLive(t *testing.T) {
	b, mini := testkit.MiniRedis(t)
	manager := testkit.NewManager(t, session.Config{Store: b.Store, IdleTimeout: time.Hour, Lifetime: time.Minute})
	cookies, id := testkit.Begin(t, manager, map[string]any{"n": 1})
	if ttl := mini.TTL("session:" + id); ttl > 61*time.Second || ttl < 50*time.Second {
		t.Errorf("TTL %v", ttl)
	}
	testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
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
	testkit.OnEachRedis(t, func(t *testing.T, b testkit.Backend) {
		manager := testkit.NewManager(t, session.Config{Store: b.Store})
		cookies, id := testkit.Begin(t, manager, map[string]any{"cart": []int{1, 2}})
		var fresh string
		response := testkit.Request(t, manager, cookies, func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
			if err := s.Renew(); err != nil {
				t.Error(err)
			}
			_ = user.Set(s, "alice")
			w.WriteHeader(200)
			fresh = s.ID()
			if err := s.Renew(); !errors.Is(err, session.ErrHeadersSent) {
				t.Errorf("Renew after the headers: %v", err)
			}
		})
		if living := b.Living(t); fresh == id || len(living) != 1 || living[0] != "session:"+fresh {
			t.Errorf("ID %s became %s, living %q", id, fresh, living)
		}
		if got := testkit.Values(t, manager, response.Cookies()); got != `{"cart":[1,2],"user":"alice"}` {
			t.Errorf("got %s", got)
		}
		if got := testkit.Values(t, manager, cookies); got != "{}" {
			t.Errorf("the old token leads to %s", got)
		}
	})
}

func TestDestroyDeletesAndClearsTheCookie(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	manager := testkit.NewManager(t, session.Config{Store: b.Store, Cookie: session.Cookie{Name: "__Secure-x", Domain: "example.com", Path: "/app", Partitioned: true, SameSite: http.SameSiteNoneMode}})
	cookies, _ := testkit.Begin(t, manager, map[string]any{"n": 1})
	var s *session.Session
	response := testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, destroyed *session.Session) {
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
	b, _ := testkit.MiniRedis(t)
	manager := testkit.NewManager(t, session.Config{Store: b.Store})
	cookies, id := testkit.Begin(t, manager, map[string]any{"secret": 1})
	response := testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
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
	if got := testkit.Values(t, manager, response.Cookies()); got != `{"notice":"signed out"}` {
		t.Errorf("got %s", got)
	}
}
