package session_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/internal/redistest"
	"github.com/sessionkv/session/internal/testkit"
	"github.com/sessionkv/session/memstore"
	"github.com/sessionkv/session/redisstore"
)

// events are those that a Manager has told.
type events struct {
	mu  sync.Mutex
	all []session.Event
}

func (e *events) observe(_ context.Context, event session.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, event)
}

// take returns the events since the last call.
func (e *events) take() []session.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := e.all
	e.all = nil
	return all
}

// words are what matters of events.
func words(all []session.Event) (words []string) {
	for _, e := range all {
		word := e.Kind.String() + " " + e.Outcome.String()
		if e.Reason != 0 {
			word += " " + e.Reason.String()
		}
		if e.Kind == session.EventEnd {
			word += fmt.Sprint(" ", e.Count)
		}
		words = append(words, word)
	}
	return words
}

func TestEventsOfEachKindOfRequest(t *testing.T) {
	testkit.OnEachStore(t, func(t *testing.T, store testkit.UserStore) {
		told := new(events)
		manager := testkit.NewManager(t, session.Config{Store: store, Observe: told.observe, SessionsPerUser: 2})
		d, second, third := testkit.NewDevice(t, manager), testkit.NewDevice(t, manager), testkit.NewDevice(t, manager)
		in := session.SignIn{User: "alice"}
		do := func(d *testkit.Device, f func(r *http.Request, s *session.Session) error) func() {
			return func() { d.Do(f) }
		}
		look := func(*http.Request, *session.Session) error { return nil }
		for _, step := range []struct {
			name string
			do   func()
			want []string
		}{
			{"no session is asked for", func() { d.Raw(manager.Handler(http.NotFoundHandler())) }, nil},
			{"no cookie", do(d, look), []string{"load none"}},
			{"a new session", do(d, func(_ *http.Request, s *session.Session) error { return s.Set("n", 1) }), []string{"load none", "create ok"}},
			{"reading", do(d, look), []string{"load ok"}},
			{"the same value", do(d, func(_ *http.Request, s *session.Session) error { return s.Set("n", 1) }), []string{"load ok"}},
			{"writing", do(d, func(_ *http.Request, s *session.Session) error { return s.Set("n", 2) }), []string{"load ok", "update ok"}},
			{"Sync", do(d, func(r *http.Request, s *session.Session) error { return s.Sync(r.Context()) }), []string{"load ok", "touch ok"}},
			{"Peek", func() {
				d.Raw(manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = session.Peek(r.Context()) })))
			}, []string{"peek ok"}},
			{"Renew", do(d, func(_ *http.Request, s *session.Session) error { return s.Renew() }), []string{"load ok", "renew ok"}},
			{"SignIn", do(d, func(_ *http.Request, s *session.Session) error { return s.SignIn(in) }), []string{"load ok", "sign_in ok"}},
			{"SignIn elsewhere", do(second, func(_ *http.Request, s *session.Session) error { return s.SignIn(in) }), []string{"load none", "sign_in ok"}},
			{"over the limit", do(third, func(_ *http.Request, s *session.Session) error { return s.SignIn(in) }), []string{"load none", "end ok over_limit 1", "sign_in ok"}},
			{"ended by the limit", do(d, look), []string{"load ended over_limit"}},
			{"EndOthers", do(second, func(_ *http.Request, s *session.Session) error { return s.EndOthers(session.ByUser) }), []string{"load ok", "end ok by_user 1"}},
			{"Destroy", do(second, func(_ *http.Request, s *session.Session) error { s.Destroy(); return nil }), []string{"load ok", "destroy ok"}},
			{"EndAll", func() { _ = manager.EndAll(t.Context(), "alice", session.ByOperator) }, []string{"end ok by_operator 0"}},
			{"End", func() { _ = manager.End(t.Context(), "alice", "1", session.ByOperator) }, nil},
			{"an old stamp", func() {
				stamp, _ := manager.Stamp(t.Context(), "alice")
				_ = manager.EndAll(t.Context(), "alice", session.CredentialChanged)
				d.Do(func(_ *http.Request, s *session.Session) error {
					return s.SignIn(session.SignIn{User: "alice", Stamp: stamp})
				})
			}, []string{"end ok credential_changed 0", "load ended over_limit", "sign_in revoked"}},
		} {
			told.take()
			step.do()
			all := told.take()
			if got := words(all); !slices.Equal(got, step.want) {
				t.Errorf("%s: %q, want %q", step.name, got, step.want)
			}
			for _, e := range all {
				if e.Err != nil || e.Duration < 0 || e.Outcome == session.OutcomeOK && e.Kind != session.EventEnd && e.ID == "" {
					t.Errorf("%s: %+v", step.name, e)
				}
			}
		}
	})
}

