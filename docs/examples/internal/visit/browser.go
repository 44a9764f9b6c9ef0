package visit

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
)

// cookieName is what the session's cookie is called over HTTPS.
const cookieName = "__Host-session"

// A Browser keeps cookies and follows no redirects.
type Browser struct {
	t      *testing.T
	client *http.Client
	url    string
}

// NewBrowser returns a Browser for server.
func NewBrowser(t *testing.T, server *httptest.Server) *Browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := server.Client().Transport.(*http.Transport).Clone()
	transport.ExpectContinueTimeout = time.Minute // for StartSlowly
	t.Cleanup(transport.CloseIdleConnections)
	return &Browser{t, &http.Client{
		Transport:     transport,
		Jar:           jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, server.URL}
}

// Request is what a page of the site itself makes a browser send. The form is names and values in turn.
func (b *Browser) Request(method, path string, form ...string) *http.Request {
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

// Get asks for a page.
func (b *Browser) Get(path string) Answer {
	b.t.Helper()
	return b.Do(b.Request("GET", path))
}

// Post sends a form, as Request describes it.
func (b *Browser) Post(path string, form ...string) Answer {
	b.t.Helper()
	return b.Do(b.Request("POST", path, form...))
}

// Do sends a request.
func (b *Browser) Do(request *http.Request) Answer {
	b.t.Helper()
	a, err := b.try(request)
	if err != nil {
		b.t.Fatal(err)
	}
	return a
}

func (b *Browser) try(request *http.Request) (Answer, error) {
	response, err := b.client.Do(request)
	if err != nil {
		return Answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return Answer{b.t, response, string(body)}, err
}

// StartSlowly posts a form and returns when the handler is waiting for it, with its session loaded. The form is sent, and
// the answer returned, when finish is called.
func (b *Browser) StartSlowly(path string, form ...string) (finish func() Answer) {
	b.t.Helper()
	request := b.Request("POST", path, form...)
	body := &slowBody{ReadCloser: request.Body, asked: make(chan struct{}), send: make(chan struct{})}
	request.Body, request.GetBody = body, nil
	request.Header.Set("Expect", "100-continue") // the server says "continue" when the handler begins to read
	var (
		a    Answer
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
	return func() Answer {
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

// Token is the value of the session's cookie, or "".
func (b *Browser) Token() string {
	b.t.Helper()
	for _, cookie := range b.client.Jar.Cookies(b.address()) {
		if cookie.Name == cookieName {
			return cookie.Value
		}
	}
	return ""
}

// Plant gives the browser another's cookie.
func (b *Browser) Plant(token string) {
	b.t.Helper()
	b.client.Jar.SetCookies(b.address(), []*http.Cookie{{Name: cookieName, Value: token, Path: "/", Secure: true}})
}

func (b *Browser) address() *url.URL {
	b.t.Helper()
	address, err := url.Parse(b.url)
	if err != nil {
		b.t.Fatal(err)
	}
	return address
}

// An Answer is a response and its body.
type Answer struct {
	t *testing.T
	*http.Response
	Body string
}

// SessionCookie is what the answer sets the session's cookie to, or nil.
func (a Answer) SessionCookie() *http.Cookie {
	for _, cookie := range a.Cookies() {
		if cookie.Name == cookieName {
			return cookie
		}
	}
	return nil
}

// WantRedirect wants the answer to lead to another page.
func (a Answer) WantRedirect(to string) {
	a.t.Helper()
	if got := a.Header.Get("Location"); a.StatusCode != 303 || got != to {
		a.t.Errorf("%s %s: %d to %q, want 303 to %q: %s", a.Request.Method, a.Request.URL, a.StatusCode, got, to, a.Body)
	}
}

// WantPage wants the answer to be a page that has this in it.
func (a Answer) WantPage(with string) {
	a.t.Helper()
	if a.StatusCode != 200 || !strings.Contains(a.Body, with) {
		a.t.Errorf("%s %s: %d, want 200 with %q: %s", a.Request.Method, a.Request.URL, a.StatusCode, with, a.Body)
	}
}

// WantPageWithout wants the answer to be a page that has not this in it.
func (a Answer) WantPageWithout(text string) {
	a.t.Helper()
	if a.StatusCode != 200 || strings.Contains(a.Body, text) {
		a.t.Errorf("%s %s: %d, want 200 without %q: %s", a.Request.Method, a.Request.URL, a.StatusCode, text, a.Body)
	}
}

// WantAskAgain wants the answer to a request whose cookie another request has just replaced.
func (a Answer) WantAskAgain() {
	a.t.Helper()
	if a.StatusCode != 503 || a.Header.Get("Retry-After") != "1" || a.SessionCookie() != nil {
		a.t.Errorf("%s %s: %d %v, want 503 with Retry-After", a.Request.Method, a.Request.URL, a.StatusCode, a.Header)
	}
}
