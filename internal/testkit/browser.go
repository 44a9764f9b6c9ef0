package testkit

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// CookieName is that of the session's cookie, unless the Config says otherwise.
const CookieName = "__Host-session"

// Routes serves handlers by their paths.
type Routes map[string]func(w http.ResponseWriter, r *http.Request)

func (routes Routes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	handler, ok := routes[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	handler(w, r)
}

// Serve serves handler over HTTPS, with HTTP/2, until the test ends.
func Serve(t testing.TB, handler http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.EnableHTTP2 = true
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// A Browser keeps cookies and follows no redirects.
type Browser struct {
	Client *http.Client
	t      testing.TB
	url    string
}

// NewBrowser returns a Browser that visits server.
func NewBrowser(t testing.TB, server *httptest.Server) *Browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := *server.Client()
	client.Jar = jar
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Browser{&client, t, server.URL}
}

// An Answer is a response and the text of its body.
type Answer struct {
	*http.Response
	Text string
}

// SetCookie returns the line of the response that sets or clears the session's cookie, or "".
func (a Answer) SetCookie() string {
	for _, line := range a.Header["Set-Cookie"] {
		if strings.HasPrefix(line, CookieName+"=") {
			return line
		}
	}
	return ""
}

// Get visits a path.
func (b *Browser) Get(path string) Answer {
	b.t.Helper()
	response, err := b.Client.Get(b.url + path)
	if err != nil {
		b.t.Errorf("GET %s: %v", path, err)
		return Answer{Response: &http.Response{Header: http.Header{}}}
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Errorf("GET %s: %v", path, err)
	}
	return Answer{response, string(text)}
}

// Start begins a Get whose handler is going to wait.
func (b *Browser) Start(path string) <-chan Answer {
	done := make(chan Answer, 1)
	go func() {
		defer close(done)
		done <- b.Get(path)
	}()
	return done
}

// Token returns what the Browser has in the session's cookie, or "".
func (b *Browser) Token() string {
	b.t.Helper()
	address, err := url.Parse(b.url)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, cookie := range b.Client.Jar.Cookies(address) {
		if cookie.Name == CookieName {
			return cookie.Value
		}
	}
	return ""
}
