// Package sessiontest helps to test handlers that use a session, without Redis and without a browser.
//
//	func TestAccount(t *testing.T) {
//		sessions := sessiontest.New(t)
//		r := httptest.NewRequest("GET", "/account", nil)
//		sessiontest.Do(t, sessions, r, func(s *session.Session) error {
//			return s.SignIn(session.SignIn{User: "alice"})
//		})
//		w := httptest.NewRecorder()
//		routes(sessions).ServeHTTP(w, r)
//		...
//	}
package sessiontest

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/memstore"
)

// New returns a Manager whose sessions are in memory, for one test. Its cookie goes over plain HTTP too, so that it
// works with [httptest.NewServer], and it logs to tb. For other settings call session.New with a [memstore.Store],
// whose Advance makes time pass.
func New(tb testing.TB) *session.Manager {
	tb.Helper()
	manager, err := session.New(session.Config{
		Store:  new(memstore.Store),
		Cookie: session.Cookie{InsecureHTTP: true},
		Logger: slog.New(slog.NewTextHandler(tb.Output(), nil)),
	})
	if err != nil {
		tb.Fatal(err)
	}
	return manager
}

// Do calls fn with the session of r, as a handler of sessions would get it, and saves what fn has changed. Call it
// before the handler under test to prepare the session: r has the cookie afterwards. Call it after the handler to look
// at what the handler has stored. If the handler has begun the session or given it a new token, as a sign-in does, r
// leads to no session: call Do with a new request that has the cookies of the handler's response.
//
// An error of fn, of the load or of the save ends the test. Call Do from the goroutine of the test.
func Do(tb testing.TB, sessions *session.Manager, r *http.Request, fn func(s *session.Session) error) {
	tb.Helper()
	request := httptest.NewRequestWithContext(tb.Context(), http.MethodGet, r.URL.String(), nil)
	request.Host = r.Host
	request.Header["Cookie"] = r.Header["Cookie"]
	var failure error
	handler := sessions.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		s, err := sessions.Load(r.Context())
		if err == nil {
			err = fn(s)
		}
		if err == nil {
			err = s.Sync(r.Context())
		}
		failure = err
	}))
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, request)
	if failure != nil {
		tb.Fatalf("sessiontest.Do: %v", failure)
	}
	for _, cookie := range w.Result().Cookies() {
		replace(r, cookie)
	}
}

// replace gives r a cookie in the place of those of its name, as a browser does, or takes them away.
func replace(r *http.Request, cookie *http.Cookie) {
	others := slices.DeleteFunc(r.Cookies(), func(c *http.Cookie) bool { return c.Name == cookie.Name })
	r.Header.Del("Cookie")
	for _, other := range others {
		r.AddCookie(other)
	}
	if cookie.MaxAge >= 0 {
		r.AddCookie(cookie)
	}
}
