// Package visit is what the tests of the examples have in common: a program that serves over TLS, and its visitors.
package visit

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/redisstore"
)

// Serve runs the routes over HTTPS, as the cookie demands, with a Redis of their own.
func Serve(t *testing.T, routes func(*session.Manager) http.Handler) (*httptest.Server, *miniredis.Miniredis) {
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
	server := httptest.NewTLSServer(routes(sessions))
	t.Cleanup(server.Close)
	return server, redis
}

// A Visitor is a client with a cookie jar of its own.
type Visitor struct {
	t      *testing.T
	client *http.Client
	url    string
}

// New returns a Visitor of server.
func New(t *testing.T, server *httptest.Server) Visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := *server.Client()
	client.Jar = jar
	return Visitor{t, &client, server.URL}
}

// Get wants the page at path to have this status and body.
func (v Visitor) Get(path string, status int, body string) {
	v.t.Helper()
	v.want("GET", path, status, body)
}

// Post sends an empty form to path, and wants the page that follows to have this status and body.
func (v Visitor) Post(path string, status int, body string) {
	v.t.Helper()
	v.want("POST", path, status, body)
}

func (v Visitor) want(method, path string, status int, body string) {
	v.t.Helper()
	if gotStatus, gotBody := v.ask(method, path, nil); gotStatus != status || gotBody != body {
		v.t.Errorf("%s %s: %d %q, want %d %q", method, path, gotStatus, gotBody, status, body)
	}
}

// Click is Post, whatever the page says.
func (v Visitor) Click(path string) {
	v.t.Helper()
	v.ask("POST", path, nil)
}

// ClickElsewhere is a Post that another site caused. It returns the status.
func (v Visitor) ClickElsewhere(path string) int {
	v.t.Helper()
	status, _ := v.ask("POST", path, http.Header{"Sec-Fetch-Site": {"cross-site"}})
	return status
}

func (v Visitor) ask(method, path string, header http.Header) (status int, body string) {
	v.t.Helper()
	request, err := http.NewRequestWithContext(v.t.Context(), method, v.url+path, nil)
	if err != nil {
		v.t.Error(err)
		return 0, ""
	}
	if header != nil {
		request.Header = header
	}
	response, err := v.client.Do(request)
	if err != nil {
		v.t.Error(err)
		return 0, ""
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		v.t.Error(err)
	}
	return response.StatusCode, string(text)
}
