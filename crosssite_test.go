package session_test

import (
	"errors"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/testkit"
)

// A request of another site to which the browser adds no cookie begins no session.
func TestSessionBegunByAnotherSite(t *testing.T) {
	lax, strict, none := session.Cookie{}, session.Cookie{SameSite: http.SameSiteStrictMode}, session.Cookie{SameSite: http.SameSiteNoneMode}
	for name, test := range map[string]struct {
		cookie                   session.Cookie
		method, site, mode, dest string
		refused                  bool
	}{
		"no Fetch Metadata":           {lax, "POST", "", "", "", false},
		"a form of one's own":         {lax, "POST", "same-origin", "navigate", "document", false},
		"a form of a sibling host":    {lax, "POST", "same-site", "navigate", "document", false},
		"typed by the user":           {lax, "GET", "none", "navigate", "document", false},
		"a link":                      {lax, "GET", "cross-site", "navigate", "document", false},
		"a form of another site":      {lax, "POST", "cross-site", "navigate", "document", true},
		"a frame in another site":     {lax, "GET", "cross-site", "navigate", "iframe", true},
		"an image in another site":    {lax, "GET", "cross-site", "no-cors", "image", true},
		"a fetch of another site":     {lax, "GET", "cross-site", "cors", "empty", true},
		"Strict: a link":              {strict, "GET", "cross-site", "navigate", "document", true},
		"Strict: a form of one's own": {strict, "POST", "same-origin", "navigate", "document", false},
		"None: a form":                {none, "POST", "cross-site", "navigate", "document", false},
	} {
		t.Run(name, func(t *testing.T) {
			store := testkit.NewMemory()
			manager := testkit.NewManager(t, session.Config{Store: store, Cookie: test.cookie})
			serve := func(handler func(s *session.Session), cookies ...*http.Cookie) *http.Response {
				r := httptest.NewRequest(test.method, "https://example.com/", nil)
				for key, value := range map[string]string{"Sec-Fetch-Site": test.site, "Sec-Fetch-Mode": test.mode, "Sec-Fetch-Dest": test.dest} {
					if value != "" {
						r.Header.Set(key, value)
					}
				}
				for _, cookie := range cookies {
					r.AddCookie(cookie)
				}
				w := httptest.NewRecorder()
				manager.HandlerFunc(func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { handler(s) }).ServeHTTP(w, r)
				return w.Result()
			}
			response := serve(func(s *session.Session) {
				for call, err := range map[string]error{
					"Set": s.Set("n", 1), "Update": visits.Update(s, func(n int) int { return n + 1 }), "Renew": s.Renew(),
				} {
					if errors.Is(err, session.ErrCrossSite) != test.refused {
						t.Errorf("%s: %v", call, err)
					}
				}
			})
			if begun := len(response.Cookies()) > 0; begun == test.refused {
				t.Errorf("cookies %v", response.Cookies())
			}
			response = serve(func(s *session.Session) {
				s.AllowCrossSite()
				if err := errors.Join(s.Renew(), s.Set("n", 1)); err != nil {
					t.Errorf("allowed: %v", err)
				}
			})
			if len(response.Cookies()) != 1 {
				t.Fatalf("allowed: cookies %v", response.Cookies())
			}
			serve(func(s *session.Session) { // the cookie is there, so it was not kept back
				if err := errors.Join(s.Renew(), s.Set("n", 2)); err != nil {
					t.Errorf("with a session: %v", err)
				}
			}, response.Cookies()...)
		})
	}
}

