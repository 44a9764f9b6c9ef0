package campaign

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/testkit"
)

// B7, CVE-2015-5143, CVE-2015-5963, CVE-2015-5964: clients without a session cannot fill the store, whatever cookie
// they send, as long as the handler sets nothing.
func TestRequestsWithoutASessionStoreNothing(t *testing.T) {
	t.Parallel()
	b, mini := testkit.MiniRedis(t)
	manager := testkit.NewManager(t, session.Config{Store: b.Store})
	handler := func(_ http.ResponseWriter, r *http.Request, s *session.Session) {
		user.Get(s)
		user.Pop(s)
		s.Delete("user")
		s.Clear()
		if err := s.Renew(); err != nil {
			t.Error(err)
		}
		s.Destroy()
		_ = user.Set(s, "nobody")
		user.Delete(s)
		if err := s.Sync(r.Context()); err != nil {
			t.Error(err)
		}
	}
	tests := map[string]struct {
		cookies  func() []*http.Cookie
		commands int
	}{
		"no cookie":          {func() []*http.Cookie { return nil }, 0},
		"malformed":          {func() []*http.Cookie { return testkit.Carrying(rand.Text()) }, 0},
		"past its deadline":  {func() []*http.Cookie { return testkit.Carrying(testkit.Forge(time.Now().Add(-time.Second))) }, 0},
		"never issued":       {func() []*http.Cookie { return testkit.Carrying(testkit.Forge(time.Now().Add(time.Hour))) }, 1000},
		"four never issued":  {func() []*http.Cookie { return repeat(4) }, 4000},
		"five never issued":  {func() []*http.Cookie { return repeat(5) }, 0},
		"fifty never issued": {func() []*http.Cookie { return repeat(50) }, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			before := mini.CommandCount()
			for range 1000 {
				if response := testkit.Request(t, manager, test.cookies(), handler); response.StatusCode != 200 || response.Header.Get("Set-Cookie") != "" {
					t.Fatalf("status %d, headers %v", response.StatusCode, response.Header)
				}
			}
			if commands := mini.CommandCount() - before; commands != test.commands {
				t.Errorf("%d commands, want %d", commands, test.commands)
			}
			if size := b.Do("DBSIZE"); size != int64(0) {
				t.Errorf("%v keys", size)
			}
		})
	}
}

// repeat returns n well-formed cookies that lead to nothing.
func repeat(n int) (cookies []*http.Cookie) {
	for range n {
		cookies = append(cookies, testkit.Carrying(testkit.Forge(time.Now().Add(time.Hour)))...)
	}
	return cookies
}

// B2, B3, CVE-2022-25896: what an attacker has planted in the victim's browser is worth nothing after the sign-in, and
// brings no data of the attacker's if the handler clears it, not even what the attacker adds during the sign-in.
func TestPlantedSessionGainsNothingFromASignIn(t *testing.T) {
	t.Parallel()
	b, _ := testkit.MiniRedis(t)
	manager := testkit.NewManager(t, session.Config{Store: b.Store})
	planted, id := testkit.Begin(t, manager, map[string]any{"cart": "attacker's"})
	response := testkit.Request(t, manager, planted, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		s.Clear()
		if err := s.Renew(); err != nil {
			t.Error(err)
		}
		_ = user.Set(s, "victim")
		testkit.Request(t, manager, planted, func(_ http.ResponseWriter, _ *http.Request, attacker *session.Session) {
			_ = attacker.Set("returnTo", "https://attacker.example")
		})
	})
	signedIn := response.Cookies()
	if len(signedIn) != 1 || signedIn[0].Value == planted[0].Value {
		t.Fatalf("cookies %v", signedIn)
	}
	if got := testkit.Values(t, manager, signedIn); got != `{"user":"victim"}` {
		t.Errorf("the victim has %s", got)
	}
	after := testkit.Request(t, manager, planted, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		if s.ID() != "" || len(s.Keys()) != 0 {
			t.Errorf("the attacker has a session %q with %q", s.ID(), s.Keys())
		}
	})
	if stored := b.Get(t, id); after.Header.Get("Set-Cookie") != "" || !strings.HasSuffix(stored, `"values":{}}}`) {
		t.Errorf("headers %v, stored %s", after.Header, stored)
	}
	again := testkit.Request(t, manager, signedIn, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { _ = s.Renew() })
	if fresh := again.Cookies(); len(fresh) != 1 || fresh[0].Value == signedIn[0].Value || testkit.Values(t, manager, signedIn) != "{}" {
		t.Errorf("a second sign-in: cookies %v, the first token leads to %s", fresh, testkit.Values(t, manager, signedIn))
	}
}

// An everlastingStore forgets nothing.
type everlastingStore struct{ driver.Store }

