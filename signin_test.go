package session_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/testkit"
	"github.com/sessionkv/session/memstore"
)

func signedInAs(user string) testkit.View {
	return testkit.View{Status: http.StatusOK, User: user, Values: "{}"}
}

// A visitor's values go along with the sign-in, under a new token, and the old token leads to nothing.
func TestSignInNamesTheUserAndKeepsWhatTheVisitorHad(t *testing.T) {
	testkit.OnEachStore(t, func(t *testing.T, store testkit.UserStore) {
		manager := testkit.NewManager(t, session.Config{Store: store})
		d := testkit.NewDevice(t, manager)
		var visitor string
		d.Do(func(r *http.Request, s *session.Session) error {
			err := errors.Join(s.Set("cart", []int{1, 2}), s.Sync(r.Context()))
			visitor = s.ID()
			return err
		})
		old := d.Twin()
		before := time.Now().Add(-time.Second)
		d.Do(func(r *http.Request, s *session.Session) error {
			if err := s.SignIn(session.SignIn{User: "alice"}); err != nil {
				return err
			}
			if s.User() != "alice" || s.SignedIn().Before(before) || s.ID() != visitor {
				t.Errorf("before the save: user %q, signed in %v, ID %s", s.User(), s.SignedIn(), s.ID())
			}
			err := errors.Join(s.Set("theme", "dark"), s.Sync(r.Context()))
			if s.User() != "alice" || s.SignedIn().Before(before) || s.ID() == visitor || driver.UserOf(s.ID()) == "" {
				t.Errorf("after the save: user %q, signed in %v, ID %s", s.User(), s.SignedIn(), s.ID())
			}
			return err
		})
		want := testkit.View{Status: http.StatusOK, User: "alice", Values: `{"cart":[1,2],"theme":"dark"}`}
		if got := d.View(); got != want {
			t.Errorf("got %+v", got)
		}
		if got := old.View(); got != signedInAs("") {
			t.Errorf("the visitor's token leads to %+v", got)
		}
	})
}

func TestSignInWithoutASessionBeginsOne(t *testing.T) {
	testkit.OnEachStore(t, func(t *testing.T, store testkit.UserStore) {
		manager := testkit.NewManager(t, session.Config{Store: store})
		d := testkit.NewDevice(t, manager)
		d.SignIn("alice")
		if got := d.View(); got != signedInAs("alice") {
			t.Errorf("got %+v", got)
		}
	})
}

// What belongs to another user, who had not signed out, is not taken over; what this request sets is.
func TestSignInOfAnotherUserKeepsNothingOfTheFirst(t *testing.T) {
	testkit.OnEachStore(t, func(t *testing.T, store testkit.UserStore) {
		manager := testkit.NewManager(t, session.Config{Store: store})
		d := testkit.NewDevice(t, manager)
		d.SignIn("alice")
		d.Do(func(_ *http.Request, s *session.Session) error {
			return errors.Join(s.Set("secret", 1), visits.Set(s, 7))
		})
		alice := d.Twin()
		d.Do(func(_ *http.Request, s *session.Session) error {
			err := errors.Join(visits.Update(s, func(n int) int { return n + 1 }), s.SignIn(session.SignIn{User: "bob"}), s.Set("theme", "dark"))
			if len(s.Keys()) != 2 {
				t.Errorf("bob sees %s", s.JSON())
			}
			return err
		})
		if got, want := d.View(), (testkit.View{Status: 200, User: "bob", Values: `{"visits":1,"theme":"dark"}`}); got != want {
			t.Errorf("got %+v", got)
		}
		if got := alice.View(); got.Status != http.StatusServiceUnavailable {
			t.Errorf("alice's token leads to %+v", got)
		}
		if list, err := manager.List(t.Context(), "alice"); err != nil || len(list) != 0 {
			t.Errorf("alice still has %v, %v", list, err)
		}
	})
}

