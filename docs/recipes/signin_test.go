package recipes

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"golang.org/x/oauth2"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/memstore"
)

func TestRememberedUserHasACookieThatStays(t *testing.T) {
	sessions, err := newSessions(new(memstore.Store))
	if err != nil {
		t.Fatal(err)
	}
	for remember, maxAge := range map[string]int{"on": 90 * 24 * 60 * 60, "": 0} {
		r := httptest.NewRequest("POST", "/?remember="+remember, nil)
		r.PostForm = url.Values{"remember": {remember}}
		w := httptest.NewRecorder()
		sessions.HandlerFunc(func(_ http.ResponseWriter, r *http.Request, s *session.Session) {
			if err := signIn(r, s, "alice", ""); err != nil {
				t.Error(err)
			}
		}).ServeHTTP(w, r)
		cookies := w.Result().Cookies()
		if len(cookies) != 1 || cookies[0].MaxAge > maxAge || cookies[0].MaxAge < maxAge-60 {
			t.Errorf("remember=%s: the cookies %v, want one of %d s", remember, cookies, maxAge)
		}
	}
}

func TestChangeOfPasswordEndsTheOtherSessions(t *testing.T) {
	site := newSite(t)
	password := "old"
	site.handle("/password", changePassword(func(_ context.Context, user, old, new string) error {
		if user != "alice" || old != password {
			return errors.New("wrong password")
		}
		password = new
		return nil
	}))
	here, there, other := site.signedIn("alice"), site.signedIn("alice"), site.signedIn("bob")

	here.want("/password?old=wrong&new=x", 403, "not changed")
	there.want("/account", 200, "account of alice")
	if response, _ := here.post("/password", url.Values{"old": {"old"}, "new": {"new"}}); response.StatusCode != 204 {
		t.Errorf("status %d, want 204", response.StatusCode)
	}
	here.want("/account", 200, "account of alice")
	there.want("/account", 401, "not signed in")
	other.want("/account", 200, "account of bob")
	site.browser().want("/password?old=new&new=x", 401, "not signed in")
}

// provider is an OAuth 2 server that knows one code, and wants the verifier of the challenge that it was begun with.
type provider struct{ challenge string }

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.FormValue("code") != "right" || oauth2.S256ChallengeFromVerifier(r.FormValue("code_verifier")) != p.challenge {
		http.Error(w, "refused", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	fmt.Fprint(w, `{"access_token":"alice","token_type":"bearer"}`)
}

func newOAuthSite(t *testing.T) (site, *provider) {
	p := new(provider)
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	config := &oauth2.Config{ClientID: "shop", Endpoint: oauth2.Endpoint{AuthURL: server.URL + "/auth", TokenURL: server.URL}}
	s := newSite(t)
	s.handle("/begin", begin(config))
	s.handle("/callback", callback(config, func(_ context.Context, token *oauth2.Token) (string, error) {
		return token.AccessToken, nil
	}))
	return s, p
}

// begin begins a sign-in, and returns its state and challenge.
func (b browser) begin() (state, challenge string) {
	b.t.Helper()
	response, _ := b.post("/begin", nil)
	location, err := response.Location()
	if err != nil {
		b.t.Fatal(err)
	}
	return location.Query().Get("state"), location.Query().Get("code_challenge")
}

func (b browser) wantStatus(path string, status int) {
	b.t.Helper()
	if response, body := b.post(path, nil); response.StatusCode != status {
		b.t.Errorf("%s: %d %q, want %d", path, response.StatusCode, body, status)
	}
}

func TestOAuthStateWorksOnceAndInItsBrowserAlone(t *testing.T) {
	site, provider := newOAuthSite(t)
	b, attacker := site.browser(), site.browser()
	state, challenge := b.begin()
	b.begin() // in another tab
	attacker.begin()
	provider.challenge = challenge

	b.wantStatus("/callback?code=right", 400)
	b.wantStatus("/callback?code=right&state=x", 400)
	attacker.wantStatus("/callback?code=right&state="+state, 400)
	b.wantStatus("/callback?code=right&state="+state, 303)
	b.want("/account", 200, "account of alice")
	b.wantStatus("/callback?code=right&state="+state, 400)
	attacker.want("/account", 401, "not signed in")
}

func TestRefusedCodeSignsNobodyIn(t *testing.T) {
	site, provider := newOAuthSite(t)
	b := site.browser()
	state, challenge := b.begin()
	provider.challenge = challenge
	b.wantStatus("/callback?code=wrong&state="+state, 403)
	b.want("/account", 401, "not signed in")
}
