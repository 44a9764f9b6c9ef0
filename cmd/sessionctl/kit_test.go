package main

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/redistest"
	"github.com/sessionkv/session/internal/testkit"
	"github.com/sessionkv/session/redisstore"
)

func TestMain(m *testing.M) {
	redis.SetLogger(silent{})
	m.Run()
}

// A site is an application with sessions.
type site struct {
	t        testing.TB
	sessions *session.Manager
}

func newSite(t testing.TB, store driver.Store) *site {
	return &site{t, testkit.NewManager(t, session.Config{Store: store})}
}

// single starts a Redis and returns a site on it, and the flags that name it.
func single(t testing.TB, args ...string) (*site, *redistest.Server, []string) {
	t.Helper()
	server := redistest.Start(t, args...)
	url := "redis://" + server.Addr()
	return newSite(t, open(t, url)), server, []string{"--redis", url}
}

func open(t testing.TB, url string) *redisstore.Store {
	t.Helper()
	store, err := redisstore.Open(url, redisstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// visit begins a session of nobody.
func (s *site) visit(values map[string]any) (cookies []*http.Cookie, id string) {
	s.t.Helper()
	return testkit.Begin(s.t, s.sessions, values)
}

// signIn begins a session of a user.
func (s *site) signIn(user string, values map[string]any) (cookies []*http.Cookie, id string) {
	s.t.Helper()
	return s.change(nil, func(own *session.Session) error {
		for key, value := range values {
			if err := own.Set(key, value); err != nil {
				return err
			}
		}
		return own.SignIn(session.SignIn{User: user})
	})
}

// change is a request that changes its session. It returns what it comes with next, and the ID.
func (s *site) change(cookies []*http.Cookie, change func(own *session.Session) error) ([]*http.Cookie, string) {
	s.t.Helper()
	var own *session.Session
	response := testkit.Request(s.t, s.sessions, cookies, func(_ http.ResponseWriter, _ *http.Request, loaded *session.Session) {
		own = loaded
		if err := change(own); err != nil {
			s.t.Fatal(err)
		}
	})
	if set := response.Cookies(); len(set) > 0 {
		cookies = set
	}
	return cookies, own.ID()
}

// user returns whose session a request with these cookies has, and whether it has any values.
func (s *site) user(cookies []*http.Cookie) (user string, values bool) {
	s.t.Helper()
	s.change(cookies, func(own *session.Session) error {
		user, values = own.User(), len(own.Keys()) > 0
		return nil
	})
	return user, values
}

// A result is what one run of the program has given.
type result struct {
	t        testing.TB
	code     int
	out, err string
}

// ctl runs the program without a terminal.
func ctl(t testing.TB, flags []string, args ...string) result {
	t.Helper()
	return run(t, t.Context(), &app{in: strings.NewReader("")}, flags, args...)
}

// answered runs the program for somebody who answers.
func answered(t testing.TB, answer string, flags []string, args ...string) result {
	t.Helper()
	return run(t, t.Context(), &app{in: strings.NewReader(answer), asks: true}, flags, args...)
}

func run(t testing.TB, ctx context.Context, a *app, flags []string, args ...string) result {
	t.Helper()
	var out, err safeText
	a.out, a.err = &out, &err
	if a.width == 0 {
		a.width = defaultWidth
	}
	code := a.main(ctx, append(args, flags...))
	return result{t, code, out.String(), err.String()}
}

// want checks the exit code, that a failure is one line of stderr and nothing else, and that the texts are there.
func (r result) want(code int, texts ...string) result {
	r.t.Helper()
	if r.code != code {
		r.t.Fatalf("exit code %d, want %d\n%s%s", r.code, code, r.out, r.err)
	}
	said := r.out
	if code != 0 {
		said = r.err
		if strings.Count(r.err, "\n") != 1 || !strings.HasPrefix(r.err, "sessionctl: ") {
			r.t.Errorf("stderr is not one line:\n%s", r.err)
		}
	}
	for _, text := range texts {
		if !strings.Contains(said, text) {
			r.t.Errorf("it does not say %q:\n%s", text, said)
		}
	}
	return r
}

// lacks checks that nothing has shown a text.
func (r result) lacks(texts ...string) {
	r.t.Helper()
	for _, text := range texts {
		if strings.Contains(r.out+r.err, text) {
			r.t.Errorf("it shows %q:\n%s%s", text, r.out, r.err)
		}
	}
}

// read parses the output, which is one value of JSON.
func read[T any](r result) (v T) {
	r.t.Helper()
	r.want(0)
	decoder := json.NewDecoder(strings.NewReader(r.out))
	if err := decoder.Decode(&v); err != nil || decoder.More() {
		r.t.Fatalf("not one value of JSON: %v\n%s", err, r.out)
	}
	return v
}

// safeText is a strings.Builder for several goroutines.
type safeText struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *safeText) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeText) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// await waits until a text is there.
func (s *safeText) await(t testing.TB, text string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !strings.Contains(s.String(), text); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it does not say %q:\n%s", text, s.String())
		}
	}
}
