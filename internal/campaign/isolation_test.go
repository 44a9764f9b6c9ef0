package campaign

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/internal/redistest"
	"github.com/sessionkv/session/internal/testkit"
	"github.com/sessionkv/session/redisstore"
)

// J3, J4: JSON that is made to hurt its decoder is no session, or one like any other. It is never a failure.
func TestMonstersInTheStore(t *testing.T) {
	t.Parallel()
	nested := func(open, end string, depth int) string {
		return strings.Repeat(open, depth) + "1" + strings.Repeat(end, depth)
	}
	tests := map[string]struct {
		value string
		lives bool
	}{
		"as deep as is allowed":    {`{"x":` + nested("[", "]", 9_999) + `}`, true},
		"one level more":           {`{"x":` + nested("[", "]", 10_000) + `}`, false},
		"a million arrays":         {`{"x":` + nested("[", "]", 1_000_000) + `}`, false},
		"a million objects":        {nested(`{"x":`, "}", 1_000_000), false},
		"a million that stay open": {`{"x":` + strings.Repeat("[", 1_000_000), false},
		"a number of 1 MB":         {`{"x":` + strings.Repeat("9", 1_000_000) + `}`, true},
		"a number beyond float64":  {`{"x":1e999999999,"y":-1e-999999999}`, true},
		"a name of 1 MB":           {`{"` + strings.Repeat("x", 1_000_000) + `":1}`, true},
		"a hundred thousand names": {`{` + strings.TrimSuffix(strings.Repeat(`"x":1,`, 100_000), ",") + `}`, true},
		"half a surrogate pair":    {`{"x":"\ud800","\udc00":1}`, true},
		"NUL":                      {"{\"x\":\"\x00\"}", false},
		"__proto__":                {`{"__proto__":{"user":"admin"},"constructor":{}}`, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b, _ := testkit.MiniRedis(t)
			var log testkit.Logs
			manager := testkit.NewManager(t, session.Config{Store: b.Store, MaxBytes: 8 << 20, Logger: log.Logger()})
			cookies, id := testkit.Begin(t, manager, map[string]any{"n": 1})
			b.Do("SET", "session:"+id, test.value, "PX", 60_000)
			response := testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
				if (s.ID() != "") != test.lives {
					t.Errorf("session %q", s.ID())
				}
				_, _ = user.Get(s)
				_, _ = session.Key[any]("x").Get(s)
				_, _ = session.Key[float64]("x").Get(s)
				if err := user.Set(s, "alice"); err != nil {
					t.Error(err)
				}
			})
			if response.StatusCode != 200 {
				t.Errorf("status %d", response.StatusCode)
			}
			if got := b.Get(t, id); !test.lives && got != test.value || test.lives && !strings.HasSuffix(got, strings.TrimPrefix(test.value[:len(test.value)-1], "{")+`,"user":"alice"}`) {
				t.Errorf("stored %.60q", got)
			}
			if logged := strings.Contains(log.String(), "not a session"); logged == test.lives || strings.Contains(log.String(), "[[[") {
				t.Errorf("log: %.200s", log.String())
			}
		})
	}
}

// J6: applications that share a Redis, each with its Prefix, share no session, whatever the prefixes are.
func TestPrefixesKeepApplicationsApart(t *testing.T) {
	t.Parallel()
	testkit.OnEachRedis(t, func(t *testing.T, b testkit.Backend) {
		pool := &redis.Pool{Dial: func() (redis.Conn, error) { return redis.Dial("tcp", b.Address) }, MaxIdle: 4}
		defer pool.Close()
		prefixes := []string{"session:", "session:admin:", "session", "s", "*", "[a-z]*:", "a b\r\n", "\x00\xff", `"`, strings.Repeat("p", 1000)}
		var managers []*session.Manager
		var tokens [][]*http.Cookie
		for _, prefix := range prefixes {
			manager := testkit.NewManager(t, session.Config{Store: redisstore.New(pool, redisstore.Options{Prefix: prefix})})
			cookies, id := testkit.Begin(t, manager, map[string]any{"app": prefix})
			managers, tokens = append(managers, manager), append(tokens, cookies)
			if b.Do("EXISTS", prefix+id) != int64(1) {
				t.Errorf("prefix %q: no key %q", prefix, prefix+id)
			}
		}
		for i, manager := range managers {
			for j := range tokens {
				testkit.Request(t, manager, tokens[j], func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
					if (s.ID() != "") != (i == j) {
						t.Errorf("the token of %q with the prefix %q: session %q", prefixes[j], prefixes[i], s.ID())
					}
					if i != j {
						s.Destroy()
					}
				})
			}
		}
		if size := b.Do("DBSIZE"); size != int64(len(prefixes)) {
			t.Errorf("%v keys of %d", size, len(prefixes))
		}
	})
}

// Replies on a connection that was given up halfway belong to nobody else: a request has its own session or an error,
// never that of another user, however Redis and the network fail.
func TestNoRequestGetsTheSessionOfAnother(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr())
	setup := testkit.NewManager(t, session.Config{Store: testkit.NewBackend(t, server.Addr()).Store})
	manager := testkit.NewManager(t, session.Config{Store: testkit.NewBackend(t, proxy.Addr()).Store, StoreTimeout: 50 * time.Millisecond, Logger: new(testkit.Logs).Logger()})
	const users = 64
	var cookies [users][]*http.Cookie
	for i := range cookies {
		cookies[i], _ = testkit.Begin(t, setup, map[string]any{"user": fmt.Sprint(i), "ballast": strings.Repeat("x", 100*i)})
	}
	faults := []func(){
		func() {},
		proxy.CloseAll,
		func() { proxy.DropReplies(users/2, 3) },
		server.Stop,
		func() { server.Cont(); proxy.DropReplies(0, 0) },
	}
	var loaded atomic.Int64
	for round := range 10 * len(faults) {
		var all sync.WaitGroup
		for i := range users {
			all.Go(func() {
				if i == users/2 {
					faults[round%len(faults)]()
				}
				r := httptest.NewRequest("GET", "/", nil)
				r.AddCookie(cookies[i][0])
				manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					s, err := session.Load(r.Context())
					if err != nil {
						return
					}
					if name, _ := user.Get(s); name != fmt.Sprint(i) || s.ID() != testkit.IDOf(cookies[i][0].Value) {
						t.Errorf("user %d got session %s of %q", i, s.ID(), name)
					}
					loaded.Add(1)
					_ = visits.Set(s, round)
				})).ServeHTTP(httptest.NewRecorder(), r)
			})
		}
		all.Wait()
	}
	server.Cont()
	if n := loaded.Load(); n < 10*users || n == 10*users*int64(len(faults)) {
		t.Errorf("%d loads succeeded: too few, or nothing failed", n)
	}
	for i := range cookies {
		if got := testkit.Values(t, setup, cookies[i]); !strings.Contains(got, fmt.Sprintf(`"user":"%d"`, i)) {
			t.Errorf("user %d has %.100s", i, got)
		}
	}
}
