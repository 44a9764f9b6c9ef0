package browser

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"

	"github.com/sessionkv/session"

	"github.com/sessionkv/session/internal/testkit"
)

// The browser takes the cookie as the Config says, brings it back, keeps it from scripts, and drops it at the sign-out.
func TestBrowserTakesTheCookie(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		config   session.Config
		want     network.Cookie
		lifetime time.Duration // of the cookie, if it is Persistent
	}{
		{
			name: "HTTPS",
			want: network.Cookie{Name: "__Host-session", Path: "/", Secure: true, SameSite: network.CookieSameSiteLax},
		},
		{
			name:   "HTTP",
			config: session.Config{Cookie: session.Cookie{InsecureHTTP: true}},
			want:   network.Cookie{Name: "session", Path: "/", SameSite: network.CookieSameSiteLax},
		},
		{
			name:   "Strict",
			config: session.Config{Cookie: session.Cookie{SameSite: http.SameSiteStrictMode}},
			want:   network.Cookie{Name: "__Host-session", Path: "/", Secure: true, SameSite: network.CookieSameSiteStrict},
		},
		{
			name:   "None and Partitioned",
			config: session.Config{Cookie: session.Cookie{SameSite: http.SameSiteNoneMode, Partitioned: true}},
			want: network.Cookie{
				Name: "__Host-session", Path: "/", Secure: true, SameSite: network.CookieSameSiteNone,
				PartitionKey: &network.CookiePartitionKey{TopLevelSite: "https://127.0.0.1"},
			},
		},
		{
			name:     "Persistent, with a name of its own",
			config:   session.Config{Persistent: true, Cookie: session.Cookie{Name: "__Secure-session"}},
			want:     network.Cookie{Name: "__Secure-session", Path: "/", Secure: true, SameSite: network.CookieSameSiteLax},
			lifetime: 8 * time.Hour,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, test.config)
			b := newProfile(t)
			b.open(s.URL)
			if cookies := b.cookies(s.URL); len(cookies) != 0 {
				t.Fatalf("looking at the page made %+v", cookies[0])
			}
			b.click("#sign-in")
			b.shows("the secret of ann")

			cookies := b.cookies(s.URL)
			if len(cookies) != 1 {
				t.Fatalf("the browser has %d cookies", len(cookies))
			}
			got := *cookies[0]
			test.want.Value, test.want.Domain, test.want.HTTPOnly = got.Value, "127.0.0.1", true // no dot: this host alone
			if len(got.Value) != 43 || !sameCookie(got, test.want) {
				t.Errorf("the browser has %+v, want %+v", got, test.want)
			}
			if ends := time.Unix(int64(got.Expires), 0); got.Session != (test.lifetime == 0) ||
				!got.Session && math.Abs(time.Until(ends).Seconds()-test.lifetime.Seconds()) > 60 {
				t.Errorf("the cookie ends at %v", ends)
			}

			// Scripts neither read the cookie nor put another in its place.
			if seen := eval[string](b, "document.cookie"); seen != "" {
				t.Errorf("scripts see %q", seen)
			}
			planted := got.Name + "=planted; Path=/"
			if got.Secure {
				planted += "; Secure"
			}
			if got.PartitionKey != nil {
				planted += "; Partitioned; SameSite=None"
			}
			if seen := eval[string](b, fmt.Sprintf("document.cookie = %q, document.cookie", planted)); seen != "" {
				t.Errorf("scripts set %q", seen)
			}
			b.open(s.URL)
			b.shows("the secret of ann")
			b.click("#sign-out")
			b.shows("nobody is signed in")
			if cookies := b.cookies(s.URL); len(cookies) != 0 {
				t.Errorf("after the sign-out the browser has %+v", cookies[0])
			}
			if keys := s.living(t); len(keys) != 0 {
				t.Errorf("after the sign-out Redis has %q", keys)
			}
			b.complained(0)
		})
	}
}

func sameCookie(a, b network.Cookie) bool {
	if (a.PartitionKey == nil) != (b.PartitionKey == nil) || a.PartitionKey != nil && a.PartitionKey.TopLevelSite != b.PartitionKey.TopLevelSite {
		return false
	}
	return a.Name == b.Name && a.Value == b.Value && a.Domain == b.Domain && a.Path == b.Path &&
		a.Secure == b.Secure && a.HTTPOnly == b.HTTPOnly && a.SameSite == b.SameSite
}

// 127.0.0.1 and localhost are two sites; two ports of 127.0.0.1 are one.
func TestSameSite(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		cookie session.Cookie
		// Which of the requests of another site bring the cookie.
		link, post, embedded bool
	}{
		{name: "Lax over HTTP", cookie: session.Cookie{InsecureHTTP: true}, link: true},
		{name: "Lax", link: true},
		{name: "Strict", cookie: session.Cookie{SameSite: http.SameSiteStrictMode}},
		{name: "None", cookie: session.Cookie{SameSite: http.SameSiteNoneMode}, link: true, post: true, embedded: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, session.Config{Cookie: test.cookie})
			b := newProfile(t)
			b.open(s.URL)
			b.click("#sign-in")
			b.shows("the secret of ann")

			neighbour := newElsewhere(t, s)
			b.visit(s, neighbour.URL, "neighbour", true, true, true)
			stranger := strings.Replace(neighbour.URL, "127.0.0.1", "localhost", 1)
			b.visit(s, stranger, "stranger", test.link, test.post, test.embedded)
		})
	}
}

const (
	embeddedWays = `<img src="TO/image" alt="">
<iframe src="TO/frame"></iframe>
<script src="TO/script"></script>
<script>
fetch('TO/fetch', {credentials: 'include', mode: 'no-cors'});
fetch('TO/fetch-post', {credentials: 'include', mode: 'no-cors', method: 'POST'});
navigator.sendBeacon('TO/beacon');
</script>`
	waysOut = `<a href="TO/link" id="link">link</a>
<form action="TO/form"><button id="form">form</button></form>
<form method="post" action="TO/post"><button id="post">post</button></form>`
)

// newElsewhere is another server, whose pages lead to s in all the ways that pages can. The first part of their paths names
// the visit.
func newElsewhere(t *testing.T, s *site) *httptest.Server {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		visit, page, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		body := embeddedWays
		if page == "out" {
			body = waysOut
		}
		_, _ = io.WriteString(w, `<!doctype html><title>elsewhere</title><link rel="icon" href="data:,">`+
			strings.ReplaceAll(body, "TO/", s.URL+"/echo/"+visit+"/"))
	}))
	server.Config.ErrorLog = s.Config.ErrorLog
	if s.TLS != nil {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	return server
}

// visit opens the page of another server, and compares which requests to s bring the cookie.
func (b *tab) visit(s *site, from, name string, link, post, embedded bool) {
	b.Helper()
	check := func(way string, want bool) {
		b.Helper()
		var brought []bool
		path := "/echo/" + name + "/" + way
		testkit.Eventually(b, "a request for "+path, func() bool {
			brought = s.requests(path)
			return len(brought) > 0
		})
		if brought[0] != want {
			b.Errorf("%s: %s brings the cookie: %v, want %v", name, way, brought[0], want)
		}
	}
	b.open(from + "/" + name + "/embedded")
	for _, way := range []string{"image", "frame", "script", "fetch", "fetch-post", "beacon"} {
		check(way, embedded)
	}
	for way, want := range map[string]bool{"link": link, "form": link, "post": post} {
		b.open(from + "/" + name + "/out")
		b.click("#" + way)
		b.shows("echo")
		check(way, want)
	}
}
