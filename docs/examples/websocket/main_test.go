package main

import (
	"context"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	coder "github.com/coder/websocket"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/redisstore"
)

var paths = []string{"/gorilla", "/coder"}

func TestHandshakeBeginsASession(t *testing.T) {
	for _, path := range paths {
		site := newSite(t)
		conn, handshake := site.dial(path)
		if got := handshake.Header.Get("Set-Cookie"); !strings.HasPrefix(got, "__Host-session=") {
			t.Errorf("%s: Set-Cookie %q", path, got)
		}
		for _, want := range []string{"1", "2"} {
			if got := site.ask(conn); got != want {
				t.Errorf("%s: %q, want %s", path, got, want)
			}
		}
		again, handshake := site.dial(path)
		if got := site.ask(again); got != "3" || handshake.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %q over a second connection, whose handshake says %v", path, got, handshake.Header)
		}
		if keys := site.redis.Keys(); len(keys) != 1 {
			t.Errorf("%s: sessions %q", path, keys)
		}
	}
}

func TestSignOutEndsTheConnection(t *testing.T) {
	for _, path := range paths {
		site := newSite(t)
		conn, _ := site.dial(path)
		site.ask(conn)
		response, err := site.client.Post(site.server.URL+"/sign-out", "", nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		_ = conn.Write(site.ctx, coder.MessageText, []byte("hello"))
		if _, _, err := conn.Read(site.ctx); coder.CloseStatus(err) != coder.StatusPolicyViolation {
			t.Errorf("%s: %v", path, err)
		}
		if keys := site.redis.Keys(); len(keys) != 0 {
			t.Errorf("%s: sessions %q", path, keys)
		}
	}
}

func TestRedisDown(t *testing.T) {
	for _, path := range paths {
		site := newSite(t)
		site.redis.SetError("LOADING Redis is loading the dataset in memory")
		_, handshake, err := coder.Dial(site.ctx, site.server.URL+path, &coder.DialOptions{HTTPClient: site.client})
		if err == nil || handshake.StatusCode != http.StatusServiceUnavailable || handshake.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %v, %v", path, err, handshake)
		}
	}
}

func TestOtherSitesAreRefusedAndBeginNoSession(t *testing.T) {
	for _, path := range paths {
		site := newSite(t)
		options := &coder.DialOptions{HTTPClient: site.client, HTTPHeader: http.Header{"Origin": {"https://attacker.example"}}}
		_, handshake, err := coder.Dial(site.ctx, site.server.URL+path, options)
		if err == nil || handshake.StatusCode != http.StatusForbidden || handshake.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %v, %v", path, err, handshake)
		}
		if keys := site.redis.Keys(); len(keys) != 0 {
			t.Errorf("%s: sessions %q", path, keys)
		}
	}
}

// A site is the example over HTTPS, its Redis, and a browser.
type site struct {
	t      *testing.T
	ctx    context.Context
	server *httptest.Server
	redis  *miniredis.Miniredis
	client *http.Client
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
	server := httptest.NewTLSServer(routes(sessions))
	t.Cleanup(server.Close)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := *server.Client()
	client.Jar = jar
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return &site{t, ctx, server, redis, &client}
}

func (s *site) dial(path string) (*coder.Conn, *http.Response) {
	s.t.Helper()
	conn, handshake, err := coder.Dial(s.ctx, s.server.URL+path, &coder.DialOptions{HTTPClient: s.client})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.CloseNow() })
	return conn, handshake
}

func (s *site) ask(conn *coder.Conn) string {
	s.t.Helper()
	if err := conn.Write(s.ctx, coder.MessageText, []byte("hello")); err != nil {
		s.t.Fatal(err)
	}
	_, answer, err := conn.Read(s.ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(answer)
}
