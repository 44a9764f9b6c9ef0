package session_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/internal/testkit"
	"github.com/sessionkv/session/memstore"
)

// devices are some of alice's, each signed in, and one of bob's.
type devices struct {
	manager            *session.Manager
	phone, laptop, bob *testkit.Device
	ids                map[*testkit.Device]string
}

func newDevices(t *testing.T, config session.Config) *devices {
	t.Helper()
	manager := testkit.NewManager(t, config)
	d := &devices{manager, testkit.NewDevice(t, manager), testkit.NewDevice(t, manager), testkit.NewDevice(t, manager), nil}
	d.ids = map[*testkit.Device]string{d.phone: d.phone.SignIn("alice"), d.laptop: d.laptop.SignIn("alice"), d.bob: d.bob.SignIn("bob")}
	return d
}

// ended is what a device sees whose session somebody has ended.
func ended(why session.Reason) testkit.View {
	return testkit.View{Status: http.StatusOK, Values: "{}", Ended: why}
}

func (d *devices) want(t *testing.T, phone, laptop testkit.View) {
	t.Helper()
	if got := d.phone.View(); got != phone {
		t.Errorf("the phone sees %+v", got)
	}
	if got := d.laptop.View(); got != laptop {
		t.Errorf("the laptop sees %+v", got)
	}
	if got := d.bob.View(); got != signedInAs("bob") {
		t.Errorf("bob sees %+v", got)
	}
}

func TestEndAllEndsEverySessionOfTheUserAndSaysWhy(t *testing.T) {
	testkit.OnEachStore(t, func(t *testing.T, store testkit.UserStore) {
		d := newDevices(t, session.Config{Store: store})
		d.want(t, signedInAs("alice"), signedInAs("alice"))
		if err := d.manager.EndAll(t.Context(), "alice", session.CredentialChanged); err != nil {
			t.Fatal(err)
		}
		d.want(t, ended(session.CredentialChanged), ended(session.CredentialChanged))
		d.want(t, ended(session.CredentialChanged), ended(session.CredentialChanged)) // a second time too
		d.phone.SignIn("alice")
		d.want(t, signedInAs("alice"), ended(session.CredentialChanged))
		for _, err := range []error{
			d.manager.EndAll(t.Context(), "", session.ByUser),
			d.manager.EndAll(t.Context(), "alice", 0),
			d.manager.EndAll(t.Context(), "alice", 99),
		} {
			if err == nil {
				t.Error("EndAll of nobody or without a Reason succeeds")
			}
		}
		if err := d.manager.EndAll(t.Context(), "nobody", session.ByUser); err != nil {
			t.Errorf("of a user without sessions: %v", err)
		}
	})
}

// Whatever a request does that had loaded its session before it was ended, afterwards nothing of it can be used.
func TestRequestOfAnEndedSessionBringsNothingBack(t *testing.T) {
	testkit.OnEachStore(t, func(t *testing.T, store testkit.UserStore) {
		endings := map[string]func(r *http.Request, d *devices) error{
			"EndAll": func(r *http.Request, d *devices) error {
				return d.manager.EndAll(r.Context(), "alice", session.ByOperator)
			},
			"End": func(r *http.Request, d *devices) error {
				return d.manager.End(r.Context(), "alice", d.ids[d.phone], session.ByOperator)
			},
			"EndOthers": func(_ *http.Request, d *devices) error {
				d.laptop.Do(func(_ *http.Request, s *session.Session) error { return s.EndOthers(session.ByOperator) })
				return nil
			},
		}
		works := testkit.SlowWorks()
		works["signs in anew"] = func(_ http.ResponseWriter, s *session.Session) { _ = s.SignIn(session.SignIn{User: "alice"}) }
		works["ends others"] = func(_ http.ResponseWriter, s *session.Session) { _ = s.EndOthers(session.ByUser) }
		for ending, end := range endings {
			for work, do := range works {
				t.Run(ending+", it "+work, func(t *testing.T) {
					d := newDevices(t, session.Config{Store: store})
					d.phone.Raw(d.manager.HandlerFunc(func(w http.ResponseWriter, r *http.Request, s *session.Session) {
						if err := end(r, d); err != nil {
							t.Error(err)
						}
						do(w, s)
					}))
					if got := d.phone.View(); got.User != "" || got.Values != "{}" || got.Status != 200 {
						t.Errorf("the phone sees %+v", got)
					}
					if err := d.manager.EndAll(t.Context(), "alice", session.ByUser); err != nil { // for the next
						t.Error(err)
					}
				})
			}
		}
	})
}

