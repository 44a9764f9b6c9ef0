package session_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/internal/testkit"
	"github.com/sessionkv/session/memstore"
)

// A beforehand lets do happen once, before the next call of a method of the store.
type beforehand struct {
	testkit.HookedStore
	method string
	calls  int // of the method that pass before
	do     func()
}

func newBeforehand(store testkit.UserStore) *beforehand {
	b := &beforehand{}
	b.HookedStore = testkit.HookedStore{Store: store, Before: func(_ context.Context, method string) error {
		if b.do == nil || method != b.method {
			return nil
		}
		if b.calls--; b.calls < 0 {
			do := b.do
			b.do = nil
			do()
		}
		return nil
	}}
	return b
}

func (b *beforehand) next(method string, calls int, do func()) {
	b.method, b.calls, b.do = method, calls, do
}

// A request with the old token of a user's session must not take the renewal for a sign-out: it is told to ask again, as
// long as a request takes, and finds nothing afterwards.
func TestOldTokenOfAUserIsToldToAskAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		manager := testkit.NewManager(t, session.Config{Store: new(memstore.Store)})
		d := testkit.NewDevice(t, manager)
		d.SignIn("alice")
		old := d.Twin()
		d.Do(func(_ *http.Request, s *session.Session) error { return s.Renew() })
		for range 2 {
			response := old.Do(func(*http.Request, *session.Session) error { return errors.New("the handler was called") })
			if response.StatusCode != 503 || response.Header.Get("Retry-After") != "1" || response.Header.Get("Cache-Control") != "no-store" || len(response.Cookies()) != 0 {
				t.Errorf("status %d, headers %v", response.StatusCode, response.Header)
			}
			time.Sleep(10 * time.Second)
		}
		time.Sleep(15 * time.Second)
		if got := old.View(); got != ended(0) {
			t.Errorf("after the marker's time: %+v", got)
		}
		if got := d.View(); got != signedInAs("alice") {
			t.Errorf("the new token leads to %+v", got)
		}
	})
}

// With the old token of a visitor's session there is nothing to see and nothing to begin, so that the renewed cookie is not
// replaced by that of a stranger's session.
func TestOldTokenOfAVisitorBeginsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		manager := testkit.NewManager(t, session.Config{Store: new(memstore.Store)})
		d := testkit.NewDevice(t, manager)
		d.Do(func(_ *http.Request, s *session.Session) error { return s.Set("cart", 1) })
		old := d.Twin()
		d.SignIn("alice")
		response := old.Do(func(r *http.Request, s *session.Session) error {
			s.Delete("cart")
			s.Clear()
			for name, err := range map[string]error{
				"Set":    s.Set("cart", 2),
				"Update": visits.Update(s, func(n int) int { return n + 1 }),
				"Renew":  s.Renew(),
			} {
				if !errors.Is(err, session.ErrRenewed) {
					t.Errorf("%s: %v", name, err)
				}
			}
			s.Destroy()
			if err := s.Set("cart", 2); !errors.Is(err, session.ErrRenewed) {
				t.Errorf("Set after Destroy: %v", err)
			}
			if s.User() != "" || len(s.Keys()) != 0 || s.ID() != "" {
				t.Errorf("user %q sees %s", s.User(), s.JSON())
			}
			return s.Sync(r.Context())
		})
		if response.StatusCode != 200 || len(response.Cookies()) != 0 {
			t.Errorf("status %d, headers %v", response.StatusCode, response.Header)
		}
		if got := d.View(); got != (testkit.View{Status: 200, User: "alice", Values: `{"cart":1}`}) {
			t.Errorf("alice sees %+v", got)
		}
		time.Sleep(31 * time.Second)
		old.Do(func(_ *http.Request, s *session.Session) error { return s.Set("cart", 3) })
		if got := old.View(); got.Values != `{"cart":3}` {
			t.Errorf("after the marker's time a new session has %+v", got)
		}
	})
}

