package browser

import (
	"context"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/internal/testkit"
)

const (
	devicePath  = "/.device"
	boundCookie = "__Host-session-bound-" // and the beginning of the session's ID

	isBound    = "this device is bound: true"
	isNotBound = "this device is bound: false"
)

// A boundSite binds the sessions of users to their devices.
type boundSite struct {
	*site
	home string

	mu     sync.Mutex
	events map[string]int // how often each thing was done, as "refresh ok"
}

func newBoundSite(t *testing.T) *boundSite {
	t.Helper()
	return newBoundSiteOf(t, session.Config{})
}

func newBoundSiteOf(t *testing.T, config session.Config) *boundSite {
	t.Helper()
	s := &boundSite{events: map[string]int{}}
	config.DeviceBound, config.Observe = devicePath, s.observe
	s.site = newSite(t, config)
	s.home = at(victim, s.URL)
	return s
}

func (s *boundSite) observe(_ context.Context, e session.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events[e.Kind.String()+" "+e.Outcome.String()]++
}

// count returns how often something was done.
func (s *boundSite) count(what string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.events[what]
}

// bind signs in and waits until the session is bound, since so long that no requests are taken any more that were under
// way.
func (s *boundSite) bind(b *tab) {
	b.Helper()
	before := s.count("register ok")
	b.signIn(s.home)
	s.registered(b, before)
}

// registered waits for a registration after those before.
func (s *boundSite) registered(b *tab, before int) {
	b.Helper()
	testkit.Eventually(b, "a registration", func() bool { return s.count("register ok") > before && b.cookie(s.home, boundCookie) != nil })
	b.open(s.home) // which proves it for the first time
	b.shows(isBound)
	bound := regexp.MustCompile(`("at":)\d+`)
	for _, key := range s.living(b) {
		value, err := s.redis.Get(key)
		if err != nil {
			b.Fatal(err)
		}
		ttl := s.redis.TTL(key)
		if err := s.redis.Set(key, bound.ReplaceAllString(value, "${1}1000000000")); err != nil {
			b.Fatal(err)
		}
		s.redis.SetTTL(key, ttl)
	}
}

// cookie returns the profile's cookie of a name that begins so, nil if it has none.
func (b *tab) cookie(url, prefix string) *network.Cookie {
	b.Helper()
	for _, cookie := range b.cookies(url) {
		if strings.HasPrefix(cookie.Name, prefix) && (prefix != testkit.CookieName || cookie.Name == prefix) {
			return cookie
		}
	}
	return nil
}

// dropProofs lets the cookies expire that prove the device.
func (b *tab) dropProofs(url string) {
	b.Helper()
	for _, cookie := range b.cookies(url) {
		if !strings.HasPrefix(cookie.Name, boundCookie) {
			continue
		}
		if _, err := chromedp.Call(b.ctx, network.DeleteCookies, network.DeleteCookiesParams{Name: cookie.Name, URL: url}); err != nil {
			b.Fatal(err)
		}
	}
}

// sees opens a page and compares who is signed in, and whether the device is bound.
func (b *tab) sees(url, who, device string) {
	b.Helper()
	b.open(url)
	if got := b.text("p") + ", " + b.text("i"); got != who+", "+device {
		b.Errorf("the page shows %q, want %q", got, who+", "+device)
	}
}

const ann, nobody = "the secret of ann", "nobody is signed in"

// A browser that signs in binds the session within a second, by itself. The token alone is of no use then, and the owner
// stays signed in.
func TestStolenTokenIsUselessInAnotherBrowser(t *testing.T) {
	t.Parallel()
	s, b, thief := newBoundSite(t), newProfile(t), newProfile(t)
	s.bind(b)
	b.sees(s.home, ann, isBound)
	token, yes := b.cookie(s.home, testkit.CookieName), true
	if _, err := chromedp.Call(thief.ctx, network.SetCookie, network.SetCookieParams{
		Name: token.Name, Value: token.Value, URL: s.home, Path: "/", Secure: &yes, HTTPOnly: &yes,
	}); err != nil {
		t.Fatal(err)
	}
	thief.sees(s.home, nobody, isNotBound)
	if thief.cookie(s.home, testkit.CookieName) == nil || s.count("load unproven") != 1 || !strings.Contains(s.log.String(), "bound session without proof") {
		t.Errorf("the token was not used: %v, log: %s", s.events, s.log)
	}
	thief.follow("#sign-out")
	b.sees(s.home, ann, isBound)
}

// When the cookie that proves the device has expired, the browser gets another before it sends what it was asked for,
// once for any number of requests.
func TestBrowserRefreshesItsProof(t *testing.T) {
	t.Parallel()
	s, b := newBoundSite(t), newProfile(t)
	s.bind(b)
	for n := 1; n <= 3; n++ {
		b.dropProofs(s.home)
		b.sees(s.home, ann, isBound)
		if got := s.count("refresh ok"); got != n {
			t.Errorf("%d refreshes, want %d", got, n)
		}
	}
	b.dropProofs(s.home)
	const ten = `Promise.all(Array.from({length: 10}, () => fetch('/').then(r => r.text())))
		.then(texts => texts.filter(t => t.includes('device is bound: true')).length)`
	if bound := eval[int](b, ten); bound != 10 {
		t.Errorf("%d of ten requests were proved", bound)
	}
	if got := s.count("refresh ok"); got != 4 {
		t.Errorf("%d refreshes, want one for ten requests", got-3)
	}
	if got := s.count("load unproven"); got != 0 {
		t.Errorf("%d requests went out without a proof", got)
	}
}