func (s everlastingStore) Load(ctx context.Context, id string, _ time.Duration) ([]byte, error) {
	return s.Store.Load(ctx, id, 1000*time.Hour)
}

func (s everlastingStore) Save(ctx context.Context, id string, was, value []byte, _ time.Duration) ([]byte, error) {
	return s.Store.Save(ctx, id, was, value, 1000*time.Hour)
}

// C2, C3, C4, CVE-2024-35220: the end of Lifetime comes for a busy session too, on a store that forgets nothing, and only
// Renew moves it.
func TestLifetimeEndsABusySession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		memory := testkit.NewMemory()
		store := &testkit.FaultyStore{Store: everlastingStore{memory}}
		manager := testkit.NewManager(t, session.Config{Store: store, IdleTimeout: 10 * time.Minute, Lifetime: time.Hour})
		start := time.Now()
		cookies, id := testkit.Begin(t, manager, map[string]any{"n": 0})
		use := func(n int) {
			t.Helper()
			response := testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
				if want := start.Add(time.Hour); s.ID() != id || !s.Deadline().Equal(want) {
					t.Errorf("after %v: session %q until %v, want %q until %v", time.Since(start), s.ID(), s.Deadline(), id, want)
				}
				_ = s.Set("n", n)
			})
			if response.Header.Get("Set-Cookie") != "" {
				t.Errorf("after %v: headers %v", time.Since(start), response.Header)
			}
		}
		for n := range 11 {
			time.Sleep(5 * time.Minute)
			use(n + 1)
		}
		time.Sleep(5*time.Minute - time.Second)
		use(12)
		slow := testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, r *http.Request, s *session.Session) {
			time.Sleep(time.Second)
			_ = s.Set("n", 13)
			if err := s.Sync(r.Context()); err != session.ErrEnded {
				t.Errorf("Save at the deadline: %v", err)
			}
		})
		if stored := memory.Stored()[id]; slow.Header.Get("Set-Cookie") != "" || !strings.HasSuffix(stored, `"n":12}`) {
			t.Errorf("headers %v, stored %s", slow.Header, stored)
		}
		store.Calls()
		if got := testkit.Values(t, manager, cookies); got != "{}" {
			t.Errorf("after its Lifetime the session has %s", got)
		}
		if calls := store.Calls(); calls != "0 loads, 0 saves, 0 deletes" {
			t.Errorf("a token past its deadline: %s", calls)
		}

		start = time.Now()
		cookies, _ = testkit.Begin(t, manager, map[string]any{"n": 0})
		time.Sleep(50 * time.Minute)
		renewed := testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
			_ = s.Renew()
		}).Cookies()
		time.Sleep(time.Hour - time.Second)
		if got := testkit.Values(t, manager, renewed); got != `{"n":0}` {
			t.Errorf("a renewed session, within its Lifetime: %s", got)
		}
		time.Sleep(time.Second)
		if got := testkit.Values(t, manager, renewed); got != "{}" {
			t.Errorf("a renewed session, after its Lifetime: %s", got)
		}
	})
}

// C1, C2: what the zero Config means.
func TestDefaultTimeouts(t *testing.T) {
	t.Parallel()
	b, mini := testkit.MiniRedis(t)
	manager := testkit.NewManager(t, session.Config{Store: b.Store})
	cookies, id := testkit.Begin(t, manager, map[string]any{"n": 1})
	if ttl := mini.TTL("session:" + id); ttl != 30*time.Minute {
		t.Errorf("idle for %v", ttl)
	}
	testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		if rest := time.Until(s.Deadline()); rest > 8*time.Hour+time.Second || rest < 8*time.Hour-time.Minute {
			t.Errorf("%v to the deadline", rest)
		}
	})
}

// C3, C6: the deadline is the token's. Neither a PERSIST by hand nor a time to live of any length in Redis moves it, and
// a key without a time to live gets one as soon as it is used.
func TestDeadlineHoldsWhateverRedisSays(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		deadline time.Time
		lives    bool
	}{
		"a second ago":  {time.Now().Add(-time.Second), false},
		"a year ago":    {time.Now().AddDate(-1, 0, 0), false},
		"in 1970":       {time.Unix(0, 0), false},
		"in an hour":    {time.Now().Add(time.Hour), true},
		"in 2106":       {time.Unix(1<<32-1, 0), true},
		"after it":      {time.Unix(1<<32, 0), false}, // where four bytes end, the first byte names another layout
		"before 1970":   {time.Unix(-1, 0), false},
		"of five bytes": {time.Unix(1<<40-1, 0), false},
	}
	testkit.OnEachRedis(t, func(t *testing.T, b testkit.Backend) {
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				manager := testkit.NewManager(t, session.Config{Store: b.Store, IdleTimeout: time.Minute, Lifetime: 2 * time.Hour})
				token := testkit.Forge(test.deadline)
				b.Do("SET", "session:"+testkit.IDOf(token), `{"user":"alice"}`)
				b.Do("PERSIST", "session:"+testkit.IDOf(token))
				want, ttl := "{}", int64(-1)
				if test.lives {
					want, ttl = `{"user":"alice"}`, 60_000
				}
				if got := testkit.Values(t, manager, testkit.Carrying(token)); got != want {
					t.Errorf("got %s, want %s", got, want)
				}
				left := b.Do("PTTL", "session:"+testkit.IDOf(token)).(int64)
				if left > ttl || left < ttl-10_000 {
					t.Errorf("%d ms to live, want %d", left, ttl)
				}
			})
		}
	})
}

