package session_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/internal/redistest"
	"github.com/sessionkv/session/internal/testkit"
)

// saveAfter are commands, and behind them those that replace a small value.
func saveAfter(t *testing.T, server *redistest.Server, commands ...string) []string {
	if server.HasIfEqual(t) {
		return append(commands, "SET")
	}
	return append(commands, "SET", "EVALSHA")
}

func TestRedisCommandsOfEachKindOfRequest(t *testing.T) {
	server := redistest.Start(t)
	b := testkit.NewBackend(t, server.Addr())
	manager := testkit.NewManager(t, session.Config{Store: b.Store})
	cookies, _ := testkit.Begin(t, manager, map[string]any{"n": 1})
	testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { _ = s.Set("n", 2) }) // loads the script
	tests := []struct {
		name    string
		cookies []*http.Cookie
		handler func(s *session.Session)
		want    []string
	}{
		{"no cookie, reading", nil, func(s *session.Session) { s.Keys() }, nil},
		{"reading", cookies, func(s *session.Session) { s.Keys() }, []string{"GETEX"}},
		{"Set of the same value", cookies, func(s *session.Session) { _ = s.Set("n", 2) }, []string{"GETEX"}},
		{"writing", cookies, func(s *session.Session) { _ = s.Set("n", 3) }, saveAfter(t, server, "GETEX")},
		{"a new session", nil, func(s *session.Session) { _ = s.Set("n", 1) }, []string{"SET"}},
		{"renewing", cookies, func(s *session.Session) { _ = s.Renew() }, saveAfter(t, server, "GETEX", "SET")},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := server.Commands(t, func() {
				testkit.Request(t, manager, test.cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { test.handler(s) })
			})
			if !slices.Equal(got, test.want) {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
	destroy := func() {
		cookies, _ := testkit.Begin(t, manager, map[string]any{"n": 1})
		testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { s.Destroy() })
	}
	destroy() // loads the script
	if got := server.Commands(t, destroy); !slices.Equal(got, []string{"SET", "GETEX", "EVALSHA"}) {
		t.Errorf("beginning and destroying: %q", got)
	}
}

// A session of a user costs one small command more in the flush of its load; one of nobody what it cost before.
func TestRedisCommandsOfAUser(t *testing.T) {
	server := redistest.Start(t)
	b := testkit.NewBackend(t, server.Addr())
	manager := testkit.NewManager(t, session.Config{Store: b.Store})
	d := testkit.NewDevice(t, manager)
	none := func(*session.Session) error { return nil }
	signIn := func(s *session.Session) error { return s.SignIn(session.SignIn{User: "alice"}) }
	renewed := append(saveAfter(t, server, "ZRANK", "GETEX", "SET"), "GETEX", "EVALSHA")
	steps := []struct {
		name    string
		handler func(s *session.Session) error
		want    []string
	}{
		{"sign-in", signIn, []string{"SET", "GETEX", "ZRANGE", "GETEX", "EVALSHA"}},
		{"reading", none, []string{"ZRANK", "GETEX"}},
		{"writing", func(s *session.Session) error { return s.Set("n", time.Now().UnixNano()) }, saveAfter(t, server, "ZRANK", "GETEX")},
		{"Renew", func(s *session.Session) error { return s.Renew() }, renewed},
		{"SignIn anew", signIn, renewed},
		{"EndOthers", func(s *session.Session) error { return s.EndOthers(session.ByUser) }, []string{"ZRANK", "GETEX", "GETEX", "EVALSHA"}},
		{"Destroy", func(s *session.Session) error { s.Destroy(); return nil }, []string{"ZRANK", "GETEX", "EVALSHA", "ZREM"}},
	}
	for _, counted := range []bool{false, true} { // the first round loads the scripts
		for _, step := range steps {
			got := server.Commands(t, func() { d.Do(func(_ *http.Request, s *session.Session) error { return step.handler(s) }) })
			if counted && !slices.Equal(got, step.want) {
				t.Errorf("%s: %q, want %q", step.name, got, step.want)
			}
		}
	}
}