func TestEndEndsOneSession(t *testing.T) {
	testkit.OnEachStore(t, func(t *testing.T, store testkit.UserStore) {
		d := newDevices(t, session.Config{Store: store})
		for name, end := range map[string]error{
			"of another user":  d.manager.End(t.Context(), "bob", d.ids[d.phone], session.ByUser),
			"an unknown one":   d.manager.End(t.Context(), "alice", d.ids[d.phone]+"0", session.ByUser),
			"none of a user":   d.manager.End(t.Context(), "alice", "05c63329-6635-8721-82ea-d7325f09e8d9", session.ByUser),
			"of a strange tag": d.manager.End(t.Context(), "alice", "tag:"+d.ids[d.phone], session.ByUser),
		} {
			if !errors.Is(end, session.ErrEnded) {
				t.Errorf("%s: %v", name, end)
			}
		}
		d.want(t, signedInAs("alice"), signedInAs("alice"))
		if err := d.manager.End(t.Context(), "alice", d.ids[d.phone], session.ByOperator); err != nil {
			t.Error(err)
		}
		d.want(t, ended(session.ByOperator), signedInAs("alice"))
		if err := d.manager.End(t.Context(), "alice", d.ids[d.phone], session.ByOperator); !errors.Is(err, session.ErrEnded) {
			t.Errorf("a second time: %v", err)
		}
	})
}

// EndOthers comes after the new token of the same request, which it keeps.
func TestEndOthersKeepsTheSessionThatCallsIt(t *testing.T) {
	testkit.OnEachStore(t, func(t *testing.T, store testkit.UserStore) {
		for name, also := range map[string]func(s *session.Session) error{
			"alone":               func(*session.Session) error { return nil },
			"with a change":       func(s *session.Session) error { return s.Set("n", 1) },
			"with Renew":          func(s *session.Session) error { return s.Renew() },
			"with SignIn":         func(s *session.Session) error { return s.SignIn(session.SignIn{User: "alice"}) },
			"after the headers":   nil,
			"with a second token": func(s *session.Session) error { return errors.Join(s.Renew(), s.Set("n", 1)) },
		} {
			t.Run(name, func(t *testing.T) {
				d := newDevices(t, session.Config{Store: store})
				stamp, err := d.manager.Stamp(t.Context(), "alice")
				if err != nil {
					t.Fatal(err)
				}
				d.phone.Raw(d.manager.HandlerFunc(func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
					if also == nil {
						w.WriteHeader(http.StatusOK)
					}
					err := s.EndOthers(session.CredentialChanged)
					if also != nil {
						err = errors.Join(err, also(s))
					}
					if err != nil {
						t.Error(err)
					}
				}))
				phone := d.phone.View()
				phone.Values = "{}"
				if phone != signedInAs("alice") {
					t.Errorf("the phone sees %+v", phone)
				}
				if got := d.laptop.View(); got != ended(session.CredentialChanged) {
					t.Errorf("the laptop sees %+v", got)
				}
				if response := d.laptop.Do(func(_ *http.Request, s *session.Session) error {
					return s.SignIn(session.SignIn{User: "alice", Stamp: stamp})
				}); response.StatusCode != http.StatusForbidden {
					t.Errorf("a sign-in with the stamp of before: status %d", response.StatusCode)
				}
				if err := d.manager.EndAll(t.Context(), "alice", session.ByUser); err != nil {
					t.Error(err)
				}
			})
		}
	})
}