// A double click on "sign in" gives both responses a session with what the visitor had, whichever cookie the browser keeps.
func TestDoubleClickOnSignInKeepsTheCart(t *testing.T) {
	testkit.OnEachStore(t, func(t *testing.T, store testkit.UserStore) {
		for name, late := range map[string]bool{"the second had loaded": false, "the second comes late": true} {
			t.Run(name, func(t *testing.T) {
				manager := testkit.NewManager(t, session.Config{Store: store})
				first := testkit.NewDevice(t, manager)
				first.Do(func(_ *http.Request, s *session.Session) error {
					return errors.Join(s.Set("cart", 1), s.Set("step", "sign-in"), s.Set("flash", "hello"))
				})
				second := first.Twin()
				click := func(s *session.Session) error {
					s.Delete("flash")
					return errors.Join(s.SignIn(session.SignIn{User: "alice"}), s.Set("step", "done"))
				}
				firstClick := func() {
					first.Do(func(_ *http.Request, s *session.Session) error { return click(s) })
					first.Do(func(_ *http.Request, s *session.Session) error { return s.Set("second-factor", true) })
				}
				if late {
					firstClick()
				}
				response := second.Do(func(_ *http.Request, s *session.Session) error {
					if !late {
						firstClick()
					}
					return click(s)
				})
				if response.StatusCode != 200 {
					t.Errorf("status %d", response.StatusCode)
				}
				// Neither the first's second factor nor what it deleted comes along.
				want := testkit.View{Status: 200, User: "alice", Values: `{"cart":1,"step":"done"}`}
				if got := second.View(); got != want {
					t.Errorf("the second sees %+v", got)
				}
				want.Values = `{"cart":1,"step":"done","second-factor":true}`
				if got := first.View(); got != want {
					t.Errorf("the first sees %+v", got)
				}
				if err := manager.EndAll(t.Context(), "alice", session.ByUser); err != nil {
					t.Error(err)
				}
			})
		}
	})
}

// What the visitor had goes to a second sign-in only if the first was the same user's and lives.
func TestSecondSignInGetsNothingOfAnotherUserOrOfWhatHasEnded(t *testing.T) {
	testkit.OnEachStore(t, func(t *testing.T, store testkit.UserStore) {
		for name, c := range map[string]struct {
			user  string // of the second sign-in
			after func(first *testkit.Device)
			want  string
		}{
			"another user": {"bob", func(*testkit.Device) {}, `{"mine":1}`},
			"the first was ended": {"alice", func(d *testkit.Device) {
				d.Do(func(_ *http.Request, s *session.Session) error { s.Destroy(); return nil })
			}, `{"mine":1}`},
			"the first was renewed":  {"alice", func(d *testkit.Device) { d.Do(func(_ *http.Request, s *session.Session) error { return s.Renew() }) }, `{"mine":1}`},
			"the first is as it was": {"alice", func(*testkit.Device) {}, `{"cart":1,"mine":1}`},
		} {
			t.Run(name, func(t *testing.T) {
				manager := testkit.NewManager(t, session.Config{Store: store})
				first := testkit.NewDevice(t, manager)
				first.Do(func(_ *http.Request, s *session.Session) error { return s.Set("cart", 1) })
				late := first.Twin()
				loaded := first.Twin()
				signIn := func(s *session.Session) error {
					return errors.Join(s.SignIn(session.SignIn{User: c.user}), s.Set("mine", 1))
				}
				loaded.Do(func(_ *http.Request, s *session.Session) error {
					first.SignIn("alice")
					c.after(first)
					return signIn(s)
				})
				late.Do(func(_ *http.Request, s *session.Session) error { return signIn(s) })
				for name, d := range map[string]*testkit.Device{"had loaded": loaded, "late": late} {
					if got := d.View(); got != (testkit.View{Status: 200, User: c.user, Values: c.want}) {
						t.Errorf("%s: %+v", name, got)
					}
				}
			})
		}
	})
}

// The renewal of a visitor's session meets that of a sign-in: a second session of nobody would be a sign-out.
func TestRenewThatMeetsASignInAsksAgain(t *testing.T) {
	testkit.OnEachStore(t, func(t *testing.T, store testkit.UserStore) {
		manager := testkit.NewManager(t, session.Config{Store: store})
		first := testkit.NewDevice(t, manager)
		first.Do(func(_ *http.Request, s *session.Session) error { return s.Set("cart", 1) })
		response := first.Twin().Do(func(_ *http.Request, s *session.Session) error {
			first.SignIn("alice")
			return s.Renew()
		})
		if response.StatusCode != 503 || len(response.Cookies()) != 0 {
			t.Errorf("status %d, headers %v", response.StatusCode, response.Header)
		}
	})
}