// C5, B3: whatever a request with the old token does, before, during or after a sign-in, the browser ends with the new
// one.
func TestBrowserEndsWithTheTokenOfTheSignIn(t *testing.T) {
	t.Parallel()
	for work, do := range testkit.SlowWorks() {
		for _, order := range []string{"the old request ends last", "the sign-in ends last", "the old request comes late"} {
			t.Run(work+", "+order, func(t *testing.T) {
				b, _ := testkit.MiniRedis(t)
				manager := testkit.NewManager(t, session.Config{Store: b.Store})
				waiting := testkit.NewGate()
				old, signIn := waiting.Wait, func() {}
				if order == "the sign-in ends last" {
					old, signIn = signIn, old
				}
				browser := testkit.NewBrowser(t, testkit.Serve(t, manager.Handler(testkit.Routes{
					"/begin": func(w http.ResponseWriter, r *http.Request) { _ = testkit.Load(t, r).Set("n", 1) },
					"/old": func(w http.ResponseWriter, r *http.Request) {
						s := testkit.Load(t, r)
						old()
						do(w, s)
					},
					"/sign-in": func(w http.ResponseWriter, r *http.Request) {
						s := testkit.Load(t, r)
						signIn()
						if err := s.SignIn(session.SignIn{User: "alice"}); err != nil {
							t.Error(err)
						}
					},
					"/who": func(w http.ResponseWriter, r *http.Request) {
						fmt.Fprint(w, testkit.Load(t, r).User())
					},
				})))
				browser.Get("/begin")
				planted := browser.Token()
				var signedIn testkit.Answer
				switch order {
				case "the old request ends last":
					done := browser.Start("/old")
					<-waiting.Reached
					signedIn = browser.Get("/sign-in")
					close(waiting.Open)
					<-done
				case "the sign-in ends last":
					done := browser.Start("/sign-in")
					<-waiting.Reached
					browser.Get("/old")
					close(waiting.Open)
					signedIn = <-done
				default:
					signedIn = browser.Get("/sign-in")
					late := testkit.Request(t, manager, testkit.Carrying(planted), func(w http.ResponseWriter, _ *http.Request, s *session.Session) { do(w, s) })
					if late.Header.Get("Set-Cookie") != "" {
						t.Errorf("Set-Cookie: %s", late.Header.Get("Set-Cookie"))
					}
				}
				if token := browser.Token(); token == "" || token == planted || !strings.Contains(signedIn.SetCookie(), "="+token+";") {
					t.Errorf("the browser has %q, it was sent %q", token, signedIn.SetCookie())
				}
				if got := browser.Get("/who"); got.Text != "alice" {
					t.Errorf("signed in as %q", got.Text)
				}
			})
		}
	}
}

// CVE-2023-20862: a session without values is not one without changes.
func TestEmptiedSessionIsSaved(t *testing.T) {
	t.Parallel()
	testkit.OnEachRedis(t, func(t *testing.T, b testkit.Backend) {
		for name, empty := range map[string]func(s *session.Session){
			"Delete": func(s *session.Session) { s.Delete("user") },
			"Clear":  func(s *session.Session) { s.Clear() },
			"Pop":    func(s *session.Session) { user.Pop(s) },
			"Key":    func(s *session.Session) { user.Delete(s) },
		} {
			t.Run(name, func(t *testing.T) {
				manager := testkit.NewManager(t, session.Config{Store: b.Store})
				cookies, id := testkit.Begin(t, manager, map[string]any{"user": "alice"})
				testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { empty(s) })
				if got := testkit.Values(t, manager, cookies); got != "{}" {
					t.Errorf("the next request sees %s", got)
				}
				if form := regexp.MustCompile(`^\{"_rev":"[A-Za-z0-9_-]{16}"\}$`); !form.MatchString(b.Get(t, id)) {
					t.Errorf("stored %s", b.Get(t, id))
				}
			})
		}
	})
}
