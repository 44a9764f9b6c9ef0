package main

import (
	"strings"
	"testing"

	"github.com/sessionkv/session/docs/examples/internal/visit"
)

// secrets are the users' passwords.
var secrets = map[string]string{"alice": "wonderland", "bob": "builder"}

func TestSignInAndOut(t *testing.T) {
	site := newSite(t)
	b := site.browser()
	b.Get("/").WantRedirect("/sign-in")
	b.signIn("alice")
	b.Get("/").WantPage("<h1>alice</h1>")
	b.Post("/note", "note", "buy <tea>").WantRedirect("/")
	b.Get("/").WantPage(`value="buy &lt;tea&gt;"`)

	out := b.Post("/sign-out")
	out.WantRedirect("/sign-in")
	if cookie := out.SessionCookie(); cookie == nil || cookie.MaxAge >= 0 {
		t.Errorf("the sign-out answers with the cookie %v, want it cleared", cookie)
	}
	b.Get("/").WantRedirect("/sign-in")
	site.wantEmptyRedis()
}

func TestNoticeIsShownOnce(t *testing.T) {
	b := newSite(t).browser()
	b.signIn("alice")
	b.Get("/").WantPage("You are signed in.")
	b.Get("/").WantPageWithout("You are signed in.")
	b.Post("/note", "note", "tea").WantRedirect("/")
	b.Get("/").WantPage("Your note is kept.")
	b.Get("/").WantPageWithout("Your note is kept.")
}

func TestStrangersGetNoSession(t *testing.T) {
	site := newSite(t)
	b := site.browser()
	b.Get("/").WantRedirect("/sign-in")
	b.Get("/sign-in").WantPage(`action="/sign-in"`)
	b.Post("/note", "note", "tea").WantRedirect("/sign-in")
	b.Post("/sign-out").WantRedirect("/sign-in")
	site.wantEmptyRedis()
	if n := site.redis.CommandCount(); n != 0 {
		t.Errorf("%d commands of Redis, want none", n)
	}
}

func TestWrongPassword(t *testing.T) {
	site := newSite(t)
	b := site.browser()
	for _, try := range []struct{ why, name, password string }{
		{"a wrong password", "alice", "wonderlan"},
		{"another's password", "alice", secrets["bob"]},
		{"no password", "alice", ""},
		{"an unknown user", "mallory", secrets["alice"]},
		{"nothing", "", ""},
	} {
		refused := b.Post("/sign-in", "name", try.name, "password", try.password)
		if refused.StatusCode != 403 || !strings.Contains(refused.Body, "Wrong name or password.") || refused.SessionCookie() != nil {
			t.Errorf("%s: %d %v %q", try.why, refused.StatusCode, refused.SessionCookie(), refused.Body)
		}
	}
	b.Get("/").WantRedirect("/sign-in")
	site.wantEmptyRedis()
}

func TestWrongPasswordLeavesTheSessionAsItIs(t *testing.T) {
	b := newSite(t).browser()
	b.signIn("alice")
	token := b.Token()
	b.Post("/sign-in", "name", "bob", "password", "wrong")
	b.Get("/").WantPage("<h1>alice</h1>")
	if b.Token() != token {
		t.Error("the cookie has changed")
	}
}

// Session fixation: an attacker plants the cookie of a session of their own, and waits for the victim to sign in.
func TestPlantedCookieGainsNothing(t *testing.T) {
	site := newSite(t)
	attacker, victim := site.browser(), site.browser()
	attacker.signIn("bob")
	victim.Plant(attacker.Token())
	victim.Get("/").WantPage("<h1>bob</h1>")

	victim.signIn("alice")
	victim.Get("/").WantPage("<h1>alice</h1>")
	if victim.Token() == attacker.Token() {
		t.Error("the sign-in kept the cookie")
	}
	attacker.Get("/").WantAskAgain()
}

func TestSigningInAgainEndsTheOldCookie(t *testing.T) {
	site := newSite(t)
	b, old := site.browser(), site.browser()
	b.signIn("alice")
	b.Post("/note", "note", "tea").WantRedirect("/")
	old.Plant(b.Token())
	b.signIn("alice")
	b.Get("/").WantPage(`value="tea"`)
	old.Get("/").WantAskAgain()
}