func TestHungRedisIsAnsweredWithinStoreTimeout(t *testing.T) {
	server := redistest.Start(t)
	b := testkit.NewBackend(t, server.Addr())
	const timeout = 300 * time.Millisecond
	manager := testkit.NewManager(t, session.Config{Store: b.Store, StoreTimeout: timeout, Logger: new(testkit.Logs).Logger()})
	cookies, _ := testkit.Begin(t, manager, map[string]any{"n": 1})
	bounded := func(what string, work func()) {
		t.Helper()
		start := time.Now()
		work()
		if took := time.Since(start); took > timeout+time.Second {
			t.Errorf("%s took %v", what, took)
		}
	}
	response := testkit.Request(t, manager, cookies, func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		_ = s.Set("n", 2)
		server.Stop()
		bounded("the save", func() { w.WriteHeader(200) })
	})
	if response.StatusCode != 503 {
		t.Errorf("status %d", response.StatusCode)
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.AddCookie(cookies[0])
	manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		bounded("Load", func() {
			if _, err := session.Load(r.Context()); err == nil {
				t.Error("Load succeeds")
			}
		})
	})).ServeHTTP(httptest.NewRecorder(), r)
	server.Cont()
	if got := testkit.Values(t, manager, cookies); got != `{"n":1}` && got != `{"n":2}` {
		t.Errorf("after the hang: %s", got)
	}
}

func TestRedisDown(t *testing.T) {
	server := redistest.Start(t)
	b := testkit.NewBackend(t, server.Addr())
	var log testkit.Logs
	manager := testkit.NewManager(t, session.Config{Store: b.Store, Logger: log.Logger()})
	cookies, _ := testkit.Begin(t, manager, map[string]any{"n": 1})
	server.Shutdown()
	defer server.Restart()
	testkit.Request(t, manager, nil, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		if len(s.Keys()) != 0 {
			t.Error("values without a cookie")
		}
	})
	response := testkit.Request(t, manager, nil, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { _ = s.Set("n", 1) })
	if response.StatusCode != 503 || response.Header.Get("Set-Cookie") != "" || !strings.Contains(log.String(), "session unavailable") {
		t.Errorf("a new session: %d %v %s", response.StatusCode, response.Header, log.String())
	}
	r := httptest.NewRequest("GET", "/", nil)
	r.AddCookie(cookies[0])
	w := httptest.NewRecorder()
	manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := session.Load(r.Context()); err == nil || errors.Is(err, session.ErrEnded) {
			t.Errorf("Load: %v", err)
		}
	})).ServeHTTP(w, r)
	if w.Header().Get("Set-Cookie") != "" {
		t.Errorf("headers %v", w.Header())
	}
}

func TestRestartUnderIdleConnectionsFailsNoRequest(t *testing.T) {
	server := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	b := testkit.NewBackend(t, server.Addr())
	manager := testkit.NewManager(t, session.Config{Store: b.Store})
	var cookies [][]*http.Cookie
	var all, loaded sync.WaitGroup
	for i := range 10 {
		c, _ := testkit.Begin(t, manager, map[string]any{"n": i})
		cookies = append(cookies, c)
	}
	server.Stop()
	for _, c := range cookies { // ten requests at once open ten connections
		loaded.Add(1)
		all.Go(func() {
			loaded.Done()
			testkit.Request(t, manager, c, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {})
		})
	}
	loaded.Wait()
	server.Cont()
	all.Wait()
	server.Shutdown()
	server.Restart()
	for i, c := range cookies {
		response := testkit.Request(t, manager, c, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
			if err := visits.Update(s, func(n int) int { return n + 1 }); err != nil {
				t.Error(err)
			}
		})
		if got, want := testkit.Values(t, manager, c), fmt.Sprintf(`{"n":%d,"visits":1}`, i); response.StatusCode != 200 || got != want {
			t.Errorf("status %d, got %s, want %s", response.StatusCode, got, want)
		}
	}
}