func TestListShowsTheLivingSessionsOfAUserAndChangesNothing(t *testing.T) {
	store := new(memstore.Store)
	d := newDevices(t, session.Config{Store: store, IdleTimeout: time.Hour})
	d.laptop.Do(func(_ *http.Request, s *session.Session) error {
		return errors.Join(s.Set("browser", "Firefox"), s.SignIn(session.SignIn{User: "alice", Class: session.Remembered}))
	})
	store.Advance(20 * time.Minute)
	d.phone.View()
	store.Advance(10 * time.Minute)
	var list []*session.Session
	for range 2 {
		var err error
		if list, err = d.manager.List(t.Context(), "alice"); err != nil || len(list) != 2 {
			t.Fatalf("%d sessions, %v", len(list), err)
		}
	}
	laptop, phone := list[0], list[1] // the latest sign-in first
	if name, _ := session.Key[string]("browser").Get(laptop); name != "Firefox" || laptop.Class() != session.Remembered || laptop.User() != "alice" {
		t.Errorf("browser %q, class %d, user %q", name, laptop.Class(), laptop.User())
	}
	if phone.ID() != d.ids[d.phone] || phone.Class() != 0 || phone.SignedIn().After(laptop.SignedIn()) {
		t.Errorf("ID %s, class %d, signed in %v", phone.ID(), phone.Class(), phone.SignedIn())
	}
	for name, c := range map[string]struct{ got, want time.Duration }{
		"the laptop was used": {time.Since(laptop.LastUsed()), 30 * time.Minute},
		"the phone was used":  {time.Since(phone.LastUsed()), 10 * time.Minute},
		"the phone ends":      {time.Until(phone.IdleDeadline()), 50 * time.Minute},
		"the phone's end":     {time.Until(phone.Deadline()), 8 * time.Hour},
	} {
		if diff := c.got - c.want; diff < -time.Minute || diff > time.Minute {
			t.Errorf("%s: %v, want %v", name, c.got, c.want)
		}
	}
	for name, err := range map[string]error{
		"Set": phone.Set("n", 1), "SignIn": phone.SignIn(session.SignIn{User: "bob"}), "Renew": phone.Renew(),
		"EndOthers": phone.EndOthers(session.ByUser), "Sync": phone.Sync(t.Context()),
	} {
		if err == nil || !strings.Contains(err.Error(), "of Manager.List") {
			t.Errorf("%s: %v", name, err)
		}
	}
	phone.Destroy()
	phone.Delete("n")
	phone.Clear()
	phone.Discard()
	store.Advance(51 * time.Minute) // List gave no time to live
	if got := d.phone.View(); got.User != "" {
		t.Errorf("the phone sees %+v", got)
	}
	if list, err := d.manager.List(t.Context(), "alice"); err != nil || len(list) != 1 || list[0].ID() != laptop.ID() {
		t.Errorf("%d sessions, %v", len(list), err)
	}
	if list, err := d.manager.List(t.Context(), "nobody"); err != nil || len(list) != 0 {
		t.Errorf("%d sessions, %v", len(list), err)
	}
	if _, err := d.manager.List(t.Context(), ""); err == nil {
		t.Error("a list of nobody")
	}
}

func TestPeekTellsWhenTheSessionWasLastUsed(t *testing.T) {
	store := new(memstore.Store)
	manager := testkit.NewManager(t, session.Config{Store: store, IdleTimeout: time.Hour})
	d := testkit.NewDevice(t, manager)
	d.SignIn("alice")
	store.Advance(20 * time.Minute)
	for range 2 {
		d.Raw(manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			s, err := session.Peek(r.Context())
			if err != nil || s.User() != "alice" || time.Since(s.LastUsed()).Round(time.Minute) != 20*time.Minute {
				t.Errorf("user %q, last used %v ago, %v", s.User(), time.Since(s.LastUsed()), err)
			}
		})))
	}
}

// Who signs in beyond the limit ends the oldest sign-in, whose device is told why.
func TestLimitEndsTheOldestSessions(t *testing.T) {
	testkit.OnEachStore(t, func(t *testing.T, store testkit.UserStore) {
		manager := testkit.NewManager(t, session.Config{Store: store, SessionsPerUser: 2})
		var all []*testkit.Device
		for range 4 {
			d := testkit.NewDevice(t, manager)
			d.SignIn("alice")
			all = append(all, d)
		}
		testkit.NewDevice(t, manager).SignIn("bob")
		all[2].SignIn("alice") // anew: it makes no room
		all[3].Do(func(_ *http.Request, s *session.Session) error { return s.Renew() })
		for i, want := range []testkit.View{ended(session.OverLimit), ended(session.OverLimit), signedInAs("alice"), signedInAs("alice")} {
			if got := all[i].View(); got != want {
				t.Errorf("device %d sees %+v", i, got)
			}
		}
	})
}