// A user's session is renewed once. Requests that had loaded it too are told to ask again, whatever they do.
func TestSecondRenewalOfAUsersSessionAsksAgain(t *testing.T) {
	testkit.OnEachStore(t, func(t *testing.T, store testkit.UserStore) {
		for name, do := range map[string]func(s *session.Session) error{
			"Renew":     func(s *session.Session) error { return s.Renew() },
			"SignIn":    func(s *session.Session) error { return s.SignIn(session.SignIn{User: "alice"}) },
			"another":   func(s *session.Session) error { return s.SignIn(session.SignIn{User: "bob"}) },
			"Set":       func(s *session.Session) error { return s.Set("n", 1) },
			"Destroy":   func(s *session.Session) error { s.Destroy(); return nil },
			"EndOthers": func(s *session.Session) error { return s.EndOthers(session.ByUser) },
		} {
			t.Run(name, func(t *testing.T) {
				d := newDevices(t, session.Config{Store: store})
				response := d.phone.Twin().Do(func(_ *http.Request, s *session.Session) error {
					d.phone.Do(func(_ *http.Request, s *session.Session) error { return s.Renew() })
					return do(s)
				})
				if response.StatusCode != 503 || response.Header.Get("Retry-After") != "1" || len(response.Cookies()) != 0 {
					t.Errorf("status %d, headers %v", response.StatusCode, response.Header)
				}
				d.want(t, signedInAs("alice"), signedInAs("alice"))
				for _, user := range []string{"alice", "bob"} {
					if err := d.manager.EndAll(t.Context(), user, session.ByUser); err != nil {
						t.Error(err)
					}
				}
			})
		}
	})
}

// Another request saves, ends or deletes the session while a renewal is on its way: nothing acknowledged is lost, and
// nothing that has ended comes back.
func TestRenewalThatIsInterrupted(t *testing.T) {
	testkit.OnEachStore(t, func(t *testing.T, inner testkit.UserStore) {
		other := func(d *testkit.Device, do func(s *session.Session) error) func() {
			return func() { d.Do(func(_ *http.Request, s *session.Session) error { return do(s) }) }
		}
		set := func(s *session.Session) error { return s.Set("other", 1) }
		destroy := func(s *session.Session) error { s.Destroy(); return nil }
		for name, c := range map[string]struct {
			from, to string
			method   string // before which call of it
			calls    int
			other    func(s *session.Session) error
			want     testkit.View
		}{
			"a save before the marker, visitor":    {"", "alice", "Save", 1, set, testkit.View{Status: 200, User: "alice", Values: `{"n":1,"other":1,"mine":1}`}},
			"a save before the marker, renewal":    {"alice", "", "Save", 1, set, testkit.View{Status: 200, User: "alice", Values: `{"n":1,"other":1,"mine":1}`}},
			"a save before the marker, anew":       {"alice", "alice", "Save", 1, set, testkit.View{Status: 200, User: "alice", Values: `{"n":1,"other":1,"mine":1}`}},
			"a save before the marker, other user": {"alice", "bob", "Save", 1, set, testkit.View{Status: 200, User: "bob", Values: `{"mine":1}`}},
			"an end before the marker, visitor":    {"", "alice", "Save", 1, destroy, testkit.View{Status: 200, User: "alice", Values: `{"mine":1}`}},
			"an end before the marker, renewal":    {"alice", "", "Save", 1, destroy, ended(0)},
			"an end before the marker, anew":       {"alice", "alice", "Save", 1, destroy, ended(0)},
			"an end before the marker, other user": {"alice", "bob", "Save", 1, destroy, testkit.View{Status: 200, User: "bob", Values: `{"mine":1}`}},
		} {
			t.Run(name, func(t *testing.T) {
				store := newBeforehand(inner)
				manager, direct := testkit.NewManager(t, session.Config{Store: store}), testkit.NewManager(t, session.Config{Store: inner})
				d, second := testkit.NewDevice(t, manager), testkit.NewDevice(t, direct)
				if c.from != "" {
					d.SignIn(c.from)
				}
				d.Do(func(_ *http.Request, s *session.Session) error { return s.Set("n", 1) })
				second.Cookies = d.Cookies
				d.Do(func(_ *http.Request, s *session.Session) error {
					err := s.Set("mine", 1)
					if c.to == "" {
						err = errors.Join(err, s.Renew())
					} else {
						err = errors.Join(err, s.SignIn(session.SignIn{User: c.to}))
					}
					store.next(c.method, c.calls, other(second, c.other))
					return err
				})
				if store.do != nil {
					t.Error("nothing happened in between")
				}
				if got := d.View(); got != c.want {
					t.Errorf("got %+v, want %+v", got, c.want)
				}
			})
		}
	})
}