// Of two living sessions that come together, none is used. Whoever signs in then is in, and stays in; both old ones
// end, and so does the cookie of the other scope, which else would come again.
func TestSignInWithTwoLivingSessions(t *testing.T) {
	for name, test := range map[string]struct {
		cookie session.Cookie
		twin   string // the Domain of the other cookie
	}{
		"host-only, the twin has a Domain":        {session.Cookie{Name: "session"}, "example.com"},
		"host-only, the twin is of a parent":      {session.Cookie{Name: "session"}, "example.com"},
		"with a Domain, the twin is of this host": {session.Cookie{Name: "session", Domain: "example.com"}, ""},
	} {
		for work, handler := range map[string]func(s *session.Session){
			"Renew and Set": func(s *session.Session) { _ = errors.Join(s.Renew(), user.Set(s, "alice")) },
			"Set":           func(s *session.Session) { _ = user.Set(s, "alice") },
			"Destroy":       func(s *session.Session) { s.Destroy() },
		} {
			t.Run(name+", "+work, func(t *testing.T) {
				store := &testkit.FaultyStore{Store: testkit.NewMemory()}
				manager := testkit.NewManager(t, session.Config{Store: store, Cookie: test.cookie, Logger: new(testkit.Logs).Logger()})
				one, oneID := testkit.Begin(t, manager, map[string]any{"who": "one"})
				two, twoID := testkit.Begin(t, manager, map[string]any{"who": "two"})
				jar, _ := cookiejar.New(nil)
				page, _ := url.Parse("https://www.example.com/")
				one[0].Domain, two[0].Domain = test.cookie.Domain, test.twin
				jar.SetCookies(page, append(one, two...))

				visit := func(handler func(s *session.Session)) {
					r := httptest.NewRequest("POST", page.String(), nil)
					for _, cookie := range jar.Cookies(page) {
						r.AddCookie(cookie)
					}
					w := httptest.NewRecorder()
					manager.HandlerFunc(func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { handler(s) }).ServeHTTP(w, r)
					jar.SetCookies(page, w.Result().Cookies())
				}
				visit(func(s *session.Session) {
					if keys := s.Keys(); len(keys) > 0 {
						t.Errorf("keys %q", keys)
					}
					handler(s)
				})
				for _, id := range []string{oneID, twoID} {
					if _, err := store.Load(t.Context(), id, 1e9); !errors.Is(err, driver.ErrNotFound) {
						t.Errorf("an old session lives: %v", err)
					}
				}
				visit(func(s *session.Session) {
					if got, ok := user.Get(s); work != "Destroy" && got != "alice" || ok == (work == "Destroy") {
						t.Errorf("signed in as %q", got)
					}
				})
				if n := len(jar.Cookies(page)); n > 1 || work == "Destroy" && n > 0 {
					t.Errorf("the browser has %d cookies", n)
				}
			})
		}
	}
}

// A read of a request with two living sessions ends neither.
func TestReadingEndsNoneOfTwoLivingSessions(t *testing.T) {
	store := testkit.NewMemory()
	manager := testkit.NewManager(t, session.Config{Store: store, Logger: new(testkit.Logs).Logger()})
	one, _ := testkit.Begin(t, manager, map[string]any{"who": "one"})
	two, _ := testkit.Begin(t, manager, map[string]any{"who": "two"})
	response := testkit.Request(t, manager, append(one, two...), func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		s.Keys()
		_ = s.Set("n", 1)
		s.Discard()
	})
	if len(response.Cookies()) > 0 {
		t.Errorf("cookies %v", response.Cookies())
	}
	if a, b := testkit.Values(t, manager, one), testkit.Values(t, manager, two); a != `{"who":"one"}` || b != `{"who":"two"}` {
		t.Errorf("stored %s and %s", a, b)
	}
}

// If an old session cannot be ended, the sign-in fails, and nothing begins.
func TestSignInThatCannotEndTheOldSessionsFails(t *testing.T) {
	memory := testkit.NewMemory()
	store := &testkit.FaultyStore{Store: memory}
	manager := testkit.NewManager(t, session.Config{Store: store, Logger: new(testkit.Logs).Logger()})
	one, _ := testkit.Begin(t, manager, map[string]any{"who": "one"})
	two, _ := testkit.Begin(t, manager, map[string]any{"who": "two"})
	store.OnDelete = func() error { return errors.New("down") }
	response := testkit.Request(t, manager, append(one, two...), func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		_ = user.Set(s, "alice")
	})
	if response.StatusCode != 503 || len(response.Cookies()) > 0 || len(memory.Stored()) != 2 {
		t.Errorf("status %d, cookies %v, %d sessions", response.StatusCode, response.Cookies(), len(memory.Stored()))
	}
}

// The cookie of a name with the prefix __Host- has no twin with a Domain, so that none is cleared.
func TestHostCookieHasNoTwin(t *testing.T) {
	manager := testkit.NewManager(t, session.Config{Store: testkit.NewMemory(), Logger: new(testkit.Logs).Logger()})
	one, _ := testkit.Begin(t, manager, map[string]any{"who": "one"})
	two, _ := testkit.Begin(t, manager, map[string]any{"who": "two"})
	response := testkit.Request(t, manager, append(one, two...), func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		_ = user.Set(s, "alice")
	})
	if lines := response.Header["Set-Cookie"]; len(lines) != 1 || strings.Contains(lines[0], "Domain") {
		t.Errorf("Set-Cookie: %q", lines)
	}
}
