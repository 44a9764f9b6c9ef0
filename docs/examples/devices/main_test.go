package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sessionkv/session/internal/testkit"
)

func TestDevicesAreListed(t *testing.T) {
	site := newSite(t)
	b := site.signedIn("alice", firefox)
	site.signedIn("alice", phone, "remember", "on")
	site.signedIn("bob", phone)
	site.store.Advance(10 * time.Minute)

	page := b.Get("/")
	page.WantPage(`<strong>Firefox on Windows</strong> <span class="badge">this device</span></p>`)
	page.WantPage("<strong>Chrome on Android</strong></p>")
	if n := strings.Count(page.Body, "<li>"); n != 2 || len(ids(page)) != 1 {
		t.Errorf("%d devices, of which %q can be ended: %s", n, ids(page), page.Body)
	}
	if n := strings.Count(page.Body, "10 minutes ago"); n != 1 {
		t.Errorf("%d devices were last used 10 minutes ago, want the phone alone: %s", n, page.Body)
	}
	if n := strings.Count(page.Body, "stays signed in"); n != 1 {
		t.Errorf("%d devices stay signed in, want the phone alone: %s", n, page.Body)
	}
}

func TestLookingWritesNothing(t *testing.T) {
	site := newSite(t)
	b := site.signedIn("alice", firefox)
	before := site.store.saved()
	b.Get("/").WantPage("just now")
	b.Get("/password").WantPage("<h1>")
	if n := site.store.saved() - before; n != 0 {
		t.Errorf("%d saves, want none", n)
	}
}

func TestEndOneDevice(t *testing.T) {
	site := newSite(t)
	b, other, third := site.signedIn("alice", firefox), site.signedIn("alice", phone), site.signedIn("alice", phone)
	list := ids(b.Get("/"))
	b.Post("/end", "id", list[1]).WantRedirect("/") // the latest is first
	other.wantOut("You were signed out here from another device.")
	third.Get("/").WantPage("Your devices")
	page := b.Get("/")
	page.WantPage("The device is signed out.")
	if left := ids(page); !slices.Equal(left, list[:1]) {
		t.Errorf("left are %q, want %q", left, list[:1])
	}
	b.Post("/end", "id", list[1]).WantRedirect("/") // once more
}

func TestEndAllOtherDevices(t *testing.T) {
	site := newSite(t)
	b, other, third, bob := site.signedIn("alice", firefox), site.signedIn("alice", phone), site.signedIn("alice", phone), site.signedIn("bob", phone)
	b.Post("/end-others").WantRedirect("/")
	other.wantOut("You were signed out here from another device.")
	third.wantOut("You were signed out here from another device.")
	b.Get("/").WantPage("All other devices are signed out.")
	bob.Get("/").WantPage("Your devices")
}

func TestNobodyEndsTheDevicesOfOthers(t *testing.T) {
	site := newSite(t)
	alice, second, bob := site.signedIn("alice", firefox), site.signedIn("alice", phone), site.signedIn("bob", phone)
	id := ids(alice.Get("/"))[0]
	bob.Post("/end", "id", id).WantRedirect("/")
	for path, form := range map[string][]string{
		"/operator/end":     {"user", "alice", "id", id},
		"/operator/end-all": {"user", "alice"},
	} {
		if refused := bob.Post(path, form...); refused.StatusCode != 403 {
			t.Errorf("%s: %d, want 403", path, refused.StatusCode)
		}
	}
	if refused := bob.Get("/operator?user=alice"); refused.StatusCode != 403 || strings.Contains(refused.Body, id) {
		t.Errorf("%d %s, want 403", refused.StatusCode, refused.Body)
	}
	second.Get("/").WantPage("Your devices")
}

func TestOperator(t *testing.T) {
	site := newSite(t)
	one, two := site.signedIn("alice", firefox), site.signedIn("alice", phone)
	o := site.signedIn(operator, firefox)
	page := o.Get("/operator?user=alice")
	page.WantPage("Chrome on Android")
	o.Post("/operator/end", "user", "alice", "id", ids(page)[0]).WantRedirect("/operator?user=alice")
	two.wantOut("The operator of this service has signed you out.")
	one.Get("/").WantPage("Your devices")

	o.Post("/operator/end-all", "user", "alice").WantRedirect("/operator?user=alice")
	one.wantOut("The operator of this service has signed you out.")
	o.Get("/operator?user=alice").WantPage("alice has no session.")
}