// A renewal and an end of all meet: in every order the session is over.
func TestEndAllInTheMiddleOfARenewal(t *testing.T) {
	testkit.OnEachStore(t, func(t *testing.T, inner testkit.UserStore) {
		for _, again := range []bool{false, true} {
			for step := range 4 {
				store := newBeforehand(inner)
				manager, direct := testkit.NewManager(t, session.Config{Store: store}), testkit.NewManager(t, session.Config{Store: inner})
				d := testkit.NewDevice(t, manager)
				d.SignIn("alice")
				var steps []string
				end := func() {
					if err := direct.EndAll(context.Background(), "alice", session.ByUser); err != nil {
						t.Error(err)
					}
				}
				count := -1 // until the session is loaded
				store.Before = func(_ context.Context, method string) error {
					if count < 0 {
						return nil
					}
					if steps = append(steps, method); count == step {
						end()
					}
					count++
					return nil
				}
				d.Do(func(_ *http.Request, s *session.Session) error {
					count = 0
					if again {
						return s.SignIn(session.SignIn{User: "alice"})
					}
					return s.Renew()
				})
				if count <= step {
					if step < 3 {
						t.Errorf("the renewal has only the steps %q", steps)
					}
					end()
				}
				store.Before = nil
				if got := d.View(); got.User != "" {
					t.Errorf("step %d of %q: %+v", step, steps, got)
				}
			}
		}
	})
}

// A stream that goes on after a renewal of its session is told, and saves nothing more.
func TestStreamOfARenewedSessionEnds(t *testing.T) {
	manager := testkit.NewManager(t, session.Config{Store: new(memstore.Store)})
	d := testkit.NewDevice(t, manager)
	d.SignIn("alice")
	response := d.Twin().Raw(manager.HandlerFunc(func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		w.WriteHeader(http.StatusOK)
		d.Do(func(_ *http.Request, s *session.Session) error { return s.Renew() })
		for name, err := range map[string]error{"Sync": s.Sync(r.Context()), "Sync of a change": errors.Join(s.Set("n", 1), s.Sync(r.Context()))} {
			if !errors.Is(err, session.ErrRenewed) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}))
	if response.StatusCode != 200 {
		t.Errorf("status %d", response.StatusCode)
	}
	if got := d.View(); got != signedInAs("alice") {
		t.Errorf("got %+v", got)
	}
}

// The outcome of a save is unknown, and its repeat meets the marker of another request.
func TestUnknownSaveThatMeetsAMarkerSaysBoth(t *testing.T) {
	store := new(memstore.Store)
	fail := false
	hooked := testkit.HookedStore{Store: store, After: func(_ context.Context, method string) error {
		if fail && method == "Save" {
			fail = false
			return errors.New("reply lost")
		}
		return nil
	}}
	manager, direct := testkit.NewManager(t, session.Config{Store: hooked}), testkit.NewManager(t, session.Config{Store: store})
	d := testkit.NewDevice(t, direct)
	d.SignIn("alice")
	slow := testkit.NewDevice(t, manager)
	slow.Cookies = d.Cookies
	slow.Raw(manager.HandlerFunc(func(_ http.ResponseWriter, r *http.Request, s *session.Session) {
		fail = true
		if err := errors.Join(s.Set("n", 1), s.Sync(r.Context())); err == nil || !strings.Contains(err.Error(), "reply lost") {
			t.Errorf("the first: %v", err)
		}
		d.Do(func(_ *http.Request, s *session.Session) error { return s.Renew() })
		err := s.Sync(r.Context())
		if !errors.Is(err, session.ErrRenewed) || !strings.Contains(err.Error(), "not known whether an earlier save took place") {
			t.Errorf("the repeat: %v", err)
		}
	}))
	if got := d.View(); got != (testkit.View{Status: 200, User: "alice", Values: `{"n":1}`}) {
		t.Errorf("got %+v", got)
	}
}

// A request that fails after its new session was saved still hands over the cookie: the client would have none else.
func TestAnswerToAFailureHasTheCookieOfAnEarlierSave(t *testing.T) {
	store := new(memstore.Store)
	down := false
	hooked := testkit.HookedStore{Store: store, Before: func(_ context.Context, method string) error {
		if down {
			return errors.New("down")
		}
		return nil
	}}
	manager := testkit.NewManager(t, session.Config{Store: hooked})
	d := testkit.NewDevice(t, manager)
	d.SignIn("alice")
	response := d.Do(func(r *http.Request, s *session.Session) error {
		err := errors.Join(s.Renew(), s.Sync(r.Context()))
		down = true
		return errors.Join(err, s.Set("n", 1))
	})
	down = false
	if response.StatusCode != 503 || response.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("status %d, headers %v", response.StatusCode, response.Header)
	}
	if got := d.View(); got != signedInAs("alice") {
		t.Errorf("got %+v", got)
	}
}
