package browser

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sessionkv/session"
)

const (
	victim   = "victim.example"
	attacker = "attacker.example"
)

// attacks are what pages of another site do to send a request to TO. Each leaves its page, or calls done when the
// response is there.
var attacks = map[string]string{
	"link":       `<a href="TO">link</a><script>document.links[0].click()</script>`,
	"post":       `<form method="post" action="TO"></form><script>document.forms[0].submit()</script>`,
	"fetch":      `<script>fetch('TO', {mode: 'no-cors', credentials: 'include'}).finally(done)</script>`,
	"fetch-post": `<script>fetch('TO', {mode: 'no-cors', credentials: 'include', method: 'POST'}).finally(done)</script>`,
	"image":      `<img src="TO" alt="" onload="done()" onerror="done()">`,
	"frame":      `<iframe src="TO" onload="done()"></iframe>`,
}

const attackPage = `<!doctype html><title>attack</title><link rel="icon" href="data:,">
<script>function done() { document.title = 'done' }</script>
`

// newAttacker is a server whose pages attack s. Their paths are those of s that they send a request to, with the way at
// the end.
func newAttacker(t *testing.T, s *site) *httptest.Server {
	return serveBeside(t, s, func(w http.ResponseWriter, r *http.Request) {
		way := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, attackPage+strings.ReplaceAll(attacks[way], "TO", at(victim, s.URL)+r.URL.Path))
	})
}

func serveBeside(t *testing.T, s *site, handler http.HandlerFunc) *httptest.Server {
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = s.Config.ErrorLog
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// attack opens a page of another site, and returns what the Set of the request that it makes the browser send has
// returned.
func (b *tab) attack(s *site, from *httptest.Server, path string) error {
	b.Helper()
	before := len(s.callbacks(path))
	b.open(at(attacker, from.URL) + path)
	b.wait("document.title === 'done' || location.hostname === '" + victim + "'")
	returned := s.callbacks(path)
	if len(returned) != before+1 {
		b.Fatalf("%s was requested %d times, want once", path, len(returned)-before)
	}
	return returned[before]
}

// follow clicks on an element and waits for the page that it leads to, which may look like this one.
func (b *tab) follow(selector string) {
	b.Helper()
	eval[bool](b, "window.old = true")
	b.click(selector)
	b.wait("!window.old && document.readyState === 'complete'")
}

func (b *tab) signIn(url string) {
	b.Helper()
	b.open(url)
	b.follow("#sign-in")
	b.shows("the secret of ann")
}

// A page of another site makes the browser of somebody who is signed in send a request whose handler sets who is signed
// in. Where the browser keeps the cookie back, the Set is refused and the sign-in stays. Where it does not, the request
// is one of the session.
func TestOtherSiteReplacesNoSignIn(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		cookie session.Cookie
		brings string // the ways that bring the cookie
	}{
		"Lax":    {session.Cookie{}, "link"},
		"Strict": {session.Cookie{SameSite: http.SameSiteStrictMode}, ""},
		"None":   {session.Cookie{SameSite: http.SameSiteNoneMode}, "link post fetch fetch-post image frame"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, session.Config{Cookie: test.cookie})
			elsewhere, home, b := newAttacker(t, s), at(victim, s.URL), newProfile(t)
			for way := range attacks {
				b.signIn(home)
				before := b.cookies(home)[0].Value
				brings := strings.Contains(" "+test.brings+" ", " "+way+" ")
				err := b.attack(s, elsewhere, "/callback/"+way)
				if errors.Is(err, session.ErrCrossSite) == brings || brings && err != nil {
					t.Errorf("%s: %v", way, err)
				}
				b.open(home)
				want := "the secret of ann"
				if brings {
					want = "the secret of mallory"
				}
				if got := b.text("p"); got != want {
					t.Errorf("%s: the page shows %q, want %q", way, got, want)
				}
				if cookies := b.cookies(home); len(cookies) != 1 || cookies[0].Value != before {
					t.Errorf("%s: the cookie has changed", way)
				}
				if keys := s.living(t); len(keys) != 1 {
					t.Errorf("%s: Redis has %q", way, keys)
				}
			}
		})
	}
}

// For a visitor without a session, a link from another site begins one. With AllowCrossSite every way does, but the
// browser takes the cookie of a link and of a form alone: what a page embeds may set none of SameSite=Lax or Strict.
func TestSessionsBegunByAnotherSite(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		cookie         session.Cookie
		begins, allows string // the ways that leave the browser with a session, without and with AllowCrossSite
	}{
		"Lax":    {session.Cookie{}, "link", "link post"},
		"Strict": {session.Cookie{SameSite: http.SameSiteStrictMode}, "", "link post"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, session.Config{Cookie: test.cookie})
			elsewhere, home, b := newAttacker(t, s), at(victim, s.URL), newProfile(t)
			visit := func(route, way, begins string) {
				t.Helper()
				err := b.attack(s, elsewhere, "/"+route+"/"+way)
				want := strings.Contains(" "+begins+" ", " "+way+" ")
				if refused := route == "callback" && !want; refused != errors.Is(err, session.ErrCrossSite) || !refused && err != nil {
					t.Errorf("%s %s: %v", route, way, err)
				}
				if got := len(b.cookies(home)) > 0; got != want {
					t.Errorf("%s %s: the browser has a cookie: %v, want %v", route, way, got, want)
				}
				b.open(home)
				if got := b.text("p"); (got == "the secret of mallory") != want {
					t.Errorf("%s %s: the page shows %q", route, way, got)
				}
				b.follow("#sign-out")
				b.shows("nobody is signed in")
			}
			for way := range attacks {
				visit("callback", way, test.begins)
				visit("allowed", way, test.allows)
			}
		})
	}
}

