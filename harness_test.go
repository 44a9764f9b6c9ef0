package session_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/gomodule/redigo/redis"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/redistest"
	"github.com/sessionkv/session/redisstore"
)

// A backend is a Redis that a test looks into and its store.
type backend struct {
	address string
	store   *redisstore.Store
	do      func(command string, args ...any) any // as redis-cli
	mini    *miniredis.Miniredis                  // nil for a redis-server
}

func (b backend) get(t *testing.T, id string) string {
	t.Helper()
	value, err := redis.String(b.do("GET", "session:"+id), nil)
	if err != nil && err != redis.ErrNil {
		t.Fatal(err)
	}
	return value
}

func (b backend) keys(t *testing.T) []string {
	t.Helper()
	keys, err := redis.Strings(b.do("KEYS", "*"), nil)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func newBackend(t *testing.T, address string) backend {
	t.Helper()
	store, err := redisstore.Open(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	conn, err := redis.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	var mu sync.Mutex
	return backend{address: address, store: store, do: func(command string, args ...any) any {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		reply, err := conn.Do(command, args...)
		if err != nil {
			t.Errorf("%s: %v", command, err)
		}
		return reply
	}}
}

func miniRedis(t *testing.T) (backend, *miniredis.Miniredis) {
	t.Helper()
	server := miniredis.RunT(t)
	b := newBackend(t, server.Addr())
	b.mini = server
	return b, server
}

// onEachRedis runs a test on miniredis and, where it is installed, on a redis-server.
func onEachRedis(t *testing.T, test func(t *testing.T, b backend)) {
	t.Run("miniredis", func(t *testing.T) {
		b, _ := miniRedis(t)
		test(t, b)
	})
	t.Run("redis-server", func(t *testing.T) {
		test(t, newBackend(t, redistest.Start(t).Addr()))
	})
}

func newManager(t testing.TB, config session.Config) *session.Manager {
	t.Helper()
	manager, err := session.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return manager
}

// load is session.Load where a failure ends the test.
func load(t *testing.T, r *http.Request) *session.Session {
	t.Helper()
	s, err := session.Load(r.Context())
	if err != nil {
		t.Errorf("Load: %v", err)
		panic(http.ErrAbortHandler)
	}
	return s
}

// routes serves the handlers by their paths over HTTPS.
type routes map[string]func(w http.ResponseWriter, r *http.Request)

func (routes routes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	handler, ok := routes[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	handler(w, r)
}

func serve(t *testing.T, handler http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.EnableHTTP2 = true
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	t.Cleanup(server.Close)
	return server
}

// A browser keeps cookies and follows no redirects.
type browser struct {
	t      *testing.T
	client *http.Client
	url    string
}

func newBrowser(t *testing.T, server *httptest.Server) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := *server.Client()
	client.Jar = jar
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &browser{t, &client, server.URL}
}

type answer struct {
	*http.Response
	body string
}

// setCookie returns the line of the response that sets or clears the session's cookie, or "".
func (a answer) setCookie() string {
	for _, line := range a.Header["Set-Cookie"] {
		if strings.HasPrefix(line, "__Host-session=") {
			return line
		}
	}
	return ""
}

func (b *browser) get(path string) answer {
	b.t.Helper()
	response, err := b.client.Get(b.url + path)
	if err != nil {
		b.t.Fatalf("GET %s: %v", path, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatalf("GET %s: %v", path, err)
	}
	return answer{response, string(body)}
}

// start begins a request whose handler is going to wait.
func (b *browser) start(path string) <-chan answer {
	done := make(chan answer, 1)
	go func() {
		defer close(done)
		done <- b.get(path)
	}()
	return done
}

func (b *browser) token() string {
	b.t.Helper()
	address, err := url.Parse(b.url)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, cookie := range b.client.Jar.Cookies(address) {
		if cookie.Name == "__Host-session" {
			return cookie.Value
		}
	}
	return ""
}

// gate makes a handler wait at a point of its work until the test lets it go on.
type gate struct{ reached, open chan struct{} }

func newGate() gate { return gate{make(chan struct{}), make(chan struct{})} }

func (g gate) wait() {
	close(g.reached)
	<-g.open
}

// logs is a logger whose output a test reads.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *logs) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// A faultyStore fails when it is told to, before or after the operation has taken place, and counts its calls.
type faultyStore struct {
	driver.Store
	mu                    sync.Mutex
	loads, saves, deletes int
	beforeSave            func() error
	afterSave             func() error
	onLoad                func() error
	onDelete              func() error
}

func (f *faultyStore) hook(hook func() error, count *int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if count != nil {
		*count++
	}
	if hook == nil {
		return nil
	}
	return hook()
}

func (f *faultyStore) Load(ctx context.Context, id string, ttl time.Duration) ([]byte, error) {
	if err := f.hook(f.onLoad, &f.loads); err != nil {
		return nil, err
	}
	return f.Store.Load(ctx, id, ttl)
}

func (f *faultyStore) Save(ctx context.Context, id string, was, value []byte, ttl time.Duration) ([]byte, error) {
	if err := f.hook(f.beforeSave, &f.saves); err != nil {
		return nil, err
	}
	current, err := f.Store.Save(ctx, id, was, value, ttl)
	if err := f.hook(f.afterSave, nil); err != nil {
		return nil, err
	}
	return current, err
}

func (f *faultyStore) Delete(ctx context.Context, id string) ([]byte, error) {
	if err := f.hook(f.onDelete, &f.deletes); err != nil {
		return nil, err
	}
	return f.Store.Delete(ctx, id)
}

// calls returns the calls of each kind since the last time it was asked.
func (f *faultyStore) calls() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	calls := fmt.Sprintf("%d loads, %d saves, %d deletes", f.loads, f.saves, f.deletes)
	f.loads, f.saves, f.deletes = 0, 0, 0
	return calls
}
