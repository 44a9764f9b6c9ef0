package main

import (
	"strings"
	"testing"
)

// secrets are the users' passwords.
var secrets = map[string]string{"alice": "wonderland", "bob": "builder"}

func TestSignInAndOut(t *testing.T) {
	site := newSite(t)
	b := site.browser()
	b.get("/").wantRedirect("/sign-in")
	b.signIn("alice")
	b.get("/").wantPage("<h1>alice</h1>")
	b.post("/note", "note", "buy <tea>").wantRedirect("/")
	b.get("/").wantPage(`value="buy &lt;tea&gt;"`)

	out := b.post("/sign-out")
	out.wantRedirect("/sign-in")
	if cookie := out.sessionCookie(); cookie == nil || cookie.MaxAge >= 0 {
		t.Errorf("the sign-out answers with the cookie %v, want it cleared", cookie)
	}
	b.get("/").wantRedirect("/sign-in")
	site.wantEmptyRedis()
}

func TestNoticeIsShownOnce(t *testing.T) {
	b := newSite(t).browser()
	b.signIn("alice")
	b.get("/").wantPage("You are signed in.")
	b.get("/").wantPageWithout("You are signed in.")
	b.post("/note", "note", "tea").wantRedirect("/")
	b.get("/").wantPage("Your note is kept.")
	b.get("/").wantPageWithout("Your note is kept.")
}

func TestStrangersGetNoSession(t *testing.T) {
	site := newSite(t)
	b := site.browser()
	b.get("/").wantRedirect("/sign-in")
	b.get("/sign-in").wantPage(`action="/sign-in"`)
	b.post("/note", "note", "tea").wantRedirect("/sign-in")
	b.post("/sign-out").wantRedirect("/sign-in")
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
		refused := b.post("/sign-in", "name", try.name, "password", try.password)
		if refused.StatusCode != 403 || !strings.Contains(refused.body, "Wrong name or password.") || refused.sessionCookie() != nil {
			t.Errorf("%s: %d %v %q", try.why, refused.StatusCode, refused.sessionCookie(), refused.body)
		}
	}
	b.get("/").wantRedirect("/sign-in")
	site.wantEmptyRedis()
}

func TestWrongPasswordLeavesTheSessionAsItIs(t *testing.T) {
	b := newSite(t).browser()
	b.signIn("alice")
	token := b.token()
	b.post("/sign-in", "name", "bob", "password", "wrong")
	b.get("/").wantPage("<h1>alice</h1>")
	if b.token() != token {
		t.Error("the cookie has changed")
	}
}

// Session fixation: an attacker plants the cookie of a session of his own, and waits for the victim to sign in.
func TestPlantedCookieGainsNothing(t *testing.T) {
	site := newSite(t)
	attacker, victim := site.browser(), site.browser()
	attacker.signIn("bob")
	victim.plant(attacker.token())
	victim.get("/").wantPage("<h1>bob</h1>")

	victim.signIn("alice")
	victim.get("/").wantPage("<h1>alice</h1>")
	if victim.token() == attacker.token() {
		t.Error("the sign-in kept the cookie")
	}
	attacker.get("/").wantRedirect("/sign-in")
}

func TestSigningInAgainEndsTheOldCookie(t *testing.T) {
	site := newSite(t)
	b, old := site.browser(), site.browser()
	b.signIn("alice")
	b.post("/note", "note", "tea").wantRedirect("/")
	old.plant(b.token())
	b.signIn("alice")
	b.get("/").wantPage(`value="tea"`)
	old.get("/").wantRedirect("/sign-in")
}

func TestSignedOutCookieLeadsNowhere(t *testing.T) {
	site := newSite(t)
	b, replay := site.browser(), site.browser()
	b.signIn("alice")
	replay.plant(b.token())
	replay.get("/").wantPage("<h1>alice</h1>")
	b.post("/sign-out").wantRedirect("/sign-in")
	replay.get("/").wantRedirect("/sign-in")
	replay.post("/note", "note", "tea").wantRedirect("/sign-in")
	site.wantEmptyRedis()
}

