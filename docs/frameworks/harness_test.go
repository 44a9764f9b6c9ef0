// Package frameworks has tests alone: session's Handler around and within the routers, middlewares and libraries that
// are used most, over HTTP/1 and HTTP/2.
package frameworks

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/gin-gonic/gin"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/redisstore"
)

func TestMain(m *testing.M) {
	gin.SetMode(gin.ReleaseMode)
	gin.DefaultErrorWriter = io.Discard
	log.SetOutput(io.Discard)
	os.Exit(m.Run())
}

const visits = session.Key[int]("visits")

func newManager(t *testing.T) (*session.Manager, *miniredis.Miniredis) {
	t.Helper()
	redis := miniredis.RunT(t)
	store, err := redisstore.Open(redis.Addr(), redisstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	manager, err := session.New(session.Config{Store: store})
	if err != nil {
		t.Fatal(err)
	}
	return manager, redis
}

// visit counts the visits of a session, and returns their number.
func visit(t *testing.T, ctx context.Context) int {
	t.Helper()
	s, err := session.Load(ctx)
	if err != nil {
		t.Errorf("Load: %v", err)
		return 0
	}
	if err := visits.Update(s, func(n int) int { return n + 1 }); err != nil {
		t.Errorf("Update: %v", err)
	}
	n, _ := visits.Get(s)
	return n
}

// protocols are what the clients of the tests speak.
var protocols = []string{"HTTP/1.1", "HTTP/2.0"}

func serve(t *testing.T, handler http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.EnableHTTP2 = true
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// newClient returns a client that keeps cookies and speaks the protocol.
func newClient(t *testing.T, server *httptest.Server, protocol string) *http.Client {
	t.Helper()
	transport := server.Client().Transport.(*http.Transport).Clone()
	if protocol == "HTTP/1.1" {
		transport.ForceAttemptHTTP2 = false
		transport.TLSClientConfig.NextProtos = []string{"http/1.1"}
		transport.Protocols = new(http.Protocols)
		transport.Protocols.SetHTTP1(true)
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Jar: newJar(t)}
}

func newJar(t *testing.T) http.CookieJar {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return jar
}

type answer struct {
	*http.Response
	body string
	err  error // of reading the body
}

func do(t *testing.T, client *http.Client, request *http.Request) answer {
	t.Helper()
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return answer{response, string(body), err}
}

func get(t *testing.T, client *http.Client, url string) answer {
	t.Helper()
	return do(t, client, newRequest(t, "GET", url, nil))
}

func newRequest(t *testing.T, method, url string, body io.Reader) *http.Request {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return request
}

// setsSession reports whether these headers set the session's cookie.
func setsSession(header http.Header) bool {
	for _, line := range header["Set-Cookie"] {
		if strings.HasPrefix(line, "__Host-session=") && !strings.HasPrefix(line, "__Host-session=;") {
			return true
		}
	}
	return false
}
