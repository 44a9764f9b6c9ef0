package session_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/internal/testkit"
	"github.com/sessionkv/session/memstore"
)

// A client keeps its token itself, as a mobile app does.
type client struct {
	manager *session.Manager
	token   string
}

// do makes a request with these headers and the token's.
func (c *client) do(header http.Header, f func(w http.ResponseWriter, r *http.Request, s *session.Session)) *http.Response {
	r := httptest.NewRequest(http.MethodPost, "https://example.com/", nil)
	for name, values := range header {
		r.Header[name] = values
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	w := httptest.NewRecorder()
	c.manager.HandlerFunc(f).ServeHTTP(w, r)
	return w.Result()
}

// take makes a request of a handler that hands over the token.
func (c *client) take(t *testing.T, f func(s *session.Session) error) *http.Response {
	t.Helper()
	return c.do(nil, func(_ http.ResponseWriter, r *http.Request, s *session.Session) {
		if err := f(s); err != nil {
			t.Error(err)
		}
		token, err := s.Token(r.Context())
		if err != nil {
			t.Error(err)
		}
		if token != "" {
			c.token = token
		}
	})
}

func (c *client) user() (user string) {
	c.do(nil, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { user = s.User() })
	return user
}

func newClient(t *testing.T) *client {
	return &client{manager: testkit.NewManager(t, session.Config{Store: new(memstore.Store), Bearer: true})}
}

func signInAlice(s *session.Session) error { return s.SignIn(session.SignIn{User: "alice"}) }

func TestBearerSignsInRenewsAndSignsOut(t *testing.T) {
	c := newClient(t)
	response := c.take(t, signInAlice)
	first := c.token
	if len(first) != 43 || len(response.Cookies()) != 0 || response.Header.Get("Cache-Control") != "no-store" || response.Header.Get("Vary") != "Authorization" {
		t.Errorf("%d characters, headers %v", len(first), response.Header)
	}
	for _, values := range response.Header {
		if strings.Contains(strings.Join(values, " "), first) {
			t.Errorf("the token is in the header: %v", response.Header)
		}
	}
	if got := c.user(); got != "alice" {
		t.Errorf("user %q", got)
	}
	response = c.take(t, func(*session.Session) error { return nil })
	if c.token != first || response.Header.Get("Cache-Control") != "private" {
		t.Errorf("a request that changes nothing: headers %v", response.Header)
	}
	c.take(t, func(s *session.Session) error { return s.Renew() })
	if c.token == first || c.user() != "alice" {
		t.Error("the renewed token leads to nothing, or is the old one")
	}
	old := &client{c.manager, first}
	if response := old.do(nil, func(http.ResponseWriter, *http.Request, *session.Session) {}); response.StatusCode != 503 || response.Header.Get("Retry-After") != "1" {
		t.Errorf("the old token: status %d", response.StatusCode)
	}
	c.take(t, func(s *session.Session) error { s.Destroy(); return nil })
	if got := c.user(); got != "" {
		t.Errorf("after Destroy user %q", got)
	}
}

// RFC 6750, section 2.1, and the rule that a Manager takes its tokens from one place.
func TestBearerIsTakenFromItsHeaderAlone(t *testing.T) {
	c := newClient(t)
	c.take(t, signInAlice)
	token := c.token
	c.token = ""
	for name, test := range map[string]struct {
		header http.Header
		want   string
	}{
		"Bearer":                 {http.Header{"Authorization": {"Bearer " + token}}, "alice"},
		"bearer":                 {http.Header{"Authorization": {"bearer " + token}}, "alice"},
		"two spaces":             {http.Header{"Authorization": {"Bearer  " + token}}, "alice"},
		"Basic":                  {http.Header{"Authorization": {"Basic " + token}}, ""},
		"no scheme":              {http.Header{"Authorization": {token}}, ""},
		"nothing behind it":      {http.Header{"Authorization": {"Bearer"}}, ""},
		"more behind it":         {http.Header{"Authorization": {"Bearer " + token + " x"}}, ""},
		"two headers":            {http.Header{"Authorization": {"Bearer " + token, "Bearer " + token}}, ""},
		"a cookie":               {http.Header{"Cookie": {"__Host-session=" + token, "session=" + token}}, ""},
		"a proxy's header":       {http.Header{"Proxy-Authorization": {"Bearer " + token}}, ""},
		"from another site":      {http.Header{"Authorization": {"Bearer " + token}, "Sec-Fetch-Site": {"cross-site"}}, "alice"},
		"a header of the cookie": {http.Header{"Session": {token}, "X-Auth-Token": {token}}, ""},
	} {
		c.do(test.header, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
			if got := s.User(); got != test.want {
				t.Errorf("%s: user %q", name, got)
			}
		})
	}
	cookies := testkit.NewManager(t, session.Config{Store: new(memstore.Store)})
	d := testkit.NewDevice(t, cookies)
	d.SignIn("alice")
	byHeader := &client{cookies, d.Cookies[0].Value}
	byHeader.do(nil, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		if s.User() != "" {
			t.Error("a Manager with a cookie takes the header")
		}
	})
}

