package session_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/internal/testkit"
)

func TestSetCookieLine(t *testing.T) {
	tests := map[string]struct {
		cookie session.Cookie
		want   string // with the token replaced by T
	}{
		"default":       {session.Cookie{}, "__Host-session=T; Path=/; HttpOnly; Secure; SameSite=Lax"},
		"strict":        {session.Cookie{SameSite: http.SameSiteStrictMode}, "__Host-session=T; Path=/; HttpOnly; Secure; SameSite=Strict"},
		"none":          {session.Cookie{SameSite: http.SameSiteNoneMode}, "__Host-session=T; Path=/; HttpOnly; Secure; SameSite=None"},
		"partitioned":   {session.Cookie{Partitioned: true}, "__Host-session=T; Path=/; HttpOnly; Secure; SameSite=Lax; Partitioned"},
		"insecure HTTP": {session.Cookie{InsecureHTTP: true}, "session=T; Path=/; HttpOnly; SameSite=Lax"},
		"domain":        {session.Cookie{Domain: "example.com"}, "session=T; Path=/; Domain=example.com; HttpOnly; Secure; SameSite=Lax"},
		"path":          {session.Cookie{Path: "/app"}, "session=T; Path=/app; HttpOnly; Secure; SameSite=Lax"},
		"name":          {session.Cookie{Name: "id"}, "id=T; Path=/; HttpOnly; Secure; SameSite=Lax"},
		"secure prefix": {session.Cookie{Name: "__Secure-id", Domain: "example.com"}, "__Secure-id=T; Path=/; Domain=example.com; HttpOnly; Secure; SameSite=Lax"},
		"host http":     {session.Cookie{Name: "__Host-Http-id"}, "__Host-Http-id=T; Path=/; HttpOnly; Secure; SameSite=Lax"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b, _ := testkit.MiniRedis(t)
			manager := testkit.NewManager(t, session.Config{Store: b.Store, Lifetime: time.Hour, Cookie: test.cookie})
			response := testkit.Request(t, manager, nil, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { _ = s.Set("n", 1) })
			if len(response.Cookies()) != 1 {
				t.Fatalf("cookies %q", response.Header["Set-Cookie"])
			}
			got := strings.Replace(response.Header.Get("Set-Cookie"), response.Cookies()[0].Value, "T", 1)
			if got != test.want {
				t.Errorf("\ngot  %s\nwant %s", got, test.want)
			}
			if size := len(response.Header.Get("Set-Cookie")); size > 4096 {
				t.Errorf("%d bytes", size)
			}
		})
	}
}

func TestCookieFaults(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	tests := map[string]struct {
		cookie   session.Cookie
		mentions string
	}{
		"a name with a space":          {session.Cookie{Name: "my id"}, "invalid"},
		"__Host- with Domain":          {session.Cookie{Name: "__Host-id", Domain: "example.com"}, "forbids Domain"},
		"__Host- with Path":            {session.Cookie{Name: "__Host-id", Path: "/app"}, "demands the Path /"},
		"__Host- over HTTP":            {session.Cookie{Name: "__Host-id", InsecureHTTP: true}, "forbids InsecureHTTP"},
		"__host- in lower case":        {session.Cookie{Name: "__host-id", InsecureHTTP: true}, "forbids InsecureHTTP"},
		"__Host-Http- with Domain":     {session.Cookie{Name: "__Host-Http-id", Domain: "example.com"}, "forbids Domain"},
		"__Secure- over HTTP":          {session.Cookie{Name: "__Secure-id", InsecureHTTP: true}, "forbids InsecureHTTP"},
		"__Http- over HTTP":            {session.Cookie{Name: "__Http-id", InsecureHTTP: true}, "forbids InsecureHTTP"},
		"SameSite=None over HTTP":      {session.Cookie{SameSite: http.SameSiteNoneMode, InsecureHTTP: true}, "SameSite=None"},
		"Partitioned over HTTP":        {session.Cookie{Partitioned: true, InsecureHTTP: true}, "Partitioned"},
		"SameSite left to the browser": {session.Cookie{SameSite: http.SameSiteDefaultMode}, "SameSite"},
		"an unknown SameSite":          {session.Cookie{SameSite: 9}, "SameSite"},
		"a Domain with a port":         {session.Cookie{Domain: "localhost:80"}, "Domain"},
		"a Path without a slash":       {session.Cookie{Path: "app"}, "slash"},
		"a Path with a semicolon":      {session.Cookie{Path: "/a;b"}, "Path"},
		"a Name that is too long":      {session.Cookie{Name: strings.Repeat("n", 4096-42)}, "4096"},
		"a Path that is too long":      {session.Cookie{Path: "/" + strings.Repeat("p", 1024)}, "1024"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := session.New(session.Config{Store: b.Store, Cookie: test.cookie})
			if err == nil || !strings.Contains(err.Error(), test.mentions) || !strings.HasPrefix(err.Error(), "session: Config.") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// RFC 6265bis, section 4.1.1: a response has no two Set-Cookie lines of one name, whatever the handler did.
func TestOneSetCookieForAnyOrderOfChanges(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	manager := testkit.NewManager(t, session.Config{Store: b.Store})
	works := map[string]func(w http.ResponseWriter, r *http.Request, s *session.Session){
		"set": func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
			_ = s.Set("n", time.Now().UnixNano())
		},
		"renew":   func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { _ = s.Renew() },
		"destroy": func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { s.Destroy() },
		"save":    func(_ http.ResponseWriter, r *http.Request, s *session.Session) { _ = s.Sync(r.Context()) },
		"own cookies": func(w http.ResponseWriter, _ *http.Request, _ *session.Session) {
			http.SetCookie(w, &http.Cookie{Name: "__Host-session", Value: "mine"})
			http.SetCookie(w, &http.Cookie{Name: "theme", Value: "dark"})
		},
	}
	for first := range works {
		for second := range works {
			for third := range works {
				name := first + ", " + second + ", " + third
				cookies, _ := testkit.Begin(t, manager, map[string]any{"n": 1})
				response := testkit.Request(t, manager, cookies, func(w http.ResponseWriter, r *http.Request, s *session.Session) {
					for _, work := range []string{first, second, third} {
						works[work](w, r, s)
					}
				})
				count := 0
				for _, cookie := range response.Cookies() {
					if cookie.Name == "__Host-session" && cookie.Value != "mine" {
						count++
					}
				}
				if count > 1 {
					t.Errorf("%s: %q", name, response.Header["Set-Cookie"])
				}
				if strings.Contains(name, "destroy") && count != 1 {
					t.Errorf("%s: %q", name, response.Header["Set-Cookie"])
				}
				if strings.Contains(name, "own") && !strings.Contains(strings.Join(response.Header["Set-Cookie"], "\n"), "theme=dark") {
					t.Errorf("%s: another cookie is gone: %q", name, response.Header["Set-Cookie"])
				}
			}
		}
	}
}
