package session_test

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/internal/testkit"
	"github.com/sessionkv/session/memstore"
)

// stream signs in and watches its session every second, while other does something in another request, and returns the
// cause of the end and how long after the beginning it came. It ends by itself after a minute.
func stream(t *testing.T, manager *session.Manager, other func(d *testkit.Device, id string)) (after time.Duration, why session.Reason, cause error) {
	d := testkit.NewDevice(t, manager)
	id := d.SignIn("alice")
	d.Twin().Do(func(r *http.Request, s *session.Session) error {
		ctx, cancel := context.WithTimeoutCause(r.Context(), time.Minute, errors.New("nothing happened"))
		defer cancel()
		ctx = s.Watch(ctx, time.Second)
		start := time.Now()
		time.Sleep(1500 * time.Millisecond)
		other(d, id)
		<-ctx.Done()
		cause, after, why = context.Cause(ctx), time.Since(start), s.Ended()
		return nil
	})
	return after, why, cause
}

func TestWatchEndsWithTheSession(t *testing.T) {
	for name, c := range map[string]struct {
		other func(m *session.Manager, d *testkit.Device, id string) error
		want  error
		why   session.Reason
	}{
		"EndAll": {func(m *session.Manager, _ *testkit.Device, _ string) error {
			return m.EndAll(context.Background(), "alice", session.CredentialChanged)
		}, session.ErrEnded, session.CredentialChanged},
		"End": {func(m *session.Manager, _ *testkit.Device, id string) error {
			return m.End(context.Background(), "alice", id, session.ByOperator)
		}, session.ErrEnded, session.ByOperator},
		"Destroy": {func(_ *session.Manager, d *testkit.Device, _ string) error {
			d.Do(func(_ *http.Request, s *session.Session) error { s.Destroy(); return nil })
			return nil
		}, session.ErrEnded, 0},
		"Renew": {func(_ *session.Manager, d *testkit.Device, _ string) error {
			d.Do(func(_ *http.Request, s *session.Session) error { return s.Renew() })
			return nil
		}, session.ErrRenewed, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				manager := testkit.NewManager(t, session.Config{Store: new(memstore.Store)})
				after, why, cause := stream(t, manager, func(d *testkit.Device, id string) {
					if err := c.other(manager, d, id); err != nil {
						t.Error(err)
					}
				})
				if !errors.Is(cause, c.want) || after < 2*time.Second || after > 2200*time.Millisecond || why != c.why {
					t.Errorf("%v after %v, for the reason %q", cause, after, why)
				}
			})
		})
	}
}

// What is not the end of the session does not end the connection.
func TestWatchGoesOnWhileTheSessionLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		store := testkit.HookedStore{Store: new(memstore.Store), Before: func(context.Context, string) error {
			if down.Load() {
				return errors.New("down")
			}
			return nil
		}}
		manager := testkit.NewManager(t, session.Config{Store: store, IdleTimeout: 40 * time.Second})
		after, _, cause := stream(t, manager, func(d *testkit.Device, _ string) {
			d.Do(func(_ *http.Request, s *session.Session) error { return s.Set("n", 1) })
			down.Store(true)
			time.Sleep(5 * time.Second)
			down.Store(false)
		})
		if !errors.Is(cause, session.ErrEnded) || after < 41*time.Second || after > 43*time.Second {
			t.Errorf("%v after %v: it ends when it has expired, for a look is no use", cause, after)
		}
	})
}

func TestWatchEndsAtTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		manager := testkit.NewManager(t, session.Config{Store: new(memstore.Store), Lifetime: 10 * time.Second})
		d := testkit.NewDevice(t, manager)
		d.SignIn("alice")
		d.Do(func(r *http.Request, s *session.Session) error {
			ctx := s.Watch(r.Context(), time.Hour)
			<-ctx.Done()
			if time.Until(s.Deadline()) > 0 || time.Since(s.Deadline()) > time.Second || !errors.Is(context.Cause(ctx), session.ErrEnded) {
				t.Errorf("%v, %v after the Deadline", context.Cause(ctx), time.Since(s.Deadline()))
			}
			return nil
		})
	})
}

// A look that fails ends nothing, but the Deadline needs no look.
func TestWatchEndsAtTheDeadlineWithoutTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		store := testkit.HookedStore{Store: new(memstore.Store), Before: func(context.Context, string) error {
			if down.Load() {
				return errors.New("down")
			}
			return nil
		}}
		manager := testkit.NewManager(t, session.Config{Store: store, Lifetime: 10 * time.Second})
		after, _, cause := stream(t, manager, func(*testkit.Device, string) { down.Store(true) })
		if !errors.Is(cause, session.ErrEnded) || after < 9*time.Second || after > 11*time.Second {
			t.Errorf("%v after %v", cause, after)
		}
	})
}

// The session that a stream itself renews, before its headers, or ends is the one that is watched.
func TestWatchFollowsTheOwnRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		manager := testkit.NewManager(t, session.Config{Store: new(memstore.Store)})
		d := testkit.NewDevice(t, manager)
		d.SignIn("alice")
		d.Do(func(r *http.Request, s *session.Session) error {
			ctx := s.Watch(r.Context(), time.Second)
			err := errors.Join(s.Renew(), s.Sync(r.Context()))
			time.Sleep(5 * time.Second)
			if ctx.Err() != nil {
				t.Errorf("after its own Renew: %v", context.Cause(ctx))
			}
			s.Destroy()
			err = errors.Join(err, s.Sync(r.Context()))
			<-ctx.Done()
			if !errors.Is(context.Cause(ctx), session.ErrEnded) {
				t.Errorf("after its own Destroy: %v", context.Cause(ctx))
			}
			return err
		})
	})
}