func TestSignOutIsOnEveryPage(t *testing.T) {
	site := newSite(t)
	b, other := site.signedIn("alice", firefox), site.signedIn("alice", phone)
	for _, path := range []string{"/", "/password"} {
		b.Get(path).WantPage(`<button id="sign-out">`)
	}
	b.Post("/sign-out").WantRedirect("/sign-in?signed-out")
	b.Get("/sign-in?signed-out").WantPage("You are signed out.")
	b.Get("/").WantRedirect("/sign-in")
	if list := ids(other.Get("/")); len(list) != 0 {
		t.Errorf("%q are still in the list", list)
	}
}

func TestRememberMe(t *testing.T) {
	site := newSite(t)
	plain, remembering := site.browser(firefox), site.browser(phone)
	if cookie := plain.signIn("alice").SessionCookie(); cookie == nil || cookie.MaxAge != 0 {
		t.Errorf("the cookie %v does not end with the browser", cookie)
	}
	const year = 365 * 24 * 60 * 60
	if cookie := remembering.signIn("alice", "remember", "on").SessionCookie(); cookie == nil || cookie.MaxAge < year-60 || cookie.MaxAge > year+1 {
		t.Errorf("the cookie %v does not stay for a year", cookie)
	}
	site.store.Advance(24 * time.Hour)
	plain.Get("/").WantRedirect("/sign-in")
	remembering.Get("/").WantPage("Your devices")
	site.store.Advance(31 * 24 * time.Hour)
	remembering.Get("/").WantRedirect("/sign-in")
}

func TestWhoEndsDevicesHasSignedInLately(t *testing.T) {
	a, store := newApp(t, false)
	a.recent = 0
	site := serve(t, a, store)
	b, other, o := site.signedIn("alice", firefox), site.signedIn("alice", phone), site.signedIn(operator, firefox)
	id := ids(b.Get("/"))[0]
	for path, form := range map[string][]string{"/end": {"id", id}, "/end-others": nil} {
		b.Post(path, form...).WantRedirect("/sign-in?again")
	}
	for path, form := range map[string][]string{"/operator/end": {"user", "alice", "id", id}, "/operator/end-all": {"user", "alice"}} {
		o.Post(path, form...).WantRedirect("/sign-in?again")
	}
	o.Get("/operator?user=alice").WantRedirect("/sign-in?again")
	other.Get("/").WantPage("Your devices")

	token := b.Token()
	b.Get("/sign-in?again").WantPage("Do so once more")
	b.signIn("alice").WantRedirect("/")
	if b.Token() == token {
		t.Error("the token is still the old one")
	}
	a.recent = time.Hour
	b.Post("/end-others").WantRedirect("/")
	other.wantOut("You were signed out here from another device.")
}

func TestOneDeviceTooMany(t *testing.T) {
	site := newSite(t)
	first := site.signedIn("alice", phone)
	for range maxDevices - 1 {
		site.signedIn("alice", firefox)
	}
	first.Get("/").WantPage("Your devices")
	last := site.signedIn("alice", firefox)
	first.wantOut("This was the oldest of these sign-ins.")
	if n := len(ids(last.Get("/"))) + 1; n != maxDevices {
		t.Errorf("%d devices, want %d", n, maxDevices)
	}
}

func TestWrongPassword(t *testing.T) {
	site := newSite(t)
	b := site.browser(firefox)
	for _, name := range []string{"alice", "mallory", "mallory's sister", ""} {
		refused := b.Post("/sign-in", "name", name, "password", "guess")
		if refused.StatusCode != 403 || !strings.Contains(refused.Body, "Wrong name or password.") || refused.SessionCookie() != nil {
			t.Errorf("%s: %d %v %q", name, refused.StatusCode, refused.SessionCookie(), refused.Body)
		}
	}
	if stamps := site.store.stamps(); len(stamps) != 2 {
		t.Errorf("the store has the stamps of %q, want that of alice and one for all unknown names", stamps)
	}
}

func TestRequestsOfOtherSitesAreRefused(t *testing.T) {
	site := newSite(t)
	b, o := site.signedIn("alice", firefox), site.signedIn(operator, phone)
	before := site.store.saved()
	for _, path := range []string{"/sign-in", "/sign-out", "/end", "/end-others", "/password", "/operator/end", "/operator/end-all"} {
		for _, who := range []browser{b, o} {
			request := who.Request("POST", path, "user", "alice", "name", "bob", "password", secrets["bob"])
			request.Header.Set("Sec-Fetch-Site", "cross-site")
			if refused := who.Do(request); refused.StatusCode != http.StatusForbidden {
				t.Errorf("%s: %d, want 403", path, refused.StatusCode)
			}
		}
	}
	if n := site.store.saved() - before; n != 0 {
		t.Errorf("%d saves, want none", n)
	}
	b.Get("/").WantPage("alice")
}