func TestUsersDoNotGetEachOthersNotes(t *testing.T) {
	site := newSite(t)
	shared, own := site.browser(), site.browser()
	shared.signIn("alice")
	shared.post("/note", "note", "of alice").wantRedirect("/")
	own.signIn("bob")
	own.post("/note", "note", "of bob").wantRedirect("/")
	shared.get("/").wantPage(`value="of alice"`)

	shared.signIn("bob") // where alice has not signed out
	shared.get("/").wantPage("<h1>bob</h1>")
	shared.get("/").wantPage(`value=""`)
	own.get("/").wantPage(`value="of bob"`)
}

func TestRequestsOfOtherSitesAreRefused(t *testing.T) {
	site := newSite(t)
	b := site.browser()
	b.signIn("alice")
	b.get("/")
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
			request := b.request("POST", path, form...)
			request.Header.Del("Sec-Fetch-Site")
			request.Header.Set(name, value)
			if refused := b.do(request); refused.StatusCode != 403 || refused.sessionCookie() != nil {
				t.Errorf("POST %s with %s: %d %v, want 403", path, name, refused.StatusCode, refused.sessionCookie())
			}
		}
	}
	if n := site.redis.CommandCount() - before; n != 0 {
		t.Errorf("%d commands of Redis, want none", n)
	}
	b.get("/").wantPage("<h1>alice</h1>")
	b.get("/").wantPage(`value=""`)
}

func TestSlowRequestDoesNotBringTheSessionBack(t *testing.T) {
	site := newSite(t)
	b := site.browser()
	b.signIn("alice")
	finish := b.startSlowly("/note", "note", "late")
	b.post("/sign-out").wantRedirect("/sign-in")
	if late := finish(); late.sessionCookie() != nil {
		t.Errorf("the late response sets the cookie %v", late.sessionCookie())
	}
	site.wantEmptyRedis()
	b.get("/").wantRedirect("/sign-in")
}

func TestSlowRequestDoesNotReachTheNextUser(t *testing.T) {
	b := newSite(t).browser()
	b.signIn("alice")
	finish := b.startSlowly("/note", "note", "of alice")
	b.signIn("bob")
	if late := finish(); late.sessionCookie() != nil {
		t.Errorf("the late response sets the cookie %v", late.sessionCookie())
	}
	b.get("/").wantPage("<h1>bob</h1>")
	b.get("/").wantPage(`value=""`)
}

func TestTooLargeFormIsRefused(t *testing.T) {
	b := newSite(t).browser()
	b.signIn("alice")
	b.post("/note", "note", "tea").wantRedirect("/")
	if refused := b.post("/note", "note", strings.Repeat("x", maxBody)); refused.StatusCode != 400 {
		t.Errorf("status %d, want 400", refused.StatusCode)
	}
	b.get("/").wantPage(`value="tea"`)
}

// That Redis is down does not mean that nobody is signed in.
func TestRedisDown(t *testing.T) {
	site := newSite(t)
	b := site.browser()
	b.signIn("alice")
	token := b.token()
	site.redis.SetError("LOADING Redis is loading the dataset in memory")
	for _, failed := range []answer{
		b.get("/"),
		b.post("/sign-out"),
		b.post("/sign-in", "name", "bob", "password", secrets["bob"]),
		site.browser().post("/sign-in", "name", "bob", "password", secrets["bob"]), // without a cookie, so the save fails
	} {
		if failed.StatusCode != 503 || failed.sessionCookie() != nil {
			t.Errorf("%s: %d %v, want 503", failed.Request.URL, failed.StatusCode, failed.sessionCookie())
		}
	}
	site.redis.SetError("")
	b.get("/").wantPage("<h1>alice</h1>")
	if b.token() != token {
		t.Error("the cookie has changed")
	}
}

const cookieName = "__Host-session"
