package redisstore_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/sessionkv/session/internal/redistest"
	"github.com/sessionkv/session/redisstore"
)

// A rotation is a user of Redis whose password changes.
type rotation struct {
	server   *redistest.Server
	password atomic.Value
	asked    atomic.Int32
}

func (r *rotation) give(context.Context) (username, password string, err error) {
	r.asked.Add(1)
	return "app", r.password.Load().(string), nil
}

// rotate gives the user another password, and ends its connections.
func (r *rotation) rotate(t *testing.T, password string) {
	t.Helper()
	r.server.Do(t, "ACL", "SETUSER", "app", "on", "resetpass", ">"+password, "~*", "+@all")
	r.server.Do(t, "CLIENT", "KILL", "USER", "app")
	r.password.Store(password)
}

func TestCredentialsThatChangeFailNoCall(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, options redisstore.Options) {
		r := &rotation{server: redistest.Start(t)}
		sentinel := newFakeSentinel(t, r.server.Addr(), nil)
		options.Credentials = r.give
		opened, err := redisstore.Open("redis://app:wrong@"+r.server.Addr(), options)
		if err != nil {
			t.Fatal(err)
		}
		defer opened.Close()
		config := redisstore.SentinelConfig{Addrs: []string{sentinel.Addr().String()}, Username: "app", Password: "wrong"}
		for id, store := range map[string]*redisstore.Store{"1": opened, "2": openSentinelWith(t, config, options)} {
			r.rotate(t, "first"+id)
			was := mustSave(t, store, id, nil, value("1"))
			r.rotate(t, "second"+id)
			wantStored(t, store, id, was)
			r.rotate(t, "third"+id)
			wantStored(t, store, id, mustSave(t, store, id, was, value("2")))
			if n := r.asked.Swap(0); n < 3 {
				t.Errorf("Credentials was called %d times; want once for each connection", n)
			}
		}
	})
}

func TestCredentialsThatFail(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for _, cause := range []error{io.EOF, context.DeadlineExceeded, redis.Error("NOAUTH"), &net.DNSError{IsTimeout: true}} {
		store, err := redisstore.Open(server.URL(), redisstore.Options{
			Credentials: func(context.Context) (username, password string, err error) { return "", "", cause },
		})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		errs := operations(t.Context(), store, "1")
		wantErrors(t, errs, "Options.Credentials: "+cause.Error())
		for operation, err := range errs {
			if !errors.Is(err, cause) || strings.HasSuffix(err.Error(), ")") {
				t.Errorf("%s: %v; want the cause, and no advice about Redis", operation, err)
			}
		}
	}
}

// Redis may take back what a connection was signed in with while it is open.
func TestConnectionThatIsSignedOut(t *testing.T) {
	t.Parallel()
	eachMode(t, func(t *testing.T, options redisstore.Options) {
		server := redistest.Start(t, "--requirepass", "word")
		var mu sync.Mutex
		var dialled []redis.Conn
		pool := newPool(server.Addr(), redis.DialPassword("word"))
		dial := pool.DialContext
		pool.DialContext = func(ctx context.Context) (redis.Conn, error) {
			conn, err := dial(ctx)
			mu.Lock()
			defer mu.Unlock()
			dialled = append(dialled, conn)
			return conn, err
		}
		store := openPool(t, pool, options)
		signOut := func() {
			t.Helper()
			for _, conn := range dialled {
				if conn.Err() == nil {
					if _, err := conn.Do("RESET"); err != nil { // no call is under way
						t.Fatal(err)
					}
				}
			}
		}
		was := mustSave(t, store, "1", nil, value("1"))
		signOut()
		wantStored(t, store, "1", was)
		wantStored(t, store, "1", was) // on a connection that goes into the pool
		signOut()
		next := mustSave(t, store, "1", was, value("2"))
		wantStored(t, store, "1", next)
		signOut()
		if _, err := store.Delete(t.Context(), "1", nil); err != nil {
			t.Error(err)
		}
		if n := pool.IdleCount(); n > 0 && len(dialled) < 4 {
			t.Errorf("%d connections were dialled, %d are idle", len(dialled), n)
		}
	})
}

func TestPasswordThatIsMissingIsTriedTwice(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--requirepass", "word")
	dials := 0
	pool := newPool(server.Addr())
	dial := pool.DialContext
	pool.DialContext = func(ctx context.Context) (redis.Conn, error) { dials++; return dial(ctx) }
	store := openPool(t, pool, redisstore.Options{})
	_, err := store.Load(t.Context(), "1", time.Minute)
	wantErrors(t, map[string]error{"load": err}, "NOAUTH", "put it into the URL")
	if dials != 2 {
		t.Errorf("%d connections were dialled; want one and one repeat", dials)
	}
}