func TestEventsOfWhatMeetsWhat(t *testing.T) {
	memory := testkit.NewMemory()
	told := new(events)
	config := session.Config{Store: memory, Observe: told.observe, SessionsPerUser: 1, RefuseMore: true}
	manager := testkit.NewManager(t, config)
	begin := func(values ...any) (*testkit.Device, string) {
		d := testkit.NewDevice(t, manager)
		id := ""
		d.Do(func(r *http.Request, s *session.Session) error {
			err := errors.Join(s.Set("n", 1), s.Sync(r.Context()))
			id = s.ID()
			return err
		})
		return d, id
	}
	look := func(*http.Request, *session.Session) error { return nil }
	renewed := func() *testkit.Device {
		d, _ := begin()
		old := d.Twin()
		d.Do(func(_ *http.Request, s *session.Session) error { return s.Renew() })
		return old
	}
	for name, c := range map[string]struct {
		do   func()
		want []string
	}{
		"a token that leads nowhere": {func() {
			d, id := begin()
			_, _ = memory.Delete(t.Context(), id, nil)
			told.take()
			d.Do(look)
		}, []string{"load gone"}},
		"a value that is no session": {func() {
			d, id := begin()
			memory.Put(id, "[]")
			told.take()
			d.Do(look)
		}, []string{"load invalid"}},
		"two living sessions": {func() {
			d, _ := begin()
			other, _ := begin()
			d.Cookies = append(slices.Clone(d.Cookies), other.Cookies...)
			told.take()
			d.Do(func(_ *http.Request, s *session.Session) error { s.Destroy(); return nil })
		}, []string{"load ambiguous", "destroy ok", "destroy ok"}},
		"an old token": {func() { old := renewed(); told.take(); old.Do(look) }, []string{"load renewed"}},
		"a conflict": {func() {
			d, _ := begin()
			told.take()
			d.Do(func(_ *http.Request, s *session.Session) error {
				d.Twin().Do(func(_ *http.Request, s *session.Session) error { return s.Set("other", 1) })
				return s.Set("n", 2)
			})
		}, []string{"load ok", "load ok", "update ok", "update ok"}},
		"a save that meets the end": {func() {
			d, _ := begin()
			told.take()
			d.Do(func(_ *http.Request, s *session.Session) error {
				d.Twin().Do(func(_ *http.Request, s *session.Session) error { s.Destroy(); return nil })
				return s.Set("n", 2)
			})
		}, []string{"load ok", "load ok", "destroy ok", "update gone"}},
		"a destroy that meets a renewal": {func() {
			d, _ := begin()
			told.take()
			d.Twin().Do(func(_ *http.Request, s *session.Session) error {
				d.Do(func(_ *http.Request, s *session.Session) error { return s.Renew() })
				s.Destroy()
				return nil
			})
		}, []string{"load ok", "load ok", "renew ok", "destroy renewed"}},
		"a limit that refuses": {func() {
			testkit.NewDevice(t, manager).SignIn("bob")
			told.take()
			testkit.NewDevice(t, manager).Do(func(_ *http.Request, s *session.Session) error { return s.SignIn(session.SignIn{User: "bob"}) })
		}, []string{"load none", "sign_in limit"}},
		"another site": {func() {
			told.take()
			r, _ := http.NewRequest("POST", "https://example.com/", nil)
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			manager.HandlerFunc(func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
				_ = s.Set("n", 1)
				_ = s.SignIn(session.SignIn{User: "carol"})
			}).ServeHTTP(&discardWriter{http.Header{}}, r)
		}, []string{"load none", "create cross_site", "sign_in cross_site"}},
	} {
		c.do()
		if got := words(told.take()); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestEventHasWhatIsKnown(t *testing.T) {
	told := new(events)
	manager := testkit.NewManager(t, session.Config{Store: new(memstore.Store), Observe: told.observe})
	d := testkit.NewDevice(t, manager)
	var visitor, id string
	d.Do(func(r *http.Request, s *session.Session) error {
		err := errors.Join(s.Set("n", 1), s.Sync(r.Context()))
		visitor = s.ID()
		return err
	})
	d.Do(func(r *http.Request, s *session.Session) error {
		err := errors.Join(s.SignIn(session.SignIn{User: "alice", Class: session.Remembered}), s.Sync(r.Context()))
		id = s.ID()
		return err
	})
	all := told.take()
	e := all[len(all)-1]
	if e.Kind != session.EventSignIn || e.User != "alice" || e.ID != id || e.PreviousID != visitor || e.Class != session.Remembered || e.Bytes < 50 || e.Duration <= 0 {
		t.Errorf("%+v", e)
	}
	text := fmt.Sprint(e.LogValue())
	if !strings.Contains(text, "sign_in") || !strings.Contains(text, id) || strings.Contains(text, "alice") {
		t.Errorf("the log has %s", text)
	}
	d.Do(func(_ *http.Request, s *session.Session) error { return s.Set("n", 2) })
	for _, e := range told.take() {
		if e.User != "alice" || e.ID != id || e.Class != session.Remembered || e.Kind == session.EventUpdate && e.Tries != 1 {
			t.Errorf("%+v", e)
		}
	}
}

func TestEventOfAFailureHasTheErrorAndTheRepeats(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr())
	store, err := redisstore.Open(proxy.Addr(), redisstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	told := new(events)
	manager := testkit.NewManager(t, session.Config{Store: store, Observe: told.observe})
	d := testkit.NewDevice(t, manager)
	d.Do(func(_ *http.Request, s *session.Session) error { return s.Set("n", 1) })
	told.take()
	proxy.DropReplies(0, 1)
	d.Do(func(*http.Request, *session.Session) error { return nil })
	if all := told.take(); len(all) != 1 || all[0].Repeats != 1 || all[0].Outcome != session.OutcomeOK {
		t.Errorf("after a lost reply: %+v", all)
	}
	server.Stop()
	d.Raw(manager.HandlerFunc(func(http.ResponseWriter, *http.Request, *session.Session) {}))
	if all := told.take(); len(all) != 1 || all[0].Outcome != session.OutcomeError || all[0].Err == nil || !strings.Contains(fmt.Sprint(all[0].LogValue()), "error") {
		t.Errorf("without a server: %+v", all)
	}
}

// What goes wrong in the observer is its own affair.
func TestObserverThatPanicsBreaksNoRequest(t *testing.T) {
	logs := new(testkit.Logs)
	calls := 0
	manager := testkit.NewManager(t, session.Config{
		Store: new(memstore.Store), Logger: logs.Logger(),
		Observe: func(context.Context, session.Event) { calls++; panic("of the observer") },
	})
	d := testkit.NewDevice(t, manager)
	for range 3 {
		if response := d.Do(func(_ *http.Request, s *session.Session) error { return s.Set("n", time.Now().UnixNano()) }); response.StatusCode != 200 {
			t.Errorf("status %d", response.StatusCode)
		}
	}
	if calls != 6 || strings.Count(logs.String(), "of the observer") != 1 {
		t.Errorf("%d calls, logged:\n%s", calls, logs)
	}
}

// The observer gets the values of the request's context, and no Session, which it would wait for.
func TestObserverGetsTheContextOfTheRequest(t *testing.T) {
	type key struct{}
	seen := 0
	manager := testkit.NewManager(t, session.Config{Store: new(memstore.Store), Observe: func(ctx context.Context, _ session.Event) {
		if _, err := session.Load(ctx); err == nil {
			t.Error("the observer gets a Session")
		}
		if ctx.Value(key{}) == "value" {
			seen++
		}
	}})
	handler := manager.HandlerFunc(func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { _ = s.Set("n", 1) })
	testkit.NewDevice(t, manager).Raw(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), key{}, "value")))
	}))
	if seen != 2 {
		t.Errorf("%d of 2 events", seen)
	}
}

