package main

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sessionkv/session"
)

func TestAppSignsInRenewsAndSignsOut(t *testing.T) {
	p := newService(t).phone()
	p.signIn("alice", 200)
	first := p.token
	if len(first) != 43 || time.Until(p.expires) < 7*time.Hour {
		t.Errorf("a token of %d characters, which expires at %v", len(first), p.expires)
	}
	if me := p.want("GET", "/me", 200); me.User != "alice" || me.Device != "phone" || !me.Current || me.ID == "" || me.SignedIn.IsZero() {
		t.Errorf("%+v", me)
	}
	p.want("POST", "/renew", 200)
	if p.token == first {
		t.Error("the token is still the old one")
	}
	p.want("GET", "/me", 200)
	p.want("POST", "/sign-out", 204)
	p.want("GET", "/me", 401)
	p.want("POST", "/sign-out", 204) // once more
}

func TestTokenIsInOneBodyAlone(t *testing.T) {
	p := newService(t).phone()
	p.signIn("alice", 200)
	signedIn := p.last
	for _, got := range []got{signedIn, p.do("GET", "/me", ""), p.do("GET", "/sessions", "")} {
		if got.header.Get("Cache-Control") != "no-store" || got.header.Get("Vary") != "Authorization" || got.header["Set-Cookie"] != nil {
			t.Errorf("header %v", got.header)
		}
		for _, values := range got.header {
			if strings.Contains(strings.Join(values, " "), p.token) {
				t.Errorf("the token is in the header: %v", got.header)
			}
		}
		if n := strings.Count(got.body, p.token); n > 1 || n == 1 && got.body != signedIn.body {
			t.Errorf("the token is in the body: %s", got.body)
		}
	}
}

func TestRequestsOfNobodyAreAskedForAToken(t *testing.T) {
	service := newService(t)
	for _, route := range []string{"GET /me", "POST /renew", "GET /sessions", "POST /sign-out-everywhere"} {
		for token, want := range map[string]string{"": `Bearer realm="session"`, "unknown": `Bearer realm="session", error="invalid_token"`} {
			p := service.phone()
			p.token = token
			method, path, _ := strings.Cut(route, " ")
			if got := p.do(method, path, ""); got.status != 401 || got.header.Get("WWW-Authenticate") != want || got.Error != "not signed in" {
				t.Errorf("%s with the token %q: %d, %v, %s", route, token, got.status, got.header, got.body)
			}
		}
	}
}

func TestWrongPassword(t *testing.T) {
	service := newService(t)
	p := service.phone()
	for _, name := range []string{"alice", "mallory", ""} {
		if got := p.do("POST", "/sign-in", `{"name":"`+name+`","password":"guess"}`); got.status != 403 || got.Token != "" {
			t.Errorf("%q: %d %s", name, got.status, got.body)
		}
	}
	if got := p.do("POST", "/sign-in", "name=alice"); got.status != 400 {
		t.Errorf("a form: %d %s", got.status, got.body)
	}
	if got := p.do("POST", "/sign-in", `{"name":"`+strings.Repeat("x", maxBody)+`"}`); got.status != 400 {
		t.Errorf("a large body: %d %s", got.status, got.body)
	}
}

func TestSixthDeviceIsRefused(t *testing.T) {
	service := newService(t)
	first := service.phone()
	first.signIn("alice", 200)
	for range 4 {
		service.phone().signIn("alice", 200)
	}
	sixth := service.phone()
	sixth.signIn("alice", 409)
	if sixth.token != "" {
		t.Error("it has a token")
	}
	sixth.signIn("bob", 200)
	first.signIn("alice", 200) // on a device that is signed in already
	first.want("POST", "/sign-out", 204)
	service.phone().signIn("alice", 200)
}

func TestSessionsAreListed(t *testing.T) {
	service := newService(t)
	p, other := service.phone(), service.phone()
	p.signIn("alice", 200)
	other.signIn("alice", 200)
	service.phone().signIn("bob", 200)
	got := p.do("GET", "/sessions", "")
	if n := strings.Count(got.body, `"user":"alice"`); n != 2 || strings.Contains(got.body, "bob") || strings.Count(got.body, `"current":true`) != 1 {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestSignOutEverywhereTellsTheOthersWhy(t *testing.T) {
	service := newService(t)
	p, other, bob := service.phone(), service.phone(), service.phone()
	p.signIn("alice", 200)
	other.signIn("alice", 200)
	bob.signIn("bob", 200)
	p.want("POST", "/sign-out-everywhere", 204)
	for _, p := range []*phone{p, other} {
		if got := p.want("GET", "/me", 401); got.Ended != "by_user" {
			t.Errorf("%s", got.body)
		}
	}
	bob.want("GET", "/me", 200)
}

// The sign-in has found the password right, and has no session yet, when all sessions of the user are ended.
func TestSignInWithAnOldPasswordIsRefused(t *testing.T) {
	service := newService(t)
	service.store.beginning <- func() error {
		return service.app.sessions.EndAll(t.Context(), "alice", session.CredentialChanged)
	}
	p := service.phone()
	p.signIn("alice", 403)
	if p.token != "" {
		t.Error("it has a token")
	}
}

func TestOldTokenIsToldToAskAgain(t *testing.T) {
	p := newService(t).phone()
	p.signIn("alice", 200)
	old := *p
	p.want("POST", "/renew", 200)
	if got := old.want("GET", "/me", 503); got.header.Get("Retry-After") != "1" || got.Error != "ask again with the new token" {
		t.Errorf("%v %s", got.header, got.body)
	}
}

func TestExpiredSession(t *testing.T) {
	service := newService(t)
	p := service.phone()
	p.signIn("alice", 200)
	service.store.Advance(31 * time.Minute)
	if got := p.want("GET", "/me", 401); got.Ended != "" {
		t.Errorf("%s", got.body)
	}
}

func TestStoreDownGivesNoToken(t *testing.T) {
	service := newService(t)
	service.store.beginning <- func() error { return errors.New("down") }
	p := service.phone()
	p.signIn("alice", 503)
	if p.token != "" {
		t.Error("it has a token")
	}
	if list, err := service.app.sessions.List(t.Context(), "alice"); err != nil || len(list) != 0 {
		t.Errorf("%d sessions, %v", len(list), err)
	}
	p.signIn("alice", 200)
}
