package main

import (
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/boltstore"
	"github.com/sessionkv/session/docs/examples/internal/visit"
)

const password = "correct horse battery staple"

// start serves with the file at path until stop is called.
func start(t *testing.T, path string) (b *visit.Browser, stop func()) {
	t.Helper()
	store, err := boltstore.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	sessions, err := session.New(session.Config{Store: store})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewTLSServer(routes(sessions, password))
	return visit.NewBrowser(t, server), func() {
		server.Close()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestSessionsOutliveARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sessions.db")
	b, stop := start(t, path)
	b.Get("/").WantPage("nobody is signed in\n")
	b.Post("/sign-in", "name", name, "password", password).WantRedirect("/")
	b.Get("/").WantPage("alice, visit 1\n")
	b.Get("/").WantPage("alice, visit 2\n")
	token := b.Token()
	stop()

	b, stop = start(t, path)
	b.Plant(token)
	b.Get("/").WantPage("alice, visit 3\n")
	b.Post("/sign-out").WantRedirect("/")
	stop()

	b, stop = start(t, path)
	defer stop()
	b.Plant(token)
	b.Get("/").WantPage("nobody is signed in\n")
}

func TestWrongPasswordSignsNobodyIn(t *testing.T) {
	b, stop := start(t, filepath.Join(t.TempDir(), "sessions.db"))
	defer stop()
	for _, form := range [][]string{{"name", name, "password", "wrong"}, {"name", "bob", "password", password}, nil} {
		if a := b.Post("/sign-in", form...); a.StatusCode != 403 || a.SessionCookie() != nil {
			t.Errorf("%q: %d %v", form, a.StatusCode, a.SessionCookie())
		}
	}
	b.Get("/").WantPage("nobody is signed in\n")
}

func TestSecondProcessSaysWhyItCannotStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sessions.db")
	_, stop := start(t, path)
	defer stop()
	if err := run(t.Context(), path, false); err == nil || !strings.Contains(err.Error(), path+" is in use") {
		t.Errorf("%v", err)
	}
}