// Another site leads the browser to the sign-in, as an identity provider does, by GET and by POST. The registration and a
// refresh get no Lax cookie then, and need none.
func TestSignInFromAnotherSiteIsBound(t *testing.T) {
	t.Parallel()
	for way, page := range map[string]string{
		"link": `<a id="go" href="TO">link</a>`,
		"post": `<form method="post" action="TO"><button id="go">go</button></form>`,
	} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			s, b := newBoundSite(t), newProfile(t)
			provider := serveBeside(t, s.site, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
				_, _ = io.WriteString(w, `<!doctype html><link rel="icon" href="data:,">`+strings.ReplaceAll(page, "TO", s.home+r.URL.Path))
			})
			elsewhere := at(attacker, provider.URL)
			b.open(elsewhere + "/sign-in-elsewhere")
			b.click("#go")
			b.shows(ann)
			s.registered(b, 0)
			b.sees(s.home, ann, isBound)

			b.dropProofs(s.home)
			b.open(elsewhere + "/account")
			b.click("#go")
			if way == "post" { // which gets no Lax cookie, and so no session
				b.wait("location.hostname === '" + victim + "'")
				b.sees(s.home, ann, isBound)
				return
			}
			b.shows(ann)
			b.shows(isBound)
			if got := s.count("refresh ok"); got != 1 {
				t.Errorf("%d refreshes, want 1", got)
			}
		})
	}
}

// After signing out the browser has neither cookie, and forgets the key at its next request.
func TestSignOutEndsTheBoundSession(t *testing.T) {
	t.Parallel()
	s, b := newBoundSite(t), newProfile(t)
	s.bind(b)
	b.sees(s.home, ann, isBound)
	b.follow("#sign-out")
	b.shows(nobody)
	if cookies := b.cookies(s.home); len(cookies) != 0 {
		t.Errorf("the browser keeps %d cookies", len(cookies))
	}
	for range 3 {
		b.sees(s.home, nobody, isNotBound)
	}
	asked := len(s.requests(devicePath))
	for range 3 {
		b.sees(s.home, nobody, isNotBound)
	}
	if got := len(s.requests(devicePath)); got != asked {
		t.Errorf("the browser still asks for proofs: %d requests", got-asked)
	}
	s.bind(b)
	b.sees(s.home, ann, isBound)
}

// A session that is renewed is bound anew, and the browser goes on without a sign-out.
func TestRenewedSessionIsBoundAnewByTheBrowser(t *testing.T) {
	t.Parallel()
	s, b := newBoundSite(t), newProfile(t)
	s.bind(b)
	b.sees(s.home, ann, isBound)
	before := b.cookie(s.home, testkit.CookieName).Value
	for n := range 2 {
		b.follow("#renew")
		b.shows(ann)
		s.registered(b, n+1)
		b.sees(s.home, ann, isBound)
	}
	if after := b.cookie(s.home, testkit.CookieName); after == nil || after.Value == before {
		t.Error("the token is the same")
	}
	for range 3 {
		b.dropProofs(s.home)
		b.sees(s.home, ann, isBound)
	}
}

// The key outlives the browser, as the cookie does that is persistent; and the proof is fetched with the first request.
func TestBoundSessionSurvivesTheRestartOfTheBrowser(t *testing.T) {
	t.Parallel()
	newProfile(t) // skips where there is no Chromium
	s := newBoundSiteOf(t, session.Config{Persistent: true})
	dir := filepath.Join(t.TempDir(), "profile")
	visit := func(do func(b *tab)) {
		browser, stop, err := startChromium(t.Context(), dir)
		defer stop()
		if err != nil {
			t.Fatal(err)
		}
		do(newTab(t, browser))
		if err := chromedp.Cancel(browser); err != nil { // in an orderly way, so that it keeps what it has
			t.Log(err)
		}
	}
	visit(func(b *tab) {
		s.bind(b)
		b.sees(s.home, ann, isBound)
	})
	visit(func(b *tab) {
		b.dropProofs(s.home)
		b.sees(s.home, ann, isBound)
	})
	if got := s.count("refresh ok"); got == 0 {
		t.Error("the browser has not proved its key")
	}
}

// While the endpoint fails, nobody is signed out: the browser says that it could not ask. Then it goes on as before.
func TestBoundSessionOutlivesAnOutage(t *testing.T) {
	t.Parallel()
	s, b := newBoundSite(t), newProfile(t)
	s.bind(b)
	b.dropProofs(s.home)
	s.away.Store(true)
	b.open(s.home)
	b.shows(session.ErrUnproven.Error())
	if s.count("load unproven") == 0 || s.count("refresh error") == 0 {
		t.Errorf("events: %v", s.events)
	}
	s.away.Store(false)
	testkit.Eventually(t, "a refresh after the outage", func() bool { // Chromium waits a while
		b.open(s.home)
		return strings.Contains(b.describe(), isBound)
	})
	b.sees(s.home, ann, isBound)

	// The whole of Redis is away, and comes back.
	b.dropProofs(s.home)
	s.redis.SetError(down)
	b.open(s.home)
	if page := b.describe(); strings.Contains(page, nobody) || b.cookie(s.home, testkit.CookieName) == nil {
		t.Errorf("signed out: %s", page)
	}
	s.redis.SetError("")
	testkit.Eventually(t, "a page after the outage", func() bool {
		b.open(s.home)
		return strings.Contains(b.describe(), isBound)
	})
}
