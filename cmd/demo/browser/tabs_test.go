package browser

import (
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/internal/testkit"
)

// Two tabs of one browser. In one of them a request is slow; meanwhile somebody signs in or out in the other. What the slow
// request saves, and what its response says of the cookie, must not undo that.
func TestSlowRequestUndoesNothing(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"read", "write", "stream", "renew", "destroy"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, session.Config{})
			one := newProfile(t)
			two := one.another()

			// slow runs what happens in the second tab while a request of the first one waits.
			slow := func(answer string, meanwhile func()) {
				t.Helper()
				eval[chromedp.Void](one, "void setTimeout(() => location.href = '/slow/"+how+"')")
				testkit.Receive(t, s.arrived)
				meanwhile()
				testkit.Receive(t, s.release)
				one.wait("location.pathname.startsWith('/slow/') && document.body && document.body.innerText.includes('" + answer + "')")
			}
			both := func(want string, sessions int) {
				t.Helper()
				for _, tab := range []*tab{one, two} {
					tab.open(s.URL)
					if got := tab.text("p"); got != want {
						t.Errorf("a tab shows %q, want %q", got, want)
					}
				}
				if keys := s.living(t); len(keys) != sessions {
					t.Errorf("Redis has %q, want %d", keys, sessions)
				}
			}

			// A visitor who has a session already signs in: the session gets another token. What the slow request does with
			// the old one is refused, not lost without a word. Of a stream, the headers have left.
			answer := "session unavailable"
			if how == "read" || how == "stream" {
				answer = "done"
			}
			one.open(s.URL + "/draft")
			two.open(s.URL)
			two.shows("nobody is signed in, draft: nobody's")
			slow(answer, func() {
				two.click("#sign-in")
				two.shows("the secret of ann")
			})
			both("the secret of ann, draft: nobody's", 1)

			slow("done", func() {
				two.click("#sign-out")
				two.shows("nobody is signed in")
			})
			both("nobody is signed in", 0)
			if cookies := two.cookies(s.URL); len(cookies) != 0 {
				t.Errorf("after the sign-out the browser has %+v", cookies[0])
			}

			// Both in a row: the slow request knows a session that ended before the one at hand began.
			two.click("#sign-in")
			two.shows("the secret of ann")
			one.open(s.URL)
			slow("done", func() {
				two.click("#sign-out")
				two.shows("nobody is signed in")
				two.click("#sign-in")
				two.shows("the secret of ann")
			})
			both("the secret of ann", 1)
		})
	}
}

// back presses the back button. (Chromedp's NavigateBack waits for a load, and a page that the browser has kept is not loaded.)
func (b *tab) back() {
	b.Helper()
	eval[chromedp.Void](b, "void setTimeout(() => history.back())") // after the answer to this
}

// Nothing of the session is to be seen after the sign-out, if the page said no-store.
func TestBackButtonAfterSignOut(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]session.Config{
		"HTTPS": {},
		"HTTP":  {Cookie: session.Cookie{InsecureHTTP: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, config)
			b := newProfile(t)
			b.open(s.URL)
			b.click("#sign-in")
			b.shows("the secret of ann")
			b.open(s.URL + "/account")
			b.shows("the secret of ann")

			// Where the cookie stays, going back shows the page, whether from the server or not.
			b.click("#elsewhere")
			b.shows("echo")
			b.back()
			b.shows("the secret of ann")

			b.click("#sign-out")
			b.shows("nobody is signed in")
			b.back()
			b.wait("location.pathname === '/account'")
			b.shows("nobody is signed in")
			if page := eval[string](b, "document.documentElement.outerHTML"); strings.Contains(page, "secret") {
				t.Errorf("going back shows\n%s", page)
			}
			if asked := s.requests("/account"); len(asked) < 2 || slices.Contains(asked[len(asked)-1:], true) {
				t.Errorf("the requests for the page brought the cookie: %v", asked)
			}
			b.complained(0)
		})
	}
}