// A reply that is lost after the command was executed leads to one retry, which finds what the first attempt has stored.
func TestLostReplies(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr())
	b := testkit.NewBackend(t, proxy.Addr())
	manager := testkit.NewManager(t, session.Config{Store: b.Store})
	direct := testkit.NewManager(t, session.Config{Store: testkit.NewBackend(t, server.Addr()).Store})
	works := map[string]struct {
		do      func(s *session.Session)
		replies int // that pass before one is lost
		want    string
	}{
		"update, before the script": {func(s *session.Session) { _ = visits.Update(s, func(n int) int { return n + 1 }) }, 0, `{"visits":2}`},
		"update, after the script":  {func(s *session.Session) { _ = visits.Update(s, func(n int) int { return n + 1 }) }, 1, `{"visits":2}`},
		"set":                       {func(s *session.Session) { _ = s.Set("x", 1) }, 1, `{"visits":1,"x":1}`},
	}
	for name, work := range works {
		t.Run(name, func(t *testing.T) {
			cookies, _ := testkit.Begin(t, direct, map[string]any{"visits": 1})
			response := testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
				work.do(s)
				proxy.DropReplies(work.replies, 1)
			})
			proxy.DropReplies(0, 0)
			if response.StatusCode != 200 {
				t.Errorf("status %d", response.StatusCode)
			}
			if got := testkit.Values(t, direct, cookies); got != work.want {
				t.Errorf("got %s", got)
			}
		})
	}
	t.Run("loading", func(t *testing.T) {
		cookies, _ := testkit.Begin(t, direct, map[string]any{"visits": 1})
		proxy.DropReplies(0, 1)
		if got := testkit.Values(t, manager, cookies); got != `{"visits":1}` {
			t.Errorf("got %s", got)
		}
	})
	t.Run("a new session", func(t *testing.T) {
		response := testkit.Request(t, manager, nil, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
			_ = visits.Set(s, 1)
			proxy.DropReplies(0, 1)
		})
		proxy.DropReplies(0, 0)
		if got := testkit.Values(t, direct, response.Cookies()); response.StatusCode != 200 || got != `{"visits":1}` {
			t.Errorf("status %d, got %s", response.StatusCode, got)
		}
	})
	t.Run("destroying", func(t *testing.T) {
		cookies, _ := testkit.Begin(t, direct, map[string]any{"visits": 1})
		testkit.Request(t, direct, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { s.Destroy() }) // loads the script
		cookies, _ = testkit.Begin(t, direct, map[string]any{"visits": 1})
		response := testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
			s.Destroy()
			proxy.DropReplies(0, 1)
		})
		proxy.DropReplies(0, 0)
		if response.StatusCode != 503 || testkit.Values(t, direct, cookies) != "{}" {
			t.Errorf("status %d: whether the session is deleted is unknown to the node, and it is", response.StatusCode)
		}
	})
}

func TestLoadAndSaveObeyTheDeadlineOfAnExplicitSave(t *testing.T) {
	server := redistest.Start(t)
	b := testkit.NewBackend(t, server.Addr())
	manager := testkit.NewManager(t, session.Config{Store: b.Store, StoreTimeout: 9 * time.Second, OnError: func(http.ResponseWriter, *http.Request, error) {}})
	cookies, _ := testkit.Begin(t, manager, map[string]any{"n": 1})
	testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, r *http.Request, s *session.Session) {
		_ = s.Set("n", 2)
		server.Stop()
		ctx, cancel := context.WithTimeout(r.Context(), 100*time.Millisecond)
		defer cancel()
		start := time.Now()
		if err := s.Sync(ctx); err == nil || time.Since(start) > 5*time.Second {
			t.Errorf("Save: %v after %v", err, time.Since(start))
		}
		if err := s.Sync(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Save with an ended context: %v", err)
		}
		server.Cont()
	})
	if got := testkit.Values(t, manager, cookies); got != `{"n":2}` {
		t.Errorf("the save at the end of the handler left %s", got)
	}
}