// A request of another site cannot carry the header unless CORS allows it, so it may begin a session.
func TestBearerSignInFromAnotherOrigin(t *testing.T) {
	c := newClient(t)
	response := c.do(http.Header{"Sec-Fetch-Site": {"cross-site"}, "Sec-Fetch-Mode": {"cors"}}, func(_ http.ResponseWriter, r *http.Request, s *session.Session) {
		err := signInAlice(s)
		if _, tokenErr := s.Token(r.Context()); err != nil || tokenErr != nil {
			t.Error(err, tokenErr)
		}
	})
	if response.StatusCode != 200 {
		t.Errorf("status %d", response.StatusCode)
	}
}

func TestUnauthorizedAsksForAToken(t *testing.T) {
	c := newClient(t)
	unauthorized := func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		if s.User() == "" {
			http.Error(w, "sign in", http.StatusUnauthorized)
		}
	}
	if got := c.do(nil, unauthorized).Header["Www-Authenticate"]; len(got) != 1 || got[0] != `Bearer realm="session"` {
		t.Errorf("without a token: %q", got)
	}
	c.token = "unknown"
	if got := c.do(nil, unauthorized).Header["Www-Authenticate"]; len(got) != 1 || got[0] != `Bearer realm="session", error="invalid_token"` {
		t.Errorf("with an unknown token: %q", got)
	}
	own := func(w http.ResponseWriter, _ *http.Request, _ *session.Session) {
		w.Header().Set("WWW-Authenticate", "DPoP")
		w.WriteHeader(http.StatusUnauthorized)
	}
	if got := c.do(nil, own).Header["Www-Authenticate"]; len(got) != 1 || got[0] != "DPoP" {
		t.Errorf("of the handler's own: %q", got)
	}
	other := testkit.NewManager(t, session.Config{Store: new(memstore.Store)})
	if got := (&client{manager: other}).do(nil, unauthorized).Header["Www-Authenticate"]; got != nil {
		t.Errorf("of a Manager with a cookie: %q", got)
	}
}

func TestTokenTellsWhyTheSessionWasNotSaved(t *testing.T) {
	store := new(memstore.Store)
	manager := testkit.NewManager(t, session.Config{Store: store, Bearer: true, SessionsPerUser: 1, RefuseMore: true})
	first, second := &client{manager: manager}, &client{manager: manager}
	first.take(t, signInAlice)
	second.do(nil, func(_ http.ResponseWriter, r *http.Request, s *session.Session) {
		err := signInAlice(s)
		token, tokenErr := s.Token(r.Context())
		if err != nil || !errors.Is(tokenErr, session.ErrLimit) || token != "" {
			t.Errorf("%v, %v", err, tokenErr)
		}
	})
}

// The token of a cookie is for the cookie alone: a handler that asks for it shows so in its first test.
func TestTokenOfACookiePanics(t *testing.T) {
	manager := testkit.NewManager(t, session.Config{Store: new(memstore.Store)})
	testkit.NewDevice(t, manager).Do(func(r *http.Request, s *session.Session) error {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		_, err := s.Token(r.Context())
		return err
	})
}

func TestBearerGoesWithoutACookie(t *testing.T) {
	for _, config := range []session.Config{
		{Bearer: true, Cookie: session.Cookie{InsecureHTTP: true}},
		{Bearer: true, Persistent: true},
	} {
		config.Store = new(memstore.Store)
		if _, err := session.New(config); err == nil || !strings.Contains(err.Error(), "Config.Bearer goes without Cookie") {
			t.Errorf("got %v", err)
		}
	}
}

// Browsers and apps have Managers of their own, and one list of sessions for each user.
func TestEndAllEndsCookiesAndBearersAlike(t *testing.T) {
	store := new(memstore.Store)
	c := &client{manager: testkit.NewManager(t, session.Config{Store: store, Bearer: true})}
	browsers := testkit.NewManager(t, session.Config{Store: store})
	d := testkit.NewDevice(t, browsers)
	d.SignIn("alice")
	c.take(t, signInAlice)
	if err := browsers.EndAll(t.Context(), "alice", session.ByUser); err != nil {
		t.Fatal(err)
	}
	if d.View().User != "" || c.user() != "" {
		t.Error("somebody is still signed in")
	}
}
