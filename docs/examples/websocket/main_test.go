package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"sync"
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

// ends are what may happen to a session while its connection is open, and what the client is told.
var ends = map[string]struct {
	end  func(s *site)
	code coder.StatusCode
	why  string
}{
	"sign-out": {func(s *site) { s.post("/sign-out") }, coder.StatusPolicyViolation, "over"},
	"an operator": {func(s *site) {
		s.store.looks.Lock()
		defer s.store.looks.Unlock()
		if err := s.sessions.EndAll(s.ctx, "alice", session.ByOperator); err != nil {
			s.t.Error(err)
		}
	}, coder.StatusPolicyViolation, "by_operator"},
	"expiry":  {func(s *site) { s.redis.FastForward(31 * time.Minute) }, coder.StatusPolicyViolation, "over"},
	"renewal": {func(s *site) { s.post("/sign-in") }, coder.StatusServiceRestart, "connect again"},
}

func TestEndOfTheSessionClosesASilentConnection(t *testing.T) {
	for _, path := range paths {
		for name, end := range ends {
			t.Run(path[1:]+" "+name, func(t *testing.T) {
				site := newSite(t)
				site.post("/sign-in")
				conn, _ := site.dial(path)
				end.end(site)
				var closed coder.CloseError
				if _, _, err := conn.Read(site.ctx); !errors.As(err, &closed) || closed.Code != end.code || closed.Reason != end.why {
					t.Errorf("%v", err)
				}
			})
		}
	}
}

// A message finds the end before a look does.
func TestMessageAfterASignOutEndsTheConnection(t *testing.T) {
	for _, path := range paths {
		site := newSiteThatLooks(t, time.Hour)
		conn, _ := site.dial(path)
		site.ask(conn)
		site.post("/sign-out")
		_ = conn.Write(site.ctx, coder.MessageText, []byte("hello"))
		if _, _, err := conn.Read(site.ctx); coder.CloseStatus(err) != coder.StatusPolicyViolation {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// The connection has begun the session itself.
func TestSignOutEndsASessionOfAVisitor(t *testing.T) {
	for _, path := range paths {
		site := newSite(t)
		conn, _ := site.dial(path)
		site.ask(conn)
		site.post("/sign-out")
		if _, _, err := conn.Read(site.ctx); coder.CloseStatus(err) != coder.StatusPolicyViolation {
			t.Errorf("%s: %v", path, err)
		}
		if keys := site.redis.Keys(); len(keys) != 0 {
			t.Errorf("%s: sessions %q", path, keys)
		}
	}
}

func TestEndOfTheSessionIsTheLastEvent(t *testing.T) {
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			site := newSite(t)
			site.post("/sign-in")
			stream := site.events()
			end.end(site)
			want := ""
			if end.code == coder.StatusPolicyViolation {
				want = "event: signed-out\ndata: " + end.why + "\n\n"
			}
			if got, err := io.ReadAll(stream.Body); err != nil || string(got) != want {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

func TestEventsBeginASession(t *testing.T) {
	site := newSite(t)
	stream := site.events()
	if got := stream.Header; !strings.HasPrefix(got.Get("Set-Cookie"), "__Host-session=") || got.Get("Content-Type") != "text/event-stream" {
		t.Errorf("header %v", got)
	}
	site.post("/sign-out")
	if got, err := io.ReadAll(stream.Body); err != nil || string(got) != "event: signed-out\ndata: over\n\n" {
		t.Errorf("%q, %v", got, err)
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
	t        *testing.T
	ctx      context.Context
	server   *httptest.Server
	redis    *miniredis.Miniredis
	client   *http.Client
	sessions *session.Manager
	store    *watchedStore
}

// A watchedStore has no look while its lock is held. Between the two commands of an EndAll a look finds no reason yet.
type watchedStore struct {
	*redisstore.Store
	looks sync.RWMutex
}

func (s *watchedStore) Peek(ctx context.Context, id string) ([]byte, time.Duration, error) {
	s.looks.RLock()
	defer s.looks.RUnlock()
	return s.Store.Peek(ctx, id)
}

func newSite(t *testing.T) *site {
	t.Helper()
	return newSiteThatLooks(t, 10*time.Millisecond)
}

func newSiteThatLooks(t *testing.T, interval time.Duration) *site {
	t.Helper()
	redis := miniredis.RunT(t)
	store, err := redisstore.Open(redis.Addr(), redisstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	watched := &watchedStore{Store: store}
	sessions, err := session.New(session.Config{Store: watched})
	if err != nil {
		t.Fatal(err)
	}
	routes := http.NewServeMux()
	routes.Handle("/", (&app{sessions, interval}).routes())
	routes.Handle("POST /sign-in", sessions.HandlerFunc(func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		if err := s.SignIn(session.SignIn{User: "alice"}); err != nil {
			t.Error(err)
		}
	}))
	server := httptest.NewTLSServer(routes)
	t.Cleanup(server.Close)
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := *server.Client()
	client.Jar = jar
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return &site{t, ctx, server, redis, &client, sessions, watched}
}

func (s *site) post(path string) {
	s.t.Helper()
	response, err := s.client.Post(s.server.URL+path, "", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = response.Body.Close()
}

// events opens the stream.
func (s *site) events() *http.Response {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.ctx, http.MethodGet, s.server.URL+"/events", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	response, err := s.client.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = response.Body.Close() })
	return response
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
