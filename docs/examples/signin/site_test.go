package main

import (
	"net/http/httptest"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/docs/examples/internal/visit"
	"github.com/sessionkv/session/redisstore"
)

// A site is the example over HTTPS, as the cookie demands, and its Redis.
type site struct {
	t      *testing.T
	server *httptest.Server
	redis  *miniredis.Miniredis
}

func newSite(t *testing.T) *site {
	t.Helper()
	redis := miniredis.RunT(t)
	store, err := redisstore.Open(redis.Addr(), redisstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	sessions, err := session.New(session.Config{Store: store})
	if err != nil {
		t.Fatal(err)
	}
	accounts := newPasswords(1)
	for name, password := range secrets {
		if err := accounts.set(name, password); err != nil {
			t.Fatal(err)
		}
	}
	server := httptest.NewTLSServer(routes(sessions, accounts))
	t.Cleanup(server.Close)
	return &site{t, server, redis}
}

func (s *site) wantEmptyRedis() {
	s.t.Helper()
	if keys := s.redis.Keys(); len(keys) != 0 {
		s.t.Errorf("Redis has %q, want nothing", keys)
	}
}

func (s *site) browser() browser {
	s.t.Helper()
	return browser{visit.NewBrowser(s.t, s.server)}
}

// A browser knows the users' passwords.
type browser struct{ *visit.Browser }

func (b browser) signIn(name string) {
	b.Post("/sign-in", "name", name, "password", secrets[name]).WantRedirect("/")
}