const fresh = "correct horse battery"

func (b browser) changePassword(old, new string) {
	b.Post("/password", "old", old, "new", new).WantRedirect("/")
}

func TestChangeOfPassword(t *testing.T) {
	site := newSite(t)
	b, other := site.signedIn("alice", firefox), site.signedIn("alice", phone)
	token := b.Token()
	b.changePassword(secrets["alice"], fresh)
	other.wantOut("Your password was changed on another device.")
	b.Get("/").WantPage("Your password is changed.")
	if b.Token() == token {
		t.Error("the token is still the old one")
	}
	if refused := other.signIn("alice"); refused.StatusCode != 403 {
		t.Errorf("a sign-in with the old password: %d", refused.StatusCode)
	}
	other.Post("/sign-in", "name", "alice", "password", fresh).WantRedirect("/")
}

func TestPasswordThatIsNotChangedEndsNothing(t *testing.T) {
	site := newSite(t)
	b, other := site.signedIn("alice", firefox), site.signedIn("alice", phone)
	for old, new := range map[string]string{"guess": fresh, secrets["alice"]: "too short"} {
		if refused := b.Post("/password", "old", old, "new", new); refused.StatusCode != 422 {
			t.Errorf("%d, want 422", refused.StatusCode)
		}
	}
	other.Get("/").WantPage("Your devices")
}

// The sign-in has found the old password right, and has no session yet, when the password is changed.
func TestSignInWithTheOldPasswordDoesNotOutliveItsChange(t *testing.T) {
	site := newSite(t)
	b, thief := site.signedIn("alice", firefox), site.browser(phone)
	site.store.beginning <- func() error {
		b.changePassword(secrets["alice"], fresh)
		return nil
	}
	if refused := thief.signIn("alice"); refused.StatusCode != 403 || refused.SessionCookie() != nil {
		t.Errorf("%d %v, want 403", refused.StatusCode, refused.SessionCookie())
	}
	thief.Get("/").WantRedirect("/sign-in")
	if list := ids(b.Get("/")); len(list) != 0 {
		t.Errorf("%q are signed in too", list)
	}
}

// The password is changed by then, so that what follows must not depend on this session.
func TestChangeOfPasswordThatCannotKeepItsSessionEndsAll(t *testing.T) {
	site := newSite(t)
	b, other := site.signedIn("alice", firefox), site.signedIn("alice", phone)
	site.store.beginning <- func() error { return errors.New("the store is down for a moment") }
	b.changePassword(secrets["alice"], fresh)
	other.wantOut("Your password was changed on another device.")
	b.Get("/").WantRedirect("/sign-in")
}

func TestDescribe(t *testing.T) {
	for userAgent, want := range map[string]string{
		firefox: "Firefox on Windows",
		phone:   "Chrome on Android",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1":        "Safari on iPhone",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0":                  "Edge on Windows",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15":                          "Safari on macOS",
		"Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0":                                                                         "Firefox on Linux",
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/142.0.7444.77 Mobile/15E148 Safari/604.1": "Chrome on iPhone",
		"curl/8.5.0":    "Unknown browser on unknown system",
		"":              "Unknown browser on unknown system",
		"<script>Linux": "Unknown browser on Linux",
	} {
		if got := describe(userAgent); got != want {
			t.Errorf("%q is %s, want %s", userAgent, got, want)
		}
	}
}

// A browser that can registers a key of its device after the sign-in; the page shows it a shield.
func TestBoundDeviceHasAShield(t *testing.T) {
	site := newSite(t)
	b := site.browser(firefox)
	signIn := b.signIn("alice")
	b.Get("/").WantPageWithout("bound to it")

	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	registration := b.Request("POST", devicePath)
	registration.Header.Set("Secure-Session-Response", testkit.Proof(t, key, testkit.Offered(signIn.Response), true))
	b.Do(registration).WantPage("session_identifier")
	site.signedIn("alice", phone)
	page := b.Get("/")
	page.WantPage("bound to it")
	if n := strings.Count(page.Body, "bound to it"); n != 1 {
		t.Errorf("%d devices have a shield, want this one: %s", n, page.Body)
	}
}