// What a failed save or Take looks up once more is of the user before.
func TestSignInOfAnotherUserAfterAFailureKeepsNothingOfTheFirst(t *testing.T) {
	for name, failure := range map[string]func(r *http.Request, s *session.Session, fail *bool) error{
		"a save of unknown outcome": func(r *http.Request, s *session.Session, fail *bool) error {
			*fail = true
			if err := errors.Join(s.Set("n", 1), s.Sync(r.Context())); err == nil {
				return errors.New("the save did not fail")
			}
			return s.SignIn(session.SignIn{User: "bob"})
		},
		"a Take that fails": func(r *http.Request, s *session.Session, fail *bool) error {
			err := errors.Join(s.SignIn(session.SignIn{User: "bob"}), visits.Set(s, 1))
			*fail = true
			if _, failed := visits.Take(r.Context(), s); failed == nil || errors.Is(failed, session.ErrNoKey) {
				return fmt.Errorf("the Take: %v", failed)
			}
			visits.Delete(s)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			fail := false
			manager := testkit.NewManager(t, session.Config{Store: testkit.HookedStore{
				Store: new(memstore.Store), After: func(_ context.Context, method string) error {
					if fail && method == "Save" {
						fail = false
						return errors.New("reply lost")
					}
					return nil
				},
			}})
			d := testkit.NewDevice(t, manager)
			d.SignIn("alice")
			d.Do(func(_ *http.Request, s *session.Session) error { return s.Set("secret", 1) })
			d.Do(func(r *http.Request, s *session.Session) error { return failure(r, s, &fail) })
			if got, want := d.View(), (testkit.View{Status: 200, User: "bob", Values: "{}"}); got != want {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestSignInAnewAndRenewKeepTheUserAndTheValues(t *testing.T) {
	testkit.OnEachStore(t, func(t *testing.T, store testkit.UserStore) {
		manager := testkit.NewManager(t, session.Config{Store: store})
		d := testkit.NewDevice(t, manager)
		first := d.SignIn("alice")
		d.Do(func(_ *http.Request, s *session.Session) error { return s.Set("n", 1) })
		renew := func(s *session.Session) error { return s.Renew() }
		again := func(s *session.Session) error {
			return s.SignIn(session.SignIn{User: "alice", Class: session.Remembered})
		}
		for _, change := range []func(*session.Session) error{renew, again, renew} {
			var class session.Class
			var signedIn time.Time
			d.Do(func(r *http.Request, s *session.Session) error {
				signedIn = s.SignedIn()
				err := errors.Join(change(s), s.Sync(r.Context()))
				class = s.Class()
				if s.ID() == first {
					t.Error("the ID has not changed")
				}
				return err
			})
			if got, want := d.View(), (testkit.View{Status: 200, User: "alice", Values: `{"n":1}`}); got != want {
				t.Errorf("got %+v", got)
			}
			d.Do(func(_ *http.Request, s *session.Session) error {
				if s.Class() != class || signedIn.IsZero() || s.SignedIn().Before(signedIn) {
					t.Errorf("class %d, signed in %v, before %v", s.Class(), s.SignedIn(), signedIn)
				}
				return nil
			})
		}
		if list, err := manager.List(t.Context(), "alice"); err != nil || len(list) != 1 || list[0].Class() != session.Remembered {
			t.Errorf("%d sessions, %v", len(list), err)
		}
	})
}

// The class is known before the value is read: it says how long a load lets the session live, and whether its cookie
// outlives the browser.
func TestRememberedSessionLivesLongAndItsCookieOutlivesTheBrowser(t *testing.T) {
	store := new(memstore.Store)
	manager := testkit.NewManager(t, session.Config{Store: store})
	d, plain := testkit.NewDevice(t, manager), testkit.NewDevice(t, manager)
	d.Do(func(_ *http.Request, s *session.Session) error {
		return s.SignIn(session.SignIn{User: "alice", Class: session.Remembered})
	})
	plain.SignIn("alice")
	const year = 365 * 24 * time.Hour
	if age := time.Duration(d.Cookies[0].MaxAge) * time.Second; age < year-time.Minute || age > year+time.Second {
		t.Errorf("the cookie lives for %v", age)
	}
	if plain.Cookies[0].MaxAge != 0 {
		t.Errorf("the cookie of the session that is not remembered has Max-Age %d", plain.Cookies[0].MaxAge)
	}
	for range 3 {
		store.Advance(29 * 24 * time.Hour)
		if got := d.View(); got.User != "alice" {
			t.Errorf("got %+v", got)
		}
	}
	if got := plain.View(); got.User != "" {
		t.Errorf("without being remembered: %+v", got)
	}
	store.Advance(31 * 24 * time.Hour)
	if got := d.View(); got.User != "" {
		t.Errorf("after a month without use: %+v", got)
	}
}

func TestClassesOfTheConfig(t *testing.T) {
	const kiosk session.Class = 7
	store := new(memstore.Store)
	before := testkit.NewManager(t, session.Config{Store: store, Persistent: true, Classes: map[session.Class]session.Lifetimes{
		kiosk: {IdleTimeout: time.Minute}, session.Remembered: {IdleTimeout: time.Hour, Lifetime: 2 * time.Hour},
	}})
	d := testkit.NewDevice(t, before)
	d.Do(func(r *http.Request, s *session.Session) error {
		err := errors.Join(s.SignIn(session.SignIn{User: "alice", Class: kiosk}), s.Sync(r.Context()))
		if left := time.Until(s.IdleDeadline()); s.Class() != kiosk || left > time.Minute {
			t.Errorf("class %d, %v left", s.Class(), left)
		}
		if left := time.Until(s.Deadline()); left < 7*time.Hour { // as Config.Lifetime says
			t.Errorf("%v of the Lifetime left", left)
		}
		return err
	})
	if d.Cookies[0].MaxAge != 0 {
		t.Errorf("a class is persistent only if it says so: Max-Age %d", d.Cookies[0].MaxAge)
	}
	after := testkit.NewManager(t, session.Config{Store: store}) // which does not know the class
	changed := testkit.NewDevice(t, after)
	changed.Cookies = d.Cookies
	changed.Do(func(_ *http.Request, s *session.Session) error {
		if left := time.Until(s.IdleDeadline()); s.User() != "alice" || left < 29*time.Minute {
			t.Errorf("user %q, %v left", s.User(), left)
		}
		return nil
	})
}

func TestFaultsOfASignIn(t *testing.T) {
	manager := testkit.NewManager(t, session.Config{Store: new(memstore.Store)})
	bob, err := manager.Stamp(t.Context(), "bob")
	if err != nil {
		t.Fatal(err)
	}
	d := testkit.NewDevice(t, manager)
	d.Raw(manager.HandlerFunc(func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		for mentions, in := range map[string]session.SignIn{
			"no name":      {},
			"Class 9":      {User: "alice", Class: 9},
			"another user": {User: "alice", Stamp: bob},
		} {
			if err := s.SignIn(in); err == nil || !strings.Contains(err.Error(), mentions) {
				t.Errorf("%s: %v", mentions, err)
			}
		}
		if err := s.EndOthers(session.ByUser); err == nil || !strings.Contains(err.Error(), "nobody is signed in") {
			t.Errorf("EndOthers: %v", err)
		}
		w.WriteHeader(http.StatusOK)
		if err := s.SignIn(session.SignIn{User: "alice"}); !errors.Is(err, session.ErrHeadersSent) {
			t.Errorf("after the headers: %v", err)
		}
	}))
	d.SignIn("alice")
	d.Raw(manager.HandlerFunc(func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		if err := s.EndOthers(0); err == nil || !strings.Contains(err.Error(), "no Reason") {
			t.Errorf("EndOthers without a Reason: %v", err)
		}
		w.WriteHeader(http.StatusOK)
		if err := s.SignIn(session.SignIn{User: "bob"}); !errors.Is(err, session.ErrHeadersSent) {
			t.Errorf("after the headers: %v", err)
		}
		if err := s.Set("role", "bob's"); !errors.Is(err, session.ErrHeadersSent) {
			t.Errorf("what may belong to the new user goes to the old one: %v", err)
		}
	}))
	if _, err := manager.Stamp(t.Context(), ""); err == nil {
		t.Error("a Stamp of nobody")
	}
}

func TestStoreWithoutUsersRefusesTheSignIn(t *testing.T) {
	manager := testkit.NewManager(t, session.Config{Store: testkit.ConstStore{Value: []byte("{}")}})
	testkit.NewDevice(t, manager).Do(func(r *http.Request, s *session.Session) error {
		for name, err := range map[string]error{
			"SignIn": s.SignIn(session.SignIn{User: "alice"}),
			"EndAll": manager.EndAll(r.Context(), "alice", session.ByUser),
			"End":    manager.End(r.Context(), "alice", "1", session.ByUser),
			"List":   second(manager.List(r.Context(), "alice")),
			"Stamp":  second(manager.Stamp(r.Context(), "alice")),
		} {
			if !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "testkit.ConstStore") {
				t.Errorf("%s: %v", name, err)
			}
		}
		return nil
	})
}

func second[T any](_ T, err error) error { return err }

// A sign-in that used the credential of before a change does not outlive it, whenever it comes to the store.
func TestSignInWithAnOldStampIsRefusedAndLeavesTheSession(t *testing.T) {
	testkit.OnEachStore(t, func(t *testing.T, store testkit.UserStore) {
		manager := testkit.NewManager(t, session.Config{Store: store})
		for name, first := range map[string]func(d *testkit.Device){
			"a visitor with a session": func(d *testkit.Device) {
				d.Do(func(_ *http.Request, s *session.Session) error { return s.Set("cart", 1) })
			},
			"a visitor without one": func(*testkit.Device) {},
			"another user":          func(d *testkit.Device) { d.SignIn("bob") },
		} {
			t.Run(name, func(t *testing.T) {
				d := testkit.NewDevice(t, manager)
				first(d)
				before := d.View()
				stamp, err := manager.Stamp(t.Context(), "alice")
				if again, _ := manager.Stamp(t.Context(), "alice"); err != nil || again != stamp {
					t.Fatalf("stamps %s and %s, %v", stamp, again, err)
				}
				if err := manager.EndAll(t.Context(), "alice", session.CredentialChanged); err != nil {
					t.Fatal(err)
				}
				signIn := func(r *http.Request, s *session.Session) error {
					return errors.Join(s.Set("role", "admin"), s.SignIn(session.SignIn{User: "alice", Stamp: stamp}))
				}
				response := d.Do(signIn)
				if response.StatusCode != http.StatusForbidden || len(response.Cookies()) != 0 {
					t.Errorf("status %d, headers %v", response.StatusCode, response.Header)
				}
				d.Do(func(r *http.Request, s *session.Session) error {
					if err := errors.Join(signIn(r, s)); err != nil {
						return err
					}
					if err := s.Sync(r.Context()); !errors.Is(err, session.ErrRevoked) {
						t.Errorf("Sync: %v", err)
					}
					if s.User() != before.User || string(s.JSON()) != before.Values {
						t.Errorf("afterwards %q has %s", s.User(), s.JSON())
					}
					return nil
				})
				if got := d.View(); got != before {
					t.Errorf("got %+v, want %+v", got, before)
				}
				if list, err := manager.List(t.Context(), "alice"); err != nil || len(list) != 0 {
					t.Errorf("%d sessions, %v", len(list), err)
				}
			})
		}
	})
}

// The steps of a sign-in that takes several requests, as for a second factor, are kept in the session.
func TestSignInIsKeptBetweenItsSteps(t *testing.T) {
	const pending = session.Key[session.SignIn]("signing-in")
	manager := testkit.NewManager(t, session.Config{Store: new(memstore.Store)})
	d := testkit.NewDevice(t, manager)
	d.Do(func(r *http.Request, s *session.Session) error {
		stamp, err := manager.Stamp(r.Context(), "alice")
		return errors.Join(err, pending.Set(s, session.SignIn{User: "alice", Class: session.Remembered, Stamp: stamp}))
	})
	d.Do(func(_ *http.Request, s *session.Session) error {
		in, ok := pending.Pop(s)
		if !ok {
			t.Error("nothing is pending")
		}
		return s.SignIn(in)
	})
	if got := d.View(); got != signedInAs("alice") {
		t.Errorf("got %+v", got)
	}
}

func TestAnyTextNamesAUser(t *testing.T) {
	testkit.OnEachStore(t, func(t *testing.T, store testkit.UserStore) {
		manager := testkit.NewManager(t, session.Config{Store: store})
		for _, user := range []string{
			" ", "\x00", "a\r\nb", "{a}:b", "}{", `"\`, "</script>", "alice\xff\xfe", "\xff", "\ufffd", "ä\u2028", strings.Repeat("x", 10_000),
		} {
			d := testkit.NewDevice(t, manager)
			stamp, err := manager.Stamp(t.Context(), user)
			if err != nil {
				t.Fatal(err)
			}
			d.Do(func(_ *http.Request, s *session.Session) error {
				return s.SignIn(session.SignIn{User: user, Stamp: stamp})
			})
			if got := d.View(); got != signedInAs(user) {
				t.Errorf("%.40q: got %.80q", user, got.User)
			}
			list, err := manager.List(t.Context(), user)
			if err != nil || len(list) != 1 || list[0].User() != user {
				t.Errorf("%.40q: %d sessions, %v", user, len(list), err)
			}
			if err := manager.EndAll(t.Context(), user, session.ByOperator); err != nil {
				t.Error(err)
			}
			if got := d.View(); got.User != "" || got.Ended != session.ByOperator {
				t.Errorf("%.40q: got %+v", user, got)
			}
		}
	})
}

// Whatever fails in the middle of a sign-in, before or after it took place in the store, the response is an error, and
// nobody is given a session of the user.
func TestSignInThatFailsInTheMiddleLeavesNothingToUse(t *testing.T) {
	down := errors.New("the store is down")
	for _, before := range []string{"nobody", "a visitor", "alice", "bob"} {
		for step := 1; ; step++ {
			failed := ""
			for _, executed := range []bool{false, true} {
				steps := 0
				count := func(_ context.Context, method string) error {
					if steps++; steps == step {
						failed = method
						return down
					}
					return nil
				}
				memory := new(memstore.Store)
				direct := testkit.NewManager(t, session.Config{Store: memory})
				hooked := testkit.HookedStore{Store: memory, Before: count}
				if executed {
					hooked.Before, hooked.After = nil, count
				}
				d := testkit.NewDevice(t, direct)
				switch before {
				case "a visitor":
					d.Do(func(_ *http.Request, s *session.Session) error { return s.Set("n", 1) })
				case "alice", "bob":
					d.SignIn(before)
				}
				manager := testkit.NewManager(t, session.Config{Store: hooked})
				response := d.Raw(manager.HandlerFunc(func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
					if err := s.SignIn(session.SignIn{User: "alice"}); err != nil {
						t.Error(err)
					}
				}))
				if failed == "" {
					continue
				}
				harmless := failed == "Remove" // the old session of bob, which has a marker in its place already
				if (response.StatusCode == http.StatusOK) != harmless || (len(response.Cookies()) == 0) == harmless {
					t.Errorf("%s, step %d (%s, executed: %v): status %d, headers %v", before, step, failed, executed, response.StatusCode, response.Header)
				}
			}
			if failed == "" {
				break
			}
		}
	}
}