func TestWordsOfEvents(t *testing.T) {
	var got []string
	for k := session.EventLoad; k <= session.EventRefresh; k++ {
		got = append(got, k.String())
	}
	for o := session.OutcomeOK; o <= session.OutcomeError; o++ {
		got = append(got, o.String())
	}
	slices.Sort(got)
	if len(slices.Compact(got)) != 23 || slices.Contains(got, "") || session.EventKind(0).String()+session.EventKind(99).String()+session.Outcome(99).String() != "" {
		t.Errorf("%q", got)
	}
}

// A save that fails is told however it fails: also the second one, which only finds out about the first.
func TestEverySaveThatFailsIsTold(t *testing.T) {
	told := new(events)
	down := false
	store := testkit.HookedStore{Store: new(memstore.Store), Before: func(context.Context, string) error {
		if down {
			return errors.New("down")
		}
		return nil
	}}
	manager := testkit.NewManager(t, session.Config{Store: store, Observe: told.observe})
	d := testkit.NewDevice(t, manager)
	d.SignIn("alice")
	told.take()
	d.Do(func(r *http.Request, s *session.Session) error {
		down = true
		err := s.Set("n", 1)
		_, _ = s.Sync(r.Context()), s.Sync(r.Context())
		return err
	})
	if got, want := words(told.take()), []string{"load ok", "update error", "update error", "update error"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// The context of an event leads to no Session, whatever call caused it. It does not lead to a Session that waits for
// the function either.
func TestContextOfAnEventLeadsToNoSession(t *testing.T) {
	events := 0
	observe := func(ctx context.Context, e session.Event) {
		events++
		if _, err := session.Load(ctx); err == nil {
			t.Errorf("%v: its context leads to a Session", e.Kind)
		}
	}
	outer := testkit.NewManager(t, session.Config{Store: testkit.NewMemory()})
	manager := testkit.NewManager(t, session.Config{Store: testkit.NewMemory(), Observe: observe, Cookie: session.Cookie{Name: "inner"}})
	handler := outer.Handler(manager.HandlerFunc(func(_ http.ResponseWriter, r *http.Request, s *session.Session) {
		if err := s.Set("n", 1); !errors.Is(err, session.ErrCrossSite) {
			t.Error(err)
		}
		if err := manager.EndAll(r.Context(), "alice", session.ByUser); err != nil {
			t.Error(err)
		}
	}))
	r := httptest.NewRequest(http.MethodPost, "https://example.com/", nil)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	handler.ServeHTTP(httptest.NewRecorder(), r)
	if events != 3 {
		t.Errorf("%d events", events)
	}
}