// A look that meets the marker of its own request's renewal does not take it for another's.
func TestWatchOutlivesTheRenewalOfItsOwnRequestUnderWay(t *testing.T) {
	looks, marked, looked := make(chan int, 2), make(chan struct{}), make(chan struct{})
	n := 0
	store := testkit.HookedStore{Store: new(memstore.Store), Before: func(_ context.Context, method string) error {
		switch {
		case method == "Replace": // the step of the renewal that comes behind the marker
			close(marked)
			<-looked
		case method == "Peek" && n < 2:
			n++
			looks <- n
			<-marked
		}
		return nil
	}, After: func(_ context.Context, method string) error {
		if method == "Peek" && n == 1 {
			close(looked)
		}
		return nil
	}}
	manager := testkit.NewManager(t, session.Config{Store: store})
	d := testkit.NewDevice(t, manager)
	d.SignIn("alice")
	d.Do(func(r *http.Request, s *session.Session) error {
		ctx := s.Watch(r.Context(), time.Millisecond)
		<-looks
		err := errors.Join(s.Renew(), s.Sync(r.Context()))
		select {
		case <-ctx.Done():
			t.Errorf("after its own Renew: %v", context.Cause(ctx))
		case <-looks: // it goes on
		}
		return err
	})
}

func TestWatchEndsWithItsHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		manager := testkit.NewManager(t, session.Config{Store: new(memstore.Store)})
		d := testkit.NewDevice(t, manager)
		var watched, visitor, late context.Context
		d.Do(func(_ *http.Request, s *session.Session) error {
			visitor = s.Watch(t.Context(), time.Second)
			return s.SignIn(session.SignIn{User: "alice"})
		})
		var kept *session.Session
		d.Do(func(_ *http.Request, s *session.Session) error {
			watched, kept = s.Watch(t.Context(), time.Second), s
			return nil
		})
		late = kept.Watch(t.Context(), time.Second)
		for name, ctx := range map[string]context.Context{"of a session": watched, "of none": visitor, "after the handler": late} {
			if ctx.Err() == nil || errors.Is(context.Cause(ctx), session.ErrEnded) {
				t.Errorf("%s: %v", name, context.Cause(ctx))
			}
		}
	})
}

// A thousand connections have a thousand timers and no goroutine.
func TestWatchHasNoGoroutine(t *testing.T) {
	manager := testkit.NewManager(t, session.Config{Store: new(memstore.Store)})
	d := testkit.NewDevice(t, manager)
	d.SignIn("alice")
	d.Do(func(_ *http.Request, s *session.Session) error {
		before := runtime.NumGoroutine()
		for range 1000 {
			s.Watch(context.Background(), time.Hour)
		}
		if n := runtime.NumGoroutine() - before; n > 10 { // others may have some of their own
			t.Errorf("%d goroutines more", n)
		}
		return nil
	})
}

func TestWatchWithoutAnIntervalPanics(t *testing.T) {
	manager := testkit.NewManager(t, session.Config{Store: new(memstore.Store)})
	testkit.NewDevice(t, manager).Do(func(r *http.Request, s *session.Session) error {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		s.Watch(r.Context(), 0)
		return nil
	})
}

// The last word comes a moment after the end, which a look may meet.
func TestWatchTellsTheReasonThatComesLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := testkit.HookedStore{Store: new(memstore.Store), Before: func(_ context.Context, method string) error {
			if method == "Bury" {
				time.Sleep(550 * time.Millisecond) // a look comes in between
			}
			return nil
		}}
		manager := testkit.NewManager(t, session.Config{Store: store})
		after, why, cause := stream(t, manager, func(*testkit.Device, string) {
			go func() {
				if err := manager.EndAll(context.Background(), "alice", session.ByUser); err != nil {
					t.Error(err)
				}
			}()
		})
		if !errors.Is(cause, session.ErrEnded) || why != session.ByUser || after > 2200*time.Millisecond {
			t.Errorf("%v after %v, for the reason %q", cause, after, why)
		}
	})
}

// A store that is down is asked no more often for a reason that was not there yet.
func TestWatchAsksAStoreThatIsDownOnceInAnInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looks := 0
		store := testkit.HookedStore{Store: new(memstore.Store), Before: func(_ context.Context, method string) error {
			if method == "Peek" {
				looks++
			}
			if method == "Bury" || method == "Peek" && looks > 2 && looks < 10 {
				return errors.New("down")
			}
			return nil
		}}
		manager := testkit.NewManager(t, session.Config{Store: store, Logger: new(testkit.Logs).Logger()})
		after, _, cause := stream(t, manager, func(*testkit.Device, string) {
			if err := manager.EndAll(context.Background(), "alice", session.ByUser); err != nil {
				t.Error(err)
			}
		})
		if !errors.Is(cause, session.ErrEnded) || after < 8*time.Second {
			t.Errorf("%v after %v", cause, after)
		}
	})
}
