package session_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/internal/testkit"
)

// visitWith makes a request with cookies of a handler that gets the request alone.
func visitWith(manager *session.Manager, cookies []*http.Cookie, handler func(r *http.Request)) *http.Response {
	r := httptest.NewRequest("GET", "https://example.com/", nil)
	for _, cookie := range cookies {
		r.AddCookie(cookie)
	}
	w := httptest.NewRecorder()
	manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { handler(r) })).ServeHTTP(w, r)
	return w.Result()
}

// A poll that peeks keeps nobody signed in; a load does.
func TestPeekGivesNoMoreTimeToLive(t *testing.T) {
	for name, test := range map[string]struct {
		poll  func(ctx context.Context) (*session.Session, error)
		lives bool
	}{
		"Peek": {session.Peek, false},
		"Load": {session.Load, true},
		"Peek, then Load": {func(ctx context.Context) (*session.Session, error) {
			if _, err := session.Peek(ctx); err != nil {
				return nil, err
			}
			return session.Load(ctx)
		}, true},
		"Load, then Peek": {func(ctx context.Context) (*session.Session, error) {
			if _, err := session.Load(ctx); err != nil {
				return nil, err
			}
			return session.Peek(ctx)
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			memory := testkit.NewMemory()
			manager := testkit.NewManager(t, session.Config{Store: memory, IdleTimeout: 10 * time.Minute})
			cookies, id := testkit.Begin(t, manager, map[string]any{"n": 1})
			for range 4 {
				memory.Advance(3 * time.Minute)
				visitWith(manager, cookies, func(r *http.Request) {
					s, err := test.poll(r.Context())
					if err != nil || s.ID() != "" && s.ID() != id {
						t.Errorf("got %v, %v", s, err)
					}
				})
			}
			if got := testkit.Values(t, manager, cookies); (got == `{"n":1}`) != test.lives {
				t.Errorf("after 12 minutes: %s", got)
			}
		})
	}
}

// The Session tells until when it lives without use, after each way to get or to keep it.
func TestIdleDeadline(t *testing.T) {
	memory := testkit.NewMemory()
	manager := testkit.NewManager(t, session.Config{Store: memory, IdleTimeout: 10 * time.Minute, Lifetime: 25 * time.Minute})
	want := func(s *session.Session, left time.Duration) {
		t.Helper()
		if got := time.Until(s.IdleDeadline()); got > left || got < left-time.Minute/2 {
			t.Errorf("%v left, want %v", got, left)
		}
	}
	cookies := visitWith(manager, nil, func(r *http.Request) {
		s, _ := session.Load(r.Context())
		if !s.IdleDeadline().IsZero() {
			t.Errorf("before it is saved: %v", s.IdleDeadline())
		}
		_ = s.Set("n", 1)
		_ = s.Sync(r.Context())
		want(s, 10*time.Minute)
	}).Cookies()
	memory.Advance(4 * time.Minute)
	visitWith(manager, cookies, func(r *http.Request) {
		s, _ := session.Peek(r.Context())
		want(s, 6*time.Minute)
		if _, err := session.Load(r.Context()); err != nil {
			t.Error(err)
		}
		want(s, 10*time.Minute)
	})
	memory.Advance(9 * time.Minute)
	visitWith(manager, cookies, func(r *http.Request) {
		s, _ := session.Peek(r.Context())
		want(s, time.Minute)
		_ = s.Set("n", 2)
		_ = s.Sync(r.Context())
		want(s, 10*time.Minute)
		s.Destroy()
		if !s.IdleDeadline().IsZero() {
			t.Errorf("after Destroy: %v", s.IdleDeadline())
		}
	})
	t.Run("never after Deadline", func(t *testing.T) {
		manager := testkit.NewManager(t, session.Config{Store: memory, IdleTimeout: time.Hour, Lifetime: time.Minute})
		cookies, _ := testkit.Begin(t, manager, map[string]any{"n": 1})
		for _, get := range []func(context.Context) (*session.Session, error){session.Load, session.Peek} {
			visitWith(manager, cookies, func(r *http.Request) {
				s, _ := get(r.Context())
				if late := s.IdleDeadline().Sub(s.Deadline()); late > 0 && late > time.Millisecond || time.Until(s.IdleDeadline()) < 50*time.Second {
					t.Errorf("IdleDeadline %v, Deadline %v", s.IdleDeadline(), s.Deadline())
				}
			})
		}
	})
}

// What was changed after a Peek is not lost by the Load that follows, and is saved on what others have stored meanwhile.
func TestLoadAfterPeekKeepsTheChanges(t *testing.T) {
	memory := testkit.NewMemory()
	manager := testkit.NewManager(t, session.Config{Store: memory})
	cookies, id := testkit.Begin(t, manager, map[string]any{"n": 1})
	visitWith(manager, cookies, func(r *http.Request) {
		peeked, err := session.Peek(r.Context())
		if err != nil {
			t.Fatal(err)
		}
		_ = visits.Set(peeked, 5)
		memory.Put(id, `{"by":"another"}`)
		loaded, err := session.Load(r.Context())
		if err != nil || loaded != peeked {
			t.Errorf("got %v, %v", loaded, err)
		}
		if got := string(loaded.JSON()); got != `{"by":"another","visits":5}` {
			t.Errorf("the Session shows %s", got)
		}
	})
	if got := testkit.Values(t, manager, cookies); got != `{"by":"another","visits":5}` {
		t.Errorf("stored %s", got)
	}
}