func TestLimitRefusesOneMoreSession(t *testing.T) {
	store := new(memstore.Store)
	manager := testkit.NewManager(t, session.Config{Store: store, SessionsPerUser: 2, RefuseMore: true})
	first, second, third := testkit.NewDevice(t, manager), testkit.NewDevice(t, manager), testkit.NewDevice(t, manager)
	first.SignIn("alice")
	second.SignIn("alice")
	third.Do(func(_ *http.Request, s *session.Session) error { return s.Set("cart", 1) })
	response := third.Do(func(_ *http.Request, s *session.Session) error { return s.SignIn(session.SignIn{User: "alice"}) })
	if response.StatusCode != http.StatusForbidden {
		t.Errorf("status %d", response.StatusCode)
	}
	third.Do(func(r *http.Request, s *session.Session) error {
		err := s.SignIn(session.SignIn{User: "alice"})
		if sync := s.Sync(r.Context()); !errors.Is(sync, session.ErrLimit) {
			t.Errorf("Sync: %v", sync)
		}
		return err
	})
	if got := third.View(); got != (testkit.View{Status: 200, Values: `{"cart":1}`}) {
		t.Errorf("the third sees %+v", got)
	}
	second.SignIn("alice") // anew
	first.Do(func(_ *http.Request, s *session.Session) error { s.Destroy(); return nil })
	third.SignIn("alice")
	store.Advance(20 * time.Minute)
	second.View()
	store.Advance(15 * time.Minute) // now the third has expired, which counts no more
	first.SignIn("alice")
	for i, d := range []*testkit.Device{first, second} {
		if got := d.View(); got != signedInAs("alice") {
			t.Errorf("device %d sees %+v", i, got)
		}
	}
}

// The own session is ended with the others; Destroy then takes the cookie from the browser too.
func TestSignOutEverywhere(t *testing.T) {
	testkit.OnEachStore(t, func(t *testing.T, store testkit.UserStore) {
		d := newDevices(t, session.Config{Store: store})
		response := d.phone.Do(func(r *http.Request, s *session.Session) error {
			err := d.manager.EndAll(r.Context(), s.User(), session.ByUser)
			s.Destroy()
			return err
		})
		if response.StatusCode != 200 || len(d.phone.Cookies) != 0 {
			t.Errorf("status %d, headers %v", response.StatusCode, response.Header)
		}
		d.want(t, ended(0), ended(session.ByUser))
	})
}

func TestDestroyLeavesTheListOfItsUser(t *testing.T) {
	testkit.OnEachStore(t, func(t *testing.T, store testkit.UserStore) {
		d := newDevices(t, session.Config{Store: store})
		d.phone.Do(func(_ *http.Request, s *session.Session) error { s.Destroy(); return nil })
		list, err := d.manager.List(t.Context(), "alice")
		if err != nil || len(list) != 1 || list[0].ID() != d.ids[d.laptop] {
			t.Errorf("%d sessions, %v", len(list), err)
		}
		d.want(t, ended(0), signedInAs("alice"))
	})
}

func TestListThatIsLostSignsOut(t *testing.T) {
	testkit.OnEachRedis(t, func(t *testing.T, b testkit.Backend) {
		d := newDevices(t, session.Config{Store: b.Store})
		for _, key := range b.Keys(t) {
			if strings.HasSuffix(key, ":user") {
				b.Do("DEL", key)
			}
		}
		for _, device := range []*testkit.Device{d.phone, d.laptop, d.bob} {
			if got := device.View(); got != ended(0) {
				t.Errorf("got %+v", got)
			}
		}
	})
}

func TestEveryKeyOfAUserHasATimeToLive(t *testing.T) {
	testkit.OnEachRedis(t, func(t *testing.T, b testkit.Backend) {
		d := newDevices(t, session.Config{Store: b.Store, SessionsPerUser: 3})
		_, err := d.manager.Stamp(t.Context(), "carol")
		d.laptop.Do(func(_ *http.Request, s *session.Session) error { return s.Renew() })
		d.phone.Do(func(_ *http.Request, s *session.Session) error {
			return errors.Join(s.Set("n", 1), s.EndOthers(session.ByUser))
		})
		d.phone.SignIn("bob")
		err = errors.Join(err, d.manager.EndAll(t.Context(), "bob", session.ByUser))
		if err != nil {
			t.Fatal(err)
		}
		keys := b.Keys(t)
		slices.Sort(keys)
		for _, key := range keys {
			if ttl := b.Do("PTTL", key).(int64); ttl <= 0 {
				t.Errorf("%s has %d ms to live", key, ttl)
			}
		}
		if len(keys) < 6 {
			t.Errorf("only %q", keys)
		}
	})
}

func TestReasonsAreWords(t *testing.T) {
	got := fmt.Sprint(session.ByUser, session.ByOperator, session.CredentialChanged, session.OverLimit, session.Reason(0))
	if got != "by_user by_operator credential_changed over_limit " {
		t.Error(got)
	}
}

