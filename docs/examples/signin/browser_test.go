package main

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/redisstore"
)

// A site is the example over HTTPS, as the cookie demands, and its Redis.
type site struct {
	t      *testing.T
	server *httptest.Server
	redis  *miniredis.Miniredis
}

func newSite(t *testing.T) *site {
	t.Helper()
	redis := miniredis.RunT(t)
	store, err := redisstore.Open(redis.Addr(), redisstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	sessions, err := session.New(session.Config{Store: store})
	if err != nil {
		t.Fatal(err)
	}
	accounts := newPasswords(1)
	for name, password := range secrets {
		if err := accounts.set(name, password); err != nil {
			t.Fatal(err)
		}
	}
	server := httptest.NewTLSServer(routes(sessions, accounts))
	t.Cleanup(server.Close)
	return &site{t, server, redis}
}

func (s *site) wantEmptyRedis() {
	s.t.Helper()
	if keys := s.redis.Keys(); len(keys) != 0 {
		s.t.Errorf("Redis has %q, want nothing", keys)
	}
}

// A browser keeps cookies and follows no redirects.
type browser struct {
	t      *testing.T
	client *http.Client
	url    string
}

func (s *site) browser() *browser {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	transport := s.server.Client().Transport.(*http.Transport).Clone()
	transport.ExpectContinueTimeout = time.Minute // for startSlowly
	s.t.Cleanup(transport.CloseIdleConnections)
	return &browser{s.t, &http.Client{
		Transport:     transport,
		Jar:           jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, s.server.URL}
}

// request is what a page of the site itself makes a browser send. The form is names and values in turn.
func (b *browser) request(method, path string, form ...string) *http.Request {
	b.t.Helper()
	values := url.Values{}
	for i := 0; i < len(form); i += 2 {
		values.Set(form[i], form[i+1])
	}
	request, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, strings.NewReader(values.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	request.Header.Set("Sec-Fetch-Site", "same-origin")
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return request
}

func (b *browser) get(path string) answer {
	b.t.Helper()
	return b.do(b.request("GET", path))
}

func (b *browser) post(path string, form ...string) answer {
	b.t.Helper()
	return b.do(b.request("POST", path, form...))
}

func (b *browser) signIn(name string) {
	b.t.Helper()
	b.post("/sign-in", "name", name, "password", secrets[name]).wantRedirect("/")
}

func (b *browser) do(request *http.Request) answer {
	b.t.Helper()
	a, err := b.try(request)
	if err != nil {
		b.t.Fatal(err)
	}
	return a
}

func (b *browser) try(request *http.Request) (answer, error) {
	response, err := b.client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return answer{b.t, response, string(body)}, err
}

// startSlowly posts a form and returns when the handler is waiting for it, with its session loaded. The form is sent, and
// the answer returned, when finish is called.
func (b *browser) startSlowly(path string, form ...string) (finish func() answer) {
	b.t.Helper()
	request := b.request("POST", path, form...)
	body := &slowBody{ReadCloser: request.Body, asked: make(chan struct{}), send: make(chan struct{})}
	request.Body, request.GetBody = body, nil
	request.Header.Set("Expect", "100-continue") // the server says "continue" when the handler begins to read
	var (
		a    answer
		err  error
		done = make(chan struct{})
	)
	go func() {
		defer close(done)
		a, err = b.try(request)
	}()
	select {
	case <-body.asked:
	case <-done:
		b.t.Fatalf("the request ended without its form: %v", err)
	}
	return func() answer {
		b.t.Helper()
		close(body.send)
		<-done
		if err != nil {
			b.t.Fatal(err)
		}
		return a
	}
}

// slowBody tells when it is read for the first time, and waits.
type slowBody struct {
	io.ReadCloser
	once        sync.Once
	asked, send chan struct{}
}

func (s *slowBody) Read(p []byte) (int, error) {
	s.once.Do(func() {
		close(s.asked)
		<-s.send
	})
	return s.ReadCloser.Read(p)
}

// token is the value of the session's cookie, or "".
func (b *browser) token() string {
	b.t.Helper()
	for _, cookie := range b.client.Jar.Cookies(b.address()) {
		if cookie.Name == cookieName {
			return cookie.Value
		}
	}
	return ""
}

// plant gives the browser another's cookie.
func (b *browser) plant(token string) {
	b.t.Helper()
	b.client.Jar.SetCookies(b.address(), []*http.Cookie{{Name: cookieName, Value: token, Path: "/", Secure: true}})
}

func (b *browser) address() *url.URL {
	b.t.Helper()
	address, err := url.Parse(b.url)
	if err != nil {
		b.t.Fatal(err)
	}
	return address
}

type answer struct {
	t *testing.T
	*http.Response
	body string
}

// sessionCookie is what the answer sets the session's cookie to, or nil.
func (a answer) sessionCookie() *http.Cookie {
	for _, cookie := range a.Cookies() {
		if cookie.Name == cookieName {
			return cookie
		}
	}
	return nil
}

func (a answer) wantRedirect(to string) {
	a.t.Helper()
	if got := a.Header.Get("Location"); a.StatusCode != 303 || got != to {
		a.t.Errorf("%s %s: %d to %q, want 303 to %q: %s", a.Request.Method, a.Request.URL, a.StatusCode, got, to, a.body)
	}
}

func (a answer) wantPage(with string) {
	a.t.Helper()
	if a.StatusCode != 200 || !strings.Contains(a.body, with) {
		a.t.Errorf("%s %s: %d, want 200 with %q: %s", a.Request.Method, a.Request.URL, a.StatusCode, with, a.body)
	}
}

func (a answer) wantPageWithout(text string) {
	a.t.Helper()
	if a.StatusCode != 200 || strings.Contains(a.body, text) {
		a.t.Errorf("%s %s: %d, want 200 without %q: %s", a.Request.Method, a.Request.URL, a.StatusCode, text, a.body)
	}
}
