package main

import (
	"context"
	"maps"
	"net/http/httptest"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/docs/examples/internal/visit"
	"github.com/sessionkv/session/memstore"
)

// secrets are the users' passwords.
var secrets = map[string]string{"alice": "wonderland", "bob": "builder", operator: "olives and oil"}

const (
	firefox = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0"
	phone   = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36"
)

// A store is one in memory that counts what it is asked.
type store struct {
	memstore.Store
	beginning chan func() error // is called before the next session begins

	mu      sync.Mutex
	saves   int
	stamped map[string]bool // users
}

func (s *store) Save(ctx context.Context, id string, was, value []byte, ttl time.Duration) ([]byte, error) {
	s.mu.Lock()
	s.saves++
	s.mu.Unlock()
	if was == nil {
		select {
		case f := <-s.beginning:
			if err := f(); err != nil {
				return nil, err
			}
		default:
		}
	}
	return s.Store.Save(ctx, id, was, value, ttl)
}

func (s *store) Stamp(ctx context.Context, user string) (string, error) {
	s.mu.Lock()
	s.stamped[user] = true
	s.mu.Unlock()
	return s.Store.Stamp(ctx, user)
}

func (s *store) saved() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.saves
}

func (s *store) stamps() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.stamped))
}

// A site is the example over HTTPS, as the cookie demands, and its store.
type site struct {
	t      *testing.T
	server *httptest.Server
	store  *store
}

func newApp(t *testing.T, insecureHTTP bool) (*app, *store) {
	t.Helper()
	store := &store{beginning: make(chan func() error, 1), stamped: map[string]bool{}}
	sessions, err := session.New(config(store, insecureHTTP))
	if err != nil {
		t.Fatal(err)
	}
	accounts := newPasswords(1)
	for name, password := range secrets {
		if err := accounts.set(name, password); err != nil {
			t.Fatal(err)
		}
	}
	return &app{sessions, accounts, time.Hour}, store
}

func newSite(t *testing.T) *site {
	t.Helper()
	a, store := newApp(t, false)
	return serve(t, a, store)
}

func serve(t *testing.T, a *app, store *store) *site {
	server := httptest.NewTLSServer(a.routes())
	t.Cleanup(server.Close)
	return &site{t, server, store}
}

// A browser is of a kind.
type browser struct {
	*visit.Browser
	t         *testing.T
	userAgent string
}

func (s *site) browser(userAgent string) browser {
	return browser{visit.NewBrowser(s.t, s.server), s.t, userAgent}
}

// signedIn returns a browser that has signed in.
func (s *site) signedIn(name, userAgent string, more ...string) browser {
	s.t.Helper()
	b := s.browser(userAgent)
	b.signIn(name, more...).WantRedirect("/")
	return b
}

func (b browser) signIn(name string, more ...string) visit.Answer {
	b.t.Helper()
	request := b.Request("POST", "/sign-in", append([]string{"name", name, "password", secrets[name]}, more...)...)
	request.Header.Set("User-Agent", b.userAgent)
	return b.Do(request)
}

// wantOut wants the browser to be signed out, and to be told why.
func (b browser) wantOut(why string) {
	b.t.Helper()
	b.Get("/").WantRedirect("/sign-in")
	b.Get("/sign-in").WantPage(why)
}

var idOf = regexp.MustCompile(`name="id" value="([^"]+)"`)

// ids returns the IDs that a page has a button for.
func ids(page visit.Answer) (all []string) {
	for _, match := range idOf.FindAllStringSubmatch(page.Body, -1) {
		all = append(all, match[1])
	}
	return all
}
