// Package testkit is what the tests of sessions have in common: requests without a network, browsers with one, stores
// that fail or tell what they were asked, and a Redis to look into.
package testkit

import (
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/sessionkv/session"
)

// NewManager is session.New where a failure ends the test. It logs nothing, unless config has a Logger.
func NewManager(t testing.TB, config session.Config) *session.Manager {
	t.Helper()
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	manager, err := session.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return manager
}

// Load is session.Load where a failure ends the request, and fails the test.
func Load(t testing.TB, r *http.Request) *session.Session {
	t.Helper()
	s, err := session.Load(r.Context())
	if err != nil {
		t.Errorf("Load: %v", err)
		panic(http.ErrAbortHandler)
	}
	return s
}

// Request makes one request of a handler that gets its session, and returns the response.
func Request(t testing.TB, manager *session.Manager, cookies []*http.Cookie, handler func(w http.ResponseWriter, r *http.Request, s *session.Session)) *http.Response {
	t.Helper()
	r := httptest.NewRequest("GET", "https://example.com/", nil)
	for _, cookie := range cookies {
		r.AddCookie(cookie)
	}
	w := httptest.NewRecorder()
	manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler(w, r, Load(t, r))
	})).ServeHTTP(w, r)
	return w.Result()
}

// Begin makes a session with these values and returns its cookies and ID.
func Begin(t testing.TB, manager *session.Manager, values map[string]any) (cookies []*http.Cookie, id string) {
	t.Helper()
	var s *session.Session
	response := Request(t, manager, nil, func(_ http.ResponseWriter, _ *http.Request, created *session.Session) {
		s = created
		for _, key := range slices.Sorted(maps.Keys(values)) {
			if err := s.Set(key, values[key]); err != nil {
				t.Fatal(err)
			}
		}
	})
	if s.ID() == "" {
		t.Fatal("no session was created")
	}
	return response.Cookies(), s.ID()
}

// Values returns the session's values as the next request sees them.
func Values(t testing.TB, manager *session.Manager, cookies []*http.Cookie) string {
	t.Helper()
	var text []byte
	Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		text = s.JSON()
	})
	return string(text)
}

// SlowWorks are what a slow request can do after its session has ended, by names that say it.
func SlowWorks() map[string]func(w http.ResponseWriter, s *session.Session) {
	const visits = session.Key[int]("visits")
	return map[string]func(w http.ResponseWriter, s *session.Session){
		"reads":  func(_ http.ResponseWriter, s *session.Session) { s.Keys() },
		"writes": func(_ http.ResponseWriter, s *session.Session) { _ = s.Set("late", 1) },
		"updates": func(_ http.ResponseWriter, s *session.Session) {
			_ = visits.Update(s, func(n int) int { return n + 1 })
		},
		"deletes":                  func(_ http.ResponseWriter, s *session.Session) { s.Delete("user") },
		"clears":                   func(_ http.ResponseWriter, s *session.Session) { s.Clear() },
		"renews":                   func(_ http.ResponseWriter, s *session.Session) { _ = s.Renew() },
		"destroys":                 func(_ http.ResponseWriter, s *session.Session) { s.Destroy() },
		"writes after the headers": func(w http.ResponseWriter, s *session.Session) { w.WriteHeader(200); _ = s.Set("late", 1) },
		"writes before and after": func(w http.ResponseWriter, s *session.Session) {
			_ = s.Set("a", 1)
			w.WriteHeader(200)
			_ = s.Set("b", 1)
		},
	}
}
