// Package moving has tests alone: each program answers as before when it was moved.
package moving

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/gomodule/redigo/redis"

	gorillaafter "github.com/sessionkv/session/docs/moving/gorilla/after"
	gorillabefore "github.com/sessionkv/session/docs/moving/gorilla/before"
	scsafter "github.com/sessionkv/session/docs/moving/scs/after"
	scsbefore "github.com/sessionkv/session/docs/moving/scs/before"
	"github.com/sessionkv/session/internal/redistest"
)

var programs = map[string]func(*redis.Pool) (http.Handler, error){
	"scs, before":     scsbefore.Handler,
	"scs, after":      scsafter.Handler,
	"gorilla, before": gorillabefore.Handler,
	"gorilla, after":  gorillaafter.Handler,
}

// A browser keeps cookies and follows redirects.
type browser struct {
	t   *testing.T
	url *url.URL
	*http.Client
}

func newBrowser(t *testing.T, server *httptest.Server) browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	address, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	client := *server.Client()
	client.Jar = jar
	return browser{t, address, &client}
}

// visit posts a form, or asks for the page where there is none, and returns the page that follows.
func (b browser) visit(path string, form ...string) (status int, page string) {
	b.t.Helper()
	method := "GET"
	if len(form) > 0 {
		method = "POST"
	}
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.url.String()+path, strings.NewReader(strings.Join(form, "&")))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := b.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return response.StatusCode, strings.TrimSpace(string(body))
}

var steps = []struct {
	path, form, want string
}{
	{"/", "", `200 user "", basket [],`},
	{"/empty", "_=", "409 nothing to empty"},
	{"/add", "item=tea", `200 user "", basket ["tea"], tea is in the basket`},
	{"/", "", `200 user "", basket ["tea"],`},
	{"/sign-in", "name=alice", `200 user "alice", basket ["tea"],`},
	{"/add", "item=rum", `200 user "alice", basket ["tea" "rum"], rum is in the basket`},
	{"/empty", "_=", `200 user "alice", basket [],`},
	{"/empty", "_=", "409 nothing to empty"},
	{"/sign-out", "_=", `200 user "", basket [],`},
	{"/sign-in", "name=bob&remember=on", `200 user "bob", basket [],`},
}

// each runs the test with every program.
func each(t *testing.T, test func(t *testing.T, server *httptest.Server)) {
	for name, handler := range programs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := redistest.Start(t).Addr()
			pool := &redis.Pool{MaxIdle: 8, Dial: func() (redis.Conn, error) { return redis.Dial("tcp", address) }}
			t.Cleanup(func() { _ = pool.Close() })
			h, err := handler(pool)
			if err != nil {
				t.Fatal(err)
			}
			server := httptest.NewTLSServer(h)
			t.Cleanup(server.Close)
			test(t, server)
		})
	}
}

func TestProgramAnswersAsBefore(t *testing.T) {
	each(t, func(t *testing.T, server *httptest.Server) {
		b := newBrowser(t, server)
		for _, step := range steps {
			form := slices.DeleteFunc([]string{step.form}, func(s string) bool { return s == "" })
			status, page := b.visit(step.path, form...)
			if got := fmt.Sprint(status, " ", page); got != step.want {
				t.Errorf("%s %s: %s, want %s", step.path, step.form, got, step.want)
			}
		}
	})
}

func TestOldCookiesLeadToNoUser(t *testing.T) {
	each(t, func(t *testing.T, server *httptest.Server) {
		b, thief := newBrowser(t, server), newBrowser(t, server)
		b.visit("/add", "item=tea")
		thief.Jar.SetCookies(b.url, b.Jar.Cookies(b.url))
		b.visit("/sign-in", "name=alice")
		if _, page := thief.visit("/"); strings.Contains(page, "alice") {
			t.Errorf("the cookie of before the sign-in gets %s", page)
		}
		thief.Jar.SetCookies(b.url, b.Jar.Cookies(b.url))
		if _, page := thief.visit("/"); !strings.Contains(page, "alice") {
			t.Errorf("the cookie of the sign-in gets %s", page)
		}
		b.visit("/sign-out", "_=")
		if _, page := thief.visit("/"); strings.Contains(page, "alice") {
			t.Errorf("the cookie of before the sign-out gets %s", page)
		}
	})
}

func TestRememberedCookieStays(t *testing.T) {
	each(t, func(t *testing.T, server *httptest.Server) {
		for form, want := range map[string]bool{"name=alice": false, "name=alice&remember=on": true} {
			b := newBrowser(t, server)
			b.CheckRedirect = func(next *http.Request, _ []*http.Request) error {
				for _, cookie := range next.Response.Cookies() {
					if stays := cookie.MaxAge > 0; stays != want {
						t.Errorf("%s: the cookie is %v", form, cookie)
					}
				}
				return nil
			}
			b.visit("/sign-in", form)
			if len(b.Jar.Cookies(b.url)) != 1 {
				t.Errorf("%s: the cookies are %v", form, b.Jar.Cookies(b.url))
			}
		}
	})
}