func TestSignedOutCookieLeadsNowhere(t *testing.T) {
	site := newSite(t)
	b, replay := site.browser(), site.browser()
	b.signIn("alice")
	replay.Plant(b.Token())
	replay.Get("/").WantPage("<h1>alice</h1>")
	b.Post("/sign-out").WantRedirect("/sign-in")
	replay.Get("/").WantRedirect("/sign-in")
	replay.Post("/note", "note", "tea").WantRedirect("/sign-in")
	site.wantEmptyRedis()
}

func TestUsersDoNotGetEachOthersNotes(t *testing.T) {
	site := newSite(t)
	shared, own := site.browser(), site.browser()
	shared.signIn("alice")
	shared.Post("/note", "note", "of alice").WantRedirect("/")
	own.signIn("bob")
	own.Post("/note", "note", "of bob").WantRedirect("/")
	shared.Get("/").WantPage(`value="of alice"`)

	shared.signIn("bob") // where alice has not signed out
	shared.Get("/").WantPage("<h1>bob</h1>")
	shared.Get("/").WantPage(`value=""`)
	own.Get("/").WantPage(`value="of bob"`)
}

func TestRequestsOfOtherSitesAreRefused(t *testing.T) {
	site := newSite(t)
	b := site.browser()
	b.signIn("alice")
	b.Get("/")
	before := site.redis.CommandCount()
	for name, value := range map[string]string{
		"Sec-Fetch-Site": "cross-site",
		"Origin":         "https://attacker.example", // what older browsers say
	} {
		for path, form := range map[string][]string{
			"/sign-in":  {"name", "bob", "password", secrets["bob"]},
			"/note":     {"note", "planted"},
			"/sign-out": nil,
		} {
			request := b.Request("POST", path, form...)
			request.Header.Del("Sec-Fetch-Site")
			request.Header.Set(name, value)
			if refused := b.Do(request); refused.StatusCode != 403 || refused.SessionCookie() != nil {
				t.Errorf("POST %s with %s: %d %v, want 403", path, name, refused.StatusCode, refused.SessionCookie())
			}
		}
	}
	if n := site.redis.CommandCount() - before; n != 0 {
		t.Errorf("%d commands of Redis, want none", n)
	}
	b.Get("/").WantPage("<h1>alice</h1>")
	b.Get("/").WantPage(`value=""`)
}

func TestSlowRequestDoesNotBringTheSessionBack(t *testing.T) {
	site := newSite(t)
	b := site.browser()
	b.signIn("alice")
	finish := b.StartSlowly("/note", "note", "late")
	b.Post("/sign-out").WantRedirect("/sign-in")
	if late := finish(); late.SessionCookie() != nil {
		t.Errorf("the late response sets the cookie %v", late.SessionCookie())
	}
	site.wantEmptyRedis()
	b.Get("/").WantRedirect("/sign-in")
}

func TestSlowRequestDoesNotReachTheNextUser(t *testing.T) {
	b := newSite(t).browser()
	b.signIn("alice")
	finish := b.StartSlowly("/note", "note", "of alice")
	b.signIn("bob")
	if late := finish(); late.SessionCookie() != nil {
		t.Errorf("the late response sets the cookie %v", late.SessionCookie())
	}
	b.Get("/").WantPage("<h1>bob</h1>")
	b.Get("/").WantPage(`value=""`)
}

func TestTooLargeFormIsRefused(t *testing.T) {
	b := newSite(t).browser()
	b.signIn("alice")
	b.Post("/note", "note", "tea").WantRedirect("/")
	if refused := b.Post("/note", "note", strings.Repeat("x", maxBody)); refused.StatusCode != 400 {
		t.Errorf("status %d, want 400", refused.StatusCode)
	}
	b.Get("/").WantPage(`value="tea"`)
}

// That Redis is down does not mean that nobody is signed in.
func TestRedisDown(t *testing.T) {
	site := newSite(t)
	b := site.browser()
	b.signIn("alice")
	token := b.Token()
	site.redis.SetError("LOADING Redis is loading the dataset in memory")
	for _, failed := range []visit.Answer{
		b.Get("/"),
		b.Post("/sign-out"),
		b.Post("/sign-in", "name", "bob", "password", secrets["bob"]),
		site.browser().Post("/sign-in", "name", "bob", "password", secrets["bob"]), // without a cookie, so the save fails
	} {
		if failed.StatusCode != 503 || failed.SessionCookie() != nil {
			t.Errorf("%s: %d %v, want 503", failed.Request.URL, failed.StatusCode, failed.SessionCookie())
		}
	}
	site.redis.SetError("")
	b.Get("/").WantPage("<h1>alice</h1>")
	if b.Token() != token {
		t.Error("the cookie has changed")
	}
}