// A page of one's own in a frame of another site posts to its own site. By its headers that is a request of the same
// site, but the browser keeps the cookie back. It accepts none in the response either, so that the sign-in stays.
func TestFrameInAnotherSiteReplacesNoSignIn(t *testing.T) {
	t.Parallel()
	s := newSite(t, session.Config{})
	home, b := at(victim, s.URL), newProfile(t)
	elsewhere := serveBeside(t, s, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, attackPage+`<script>onmessage = done</script><iframe src="`+home+`/embedded/inside"></iframe>`)
	})
	b.signIn(home)
	if err := b.attack(s, elsewhere, "/callback/inside"); err != nil {
		t.Errorf("Set: %v", err)
	}
	if brought := s.requests("/callback/inside"); len(brought) != 1 || brought[0] {
		t.Errorf("the requests brought the cookie: %v, want one that did not", brought)
	}
	b.open(home)
	b.shows("the secret of ann")
}

// twins are cookies of one name that two hosts, or a host and a Domain, keep side by side.
var twins = map[string]struct {
	config session.Cookie
	host   string // of the site
	from   string // the host that plants the twin
	domain string // of the twin
}{
	"host-only, the twin of the domain above": {session.Cookie{Name: "session"}, "www.shop.example", "blog.shop.example", "shop.example"},
	"host-only, the twin of this domain":      {session.Cookie{Name: "session"}, "www.shop.example", "a.www.shop.example", "www.shop.example"},
	"of a Domain, the twin host-only":         {session.Cookie{Domain: "shop.example"}, "www.shop.example", "www.shop.example", ""},
}

// A browser has the cookies of two living sessions, the user's own and one that a sibling host has planted. Neither is
// used. After a sign-in the user is signed in and stays so, and after a sign-out signed out. Both sessions and the
// second cookie are gone.
func TestTwoCookiesOfLivingSessions(t *testing.T) {
	t.Parallel()
	for name, test := range twins {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, session.Config{Cookie: test.config})
			home := at(test.host, s.URL)
			b, attacker := newProfile(t), newProfile(t)
			plants := serveBeside(t, s, func(w http.ResponseWriter, _ *http.Request) {
				token := attacker.cookies(home)[0].Value
				http.SetCookie(w, &http.Cookie{Name: "session", Value: token, Domain: test.domain, Path: "/", Secure: true})
			})
			b.signIn(home)
			plant := func() {
				t.Helper()
				attacker.signIn(home)
				b.open(at(test.from, plants.URL))
				b.open(home)
				b.shows("nobody is signed in")
				if cookies, keys := b.cookies(home), s.living(t); len(cookies) != 2 || len(keys) != 2 {
					t.Fatalf("the browser has %d cookies, Redis %q; want two of each", len(cookies), keys)
				}
			}
			left := func(want int) {
				t.Helper()
				if cookies, keys := b.cookies(home), s.living(t); len(cookies) != want || len(keys) != want {
					t.Errorf("the browser has %d cookies, Redis %q; want %d of each", len(cookies), keys, want)
				}
				attacker.open(home)
				attacker.shows("nobody is signed in")
			}

			plant()
			b.follow("#sign-in")
			b.shows("the secret of ann")
			for range 3 {
				b.open(home + "/account")
				b.shows("the secret of ann")
			}
			left(1)

			plant()
			b.follow("#sign-out")
			b.shows("nobody is signed in")
			left(0)
		})
	}
}

// A sibling host cannot plant a cookie of the name that is the default.
func TestNoTwinOfTheHostCookie(t *testing.T) {
	t.Parallel()
	s := newSite(t, session.Config{})
	home, b := at("www.shop.example", s.URL), newProfile(t)
	plants := serveBeside(t, s, func(w http.ResponseWriter, _ *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "__Host-session", Value: "planted", Domain: "shop.example", Path: "/", Secure: true})
		http.SetCookie(w, &http.Cookie{Name: "taken", Value: "planted", Domain: "shop.example", Path: "/", Secure: true})
	})
	b.open(at("blog.shop.example", plants.URL))
	if cookies := b.cookies(home); len(cookies) != 1 || cookies[0].Name != "taken" {
		t.Errorf("the browser has %d cookies", len(cookies))
	}
}