// Whoever changes a password must not read that the other devices are signed out when one of those has ended this session
// in between, and with it what this request was about to do.
func TestEndOthersAndSignInDoNotSucceedInASessionThatHasEnded(t *testing.T) {
	testkit.OnEachStore(t, func(t *testing.T, store testkit.UserStore) {
		for name, c := range map[string]struct {
			do     func(s *session.Session) error
			status int
		}{
			"EndOthers": {func(s *session.Session) error { return s.EndOthers(session.CredentialChanged) }, http.StatusServiceUnavailable},
			"SignIn":    {func(s *session.Session) error { return s.SignIn(session.SignIn{User: "alice"}) }, http.StatusServiceUnavailable},
			"Renew":     {func(s *session.Session) error { return s.Renew() }, http.StatusOK},
			"Set":       {func(s *session.Session) error { return s.Set("n", 1) }, http.StatusOK},
		} {
			t.Run(name, func(t *testing.T) {
				d := newDevices(t, session.Config{Store: store})
				response := d.phone.Do(func(_ *http.Request, s *session.Session) error {
					d.laptop.Do(func(_ *http.Request, thief *session.Session) error { return thief.EndOthers(session.ByUser) })
					return c.do(s)
				})
				if cookie := response.Header.Get("Set-Cookie"); response.StatusCode != c.status || cookie != "" {
					t.Errorf("status %d, cookie %q", response.StatusCode, cookie)
				}
				d.want(t, ended(session.ByUser), signedInAs("alice"))
				if err := d.manager.EndAll(t.Context(), "alice", session.ByUser); err != nil {
					t.Error(err)
				}
			})
		}
	})
}

// ErrRenewed says that nothing was done, so that the client can ask again.
func TestEndOthersThatMeetsARenewalHasStoredNothing(t *testing.T) {
	store := new(memstore.Store)
	direct := testkit.NewManager(t, session.Config{Store: store})
	d := testkit.NewDevice(t, direct)
	d.SignIn("alice")
	slow, renewed := d.Twin(), false
	renew := func(_ context.Context, method string) error {
		if method == "RemoveOthers" && !renewed {
			renewed = true
			d.Do(func(_ *http.Request, s *session.Session) error { return s.Renew() })
		}
		return nil
	}
	manager := testkit.NewManager(t, session.Config{Store: testkit.HookedStore{Store: store, Before: renew}})
	response := slow.Raw(manager.HandlerFunc(func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		if err := errors.Join(visits.Update(s, func(n int) int { return n + 1 }), s.EndOthers(session.ByUser)); err != nil {
			t.Error(err)
		}
	}))
	if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") != "1" {
		t.Errorf("status %d, headers %v", response.StatusCode, response.Header)
	}
	if got := d.View(); got != signedInAs("alice") {
		t.Errorf("the renewed session is %+v", got)
	}
}

// Between the two last steps of a renewal neither its old nor its new ID is that of a listed session. It is shown all the
// same, and can be ended by what is shown.
func TestListShowsASessionThatIsBeingRenewed(t *testing.T) {
	testkit.OnEachStore(t, func(t *testing.T, inner testkit.UserStore) {
		direct := testkit.NewManager(t, session.Config{Store: inner})
		store := newBeforehand(inner)
		manager := testkit.NewManager(t, session.Config{Store: store})
		d := testkit.NewDevice(t, manager)
		id := d.SignIn("alice")
		d.Do(func(_ *http.Request, s *session.Session) error { return s.Set("browser", "Firefox") })
		response := d.Do(func(_ *http.Request, s *session.Session) error {
			store.next("Replace", 0, func() {
				list, err := direct.List(t.Context(), "alice")
				if err != nil || len(list) != 1 {
					t.Errorf("%d sessions, %v", len(list), err)
					return
				}
				if name, _ := session.Key[string]("browser").Get(list[0]); name != "Firefox" || list[0].ID() != id || time.Until(list[0].IdleDeadline()) < time.Minute {
					t.Errorf("browser %q, ID %s, %v left", name, list[0].ID(), time.Until(list[0].IdleDeadline()))
				}
				if err := direct.End(t.Context(), "alice", list[0].ID(), session.ByOperator); err != nil {
					t.Error(err)
				}
			})
			return s.Renew()
		})
		if got := d.View(); got.User != "" || store.do != nil {
			t.Errorf("after the end: status %d, %+v", response.StatusCode, got)
		}
	})
}