// The memory of a value that was saved is used again, but not that of a value which the store may still be sending:
// neither the new one nor the one that it was to replace.
func TestBytesOfAFailedSaveAreLeftAlone(t *testing.T) {
	store := &testkit.LossyStore{Store: testkit.NewMemory(), Lost: make(map[string]bool)}
	manager := testkit.NewManager(t, session.Config{Store: store, OnError: func(http.ResponseWriter, *http.Request, error) {}})
	failing, id := testkit.Begin(t, manager, map[string]any{"visits": 0})
	succeeding, _ := testkit.Begin(t, manager, map[string]any{"visits": 0})
	var sent []string
	count := func(s *session.Session) {
		if err := visits.Update(s, func(n int) int { return n + 1 }); err != nil {
			t.Error(err)
		}
	}
	for range 50 {
		testkit.Request(t, manager, failing, func(_ http.ResponseWriter, r *http.Request, s *session.Session) {
			count(s)
			if err := s.Sync(r.Context()); err != nil { // what the next save replaces is then in memory of the Manager
				t.Error(err)
			}
			count(s)
			store.Lost[id] = true
		})
		store.Lost[id] = false
		for _, value := range store.Kept[len(store.Kept)-2:] {
			sent = append(sent, string(value))
		}
		testkit.Request(t, manager, succeeding, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { count(s) })
	}
	for i, value := range store.Kept {
		if string(value) != sent[i] {
			t.Fatalf("the value %s has become %s", sent[i], value)
		}
	}
}

// A save whose reply was lost is repeated as it was: an update in it counts once.
func TestSaveAfterALostReplyCountsAnUpdateOnce(t *testing.T) {
	lost := errors.New("reply lost")
	tests := map[string]struct {
		executed bool
		meddle   func(other *session.Session)
		want     string
		fails    bool
	}{
		"executed":                          {true, nil, `{"visits":2,"more":true}`, false},
		"not executed":                      {false, nil, `{"visits":2,"more":true}`, false},
		"executed, then another request":    {true, func(other *session.Session) { _ = other.Set("x", 1) }, `{"visits":2,"x":1,"more":true}`, true},
		"not executed, but another request": {false, func(other *session.Session) { _ = other.Set("x", 1) }, `{"visits":1,"x":1,"more":true}`, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b, _ := testkit.MiniRedis(t)
			store := &testkit.FaultyStore{Store: b.Store}
			manager := testkit.NewManager(t, session.Config{Store: store})
			healthy := testkit.NewManager(t, session.Config{Store: b.Store})
			cookies, _ := testkit.Begin(t, manager, map[string]any{"visits": 1})
			testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, r *http.Request, s *session.Session) {
				_ = visits.Update(s, func(n int) int { return n + 1 })
				fail := func() error { return lost }
				if test.executed {
					store.AfterSave = fail
				} else {
					store.BeforeSave = fail
				}
				if err := s.Sync(r.Context()); !errors.Is(err, lost) {
					t.Errorf("Save: %v", err)
				}
				store.AfterSave, store.BeforeSave = nil, nil
				if test.meddle != nil {
					testkit.Request(t, healthy, cookies, func(_ http.ResponseWriter, _ *http.Request, other *session.Session) { test.meddle(other) })
				}
				_ = s.Set("more", true)
				if err := s.Sync(r.Context()); (err != nil) != test.fails {
					t.Errorf("the next Save: %v", err)
				}
			})
			if got := testkit.Values(t, healthy, cookies); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestClientThatHangsUpLosesNothing(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	manager := testkit.NewManager(t, session.Config{Store: b.Store})
	cookies, id := testkit.Begin(t, manager, map[string]any{"n": 1})
	waiting, done := testkit.NewGate(), make(chan struct{})
	server := testkit.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(done)
		manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s := testkit.Load(t, r)
			waiting.Wait()
			<-r.Context().Done()
			_ = s.Set("n", 2)
		})).ServeHTTP(w, r)
	}))
	ctx, hangUp := context.WithCancel(t.Context())
	r, _ := http.NewRequestWithContext(ctx, "GET", server.URL, nil)
	r.AddCookie(cookies[0])
	go func() {
		<-waiting.Reached
		hangUp()
		close(waiting.Open)
	}()
	if response, err := server.Client().Do(r); err == nil {
		response.Body.Close()
		t.Error("the client got a response")
	}
	<-done
	if got := b.Get(t, id); !strings.HasSuffix(got, `"n":2}`) {
		t.Errorf("stored %s", got)
	}
}