// A save of unknown outcome is repeated in the place of what it was made from, and not of what a Load has found since.
func TestLoadAfterASaveOfUnknownOutcomeOverwritesNothing(t *testing.T) {
	memory := testkit.NewMemory()
	store := &testkit.FaultyStore{Store: memory}
	manager := testkit.NewManager(t, session.Config{Store: store, Logger: new(testkit.Logs).Logger()})
	cookies, id := testkit.Begin(t, manager, map[string]any{"n": 1})
	visitWith(manager, cookies, func(r *http.Request) {
		s, _ := session.Peek(r.Context())
		_ = visits.Set(s, 5)
		store.BeforeSave = func() error { return errors.New("down") }
		if err := s.Sync(r.Context()); err == nil {
			t.Error("saved")
		}
		store.BeforeSave = nil
		memory.Put(id, `{"by":"another"}`)
		if _, err := session.Load(r.Context()); err != nil {
			t.Error(err)
		}
	})
	if got := testkit.Values(t, manager, cookies); got != `{"by":"another"}` {
		t.Errorf("stored %s", got)
	}
}

func TestLoadAfterPeekThatFails(t *testing.T) {
	store := &testkit.FaultyStore{Store: testkit.NewMemory()}
	manager := testkit.NewManager(t, session.Config{Store: store, Logger: new(testkit.Logs).Logger()})
	cookies, id := testkit.Begin(t, manager, map[string]any{"n": 1})
	down := errors.New("down")
	store.Calls()
	visitWith(manager, cookies, func(r *http.Request) {
		_, _ = session.Peek(r.Context())
		store.OnLoad = func() error { return down }
		for range 3 {
			if _, err := session.Load(r.Context()); !errors.Is(err, down) {
				t.Errorf("got %v", err)
			}
		}
		if calls := store.Calls(); calls != "1 peeks, 1 loads, 0 saves, 0 deletes" {
			t.Error(calls)
		}
		store.OnLoad = nil
	})
	visitWith(manager, cookies, func(r *http.Request) {
		peeked, _ := session.Peek(r.Context())
		ended, cancel := context.WithCancel(r.Context())
		cancel()
		if _, err := session.Load(ended); !errors.Is(err, context.Canceled) {
			t.Errorf("ended context: %v", err)
		}
		_, _ = store.Delete(r.Context(), id, nil)
		s, err := session.Load(r.Context())
		if s != peeked || err != nil {
			t.Errorf("gone meanwhile: %v, %v", s, err)
		}
		if err := s.Set("n", 2); !errors.Is(err, session.ErrEnded) {
			t.Errorf("Set: %v", err)
		}
	})
	visitWith(manager, nil, func(r *http.Request) {
		s, err := session.Peek(r.Context())
		if again, _ := session.Load(r.Context()); err != nil || again != s || s.ID() != "" {
			t.Errorf("without a session: %v, %v", s, err)
		}
	})
}

// In Redis a Peek is two commands in one round trip, and does not touch the time to live.
func TestCommandsOfAPeek(t *testing.T) {
	testkit.OnEachRedis(t, func(t *testing.T, b testkit.Backend) {
		manager := testkit.NewManager(t, session.Config{Store: b.Store})
		cookies, id := testkit.Begin(t, manager, map[string]any{"n": 1})
		b.Do("PEXPIRE", "session:"+id, 60_000)
		visitWith(manager, cookies, func(r *http.Request) {
			s, err := session.Peek(r.Context())
			if err != nil || string(s.JSON()) != `{"n":1}` {
				t.Errorf("got %v", err)
			}
			if left := time.Until(s.IdleDeadline()); left > time.Minute || left < 50*time.Second {
				t.Errorf("%v left", left)
			}
		})
		if left := b.Do("PTTL", "session:"+id).(int64); left > 60_000 {
			t.Errorf("%d ms left in Redis", left)
		}
		b.Do("PERSIST", "session:"+id)
		visitWith(manager, cookies, func(r *http.Request) {
			s, err := session.Peek(r.Context())
			if err != nil || s.IdleDeadline().Sub(s.Deadline()) > time.Second {
				t.Errorf("without a time to live: until %v, %v", s.IdleDeadline(), err)
			}
		})
		if b.Mini != nil {
			before := b.Mini.CommandCount()
			visitWith(manager, cookies, func(r *http.Request) { _, _ = session.Peek(r.Context()) })
			if n := b.Mini.CommandCount() - before; n != 2 {
				t.Errorf("%d commands", n)
			}
		}
	})
}
