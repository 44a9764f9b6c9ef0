package redisstore_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/redistest"
	"github.com/sessionkv/session/redisstore"
)

// operations calls every method once, and returns their errors by name.
func operations(ctx context.Context, store *redisstore.Store, id string) map[string]error {
	_, load := store.Load(ctx, id, time.Minute)
	_, create := store.Save(ctx, id, nil, value("1"), time.Minute)
	_, replace := store.Save(ctx, id, value("1"), value("2"), time.Minute)
	_, remove := store.Delete(ctx, id, nil)
	_, removeOnly := store.Delete(ctx, id, value("1"))
	errs := usersOperations(ctx, store, "user:"+id)
	maps.Copy(errs, partsOperations(ctx, store, id))
	maps.Copy(errs, map[string]error{
		"load": load, "create": create, "replace": replace, "delete": remove, "delete of one value": removeOnly, "ping": store.Ping(ctx),
	})
	return errs
}

// usersOperations calls every method that knows users once, and returns their errors by name.
func usersOperations(ctx context.Context, store *redisstore.Store, id string) map[string]error {
	user, entry := driver.UserOf(id), driver.Entry{ID: id, Stamp: "none", Keep: time.Minute}
	_, load := store.Load(ctx, id, time.Minute)
	_, _, peek := store.Peek(ctx, id)
	_, stamp := store.Stamp(ctx, user)
	_, add := store.Add(ctx, entry)
	_, others := store.RemoveOthers(ctx, id)
	_, all := store.RemoveAll(ctx, user)
	_, members := store.Members(ctx, user)
	return map[string]error{
		"load of a user": load, "peek of a user": peek, "stamp": stamp, "add": add, "remove others": others, "remove all": all,
		"members": members, "replace a member": store.Replace(ctx, id, entry), "remove": store.Remove(ctx, id),
		"bury": store.Bury(ctx, value("1"), time.Minute, id),
	}
}

// wantErrors checks that every method fails with an error that says all of this, and no sentinel.
func wantErrors(t *testing.T, errs map[string]error, want ...string) {
	t.Helper()
	for name, err := range errs {
		if err == nil || !strings.HasPrefix(err.Error(), "redisstore: ") || strings.Count(err.Error(), "redisstore: ") > 1 {
			t.Errorf("%s: %v; want an error with the prefix once", name, err)
			continue
		}
		for _, other := range []error{driver.ErrNotFound, driver.ErrConflict, driver.ErrRemoved, driver.ErrStamp} {
			if errors.Is(err, other) {
				t.Errorf("%s: %v; want another error", name, err)
			}
		}
		for _, text := range want {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %v; want %q in it", name, err, text)
			}
		}
	}
}

// countDials makes the pool count its connections.
func countDials(pool *redis.Pool) *atomic.Int32 {
	var dials atomic.Int32
	dial := pool.DialContext
	pool.DialContext = func(ctx context.Context) (redis.Conn, error) {
		dials.Add(1)
		return dial(ctx)
	}
	return &dials
}

func TestDown(t *testing.T) {
	server := redistest.Start(t)
	server.Kill()
	eachMode(t, func(t *testing.T, options redisstore.Options) {
		pool := newPool(server.Addr())
		dials := countDials(pool)
		errs := operations(t.Context(), openPool(t, pool, options), "1")
		wantErrors(t, errs, "connection refused", "check that it runs")
		for name, err := range errs {
			if !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("%s: %v does not wrap its cause", name, err)
			}
		}
		if int(dials.Load()) != len(errs) {
			t.Errorf("%d operations dialled %d times: a failed dial must not be repeated", len(errs), dials.Load())
		}
	})
}

func TestHung(t *testing.T) {
	server := redistest.Start(t)
	eachMode(t, func(t *testing.T, options redisstore.Options) {
		pool := newPool(server.Addr())
		dials := countDials(pool)
		store := openPool(t, pool, options)
		if err := store.Ping(t.Context()); err != nil { // one idle connection; the others are dialled while it hangs
			t.Fatal(err)
		}
		server.Stop()
		defer server.Cont()
		const patience = 100 * time.Millisecond
		for _, operation := range []func(context.Context) error{
			store.Ping,
			func(ctx context.Context) error { _, err := store.Load(ctx, "1", time.Minute); return err },
			func(ctx context.Context) error {
				_, err := store.Save(ctx, "1", nil, value("1"), time.Minute)
				return err
			},
			func(ctx context.Context) error {
				_, err := store.Save(ctx, "1", value("1"), value("2"), time.Minute)
				return err
			},
			func(ctx context.Context) error { _, err := store.Delete(ctx, "1", nil); return err },
		} {
			before, start := dials.Load(), time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			err := operation(ctx)
			cancel()
			if took := time.Since(start); took > patience+time.Second || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%v after %v; want a timeout after %v", err, took, patience)
			}
			wantErrors(t, map[string]error{"": err}, "in time")
			if dials.Load() > before+1 {
				t.Error("a timeout was repeated")
			}
		}
		if n := pool.ActiveCount(); n != 0 {
			t.Errorf("%d connections that timed out are still in the pool", n)
		}
	})
}

// Without a deadline in the context, a hung server holds a call for 3 seconds.
func TestHungWithoutDeadline(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	pool := &redis.Pool{MaxIdle: 1, Dial: func() (redis.Conn, error) { return redis.Dial("tcp", server.Addr()) }}
	store := openPool(t, pool, redisstore.Options{})
	server.Stop()
	start := time.Now()
	err := store.Ping(context.Background())
	if took := time.Since(start); !errors.Is(err, os.ErrDeadlineExceeded) || took < 2*time.Second || took > 5*time.Second {
		t.Errorf("%v after %v; want a timeout after 3 seconds", err, took)
	}
}

// A large value does not fit into what the system buffers, and a server that hangs takes no more of it.
func TestHungWhileWriting(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	store, err := redisstore.Open(server.URL(), redisstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := store.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	v := value(strings.Repeat("x", 32<<20))
	server.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err = store.Save(ctx, "1", nil, v, time.Minute)
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v; want a timeout", err)
	}
}

// A server that accepts and then says nothing must not hold a TLS handshake beyond the deadline.
func TestHungHandshake(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	store, err := redisstore.Open("rediss://"+listener.Addr().String(), redisstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	err = store.Ping(ctx)
	if took := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || took > time.Second {
		t.Errorf("%v after %v; want a timeout after 100ms", err, took)
	}
}

func TestOutOfMemory(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	eachMode(t, func(t *testing.T, options redisstore.Options) {
		server.Do(t, "CONFIG", "SET", "maxmemory", 0)
		store, id := open(t, server.Addr(), options), rand.Text()
		v := mustSave(t, store, id, nil, value("1"))
		v = mustSave(t, store, id, v, value("2"))
		server.Do(t, "CONFIG", "SET", "maxmemory", 1)
		_, create := store.Save(t.Context(), rand.Text(), nil, v, time.Minute)
		_, replace := store.Save(t.Context(), id, v, value("3"), time.Minute)
		wantErrors(t, map[string]error{"create": create, "replace": replace}, "OOM", "raise its maxmemory")
		wantStored(t, store, id, v)
		if keys, _ := redis.Strings(server.Do(t, "KEYS", "*"), nil); len(keys) != 1 {
			t.Errorf("keys: %q", keys)
		}
		_, remove := store.Delete(t.Context(), id, v)
		if options.NoScripts && remove != nil { // Redis 7.0 has no MULTI when it is full
			wantErrors(t, map[string]error{"delete": remove}, "OOM")
			_, remove = store.Delete(t.Context(), id, nil)
		}
		if remove != nil {
			t.Errorf("Delete = %v", remove)
		}
	})
}

// Signing out must work when nobody can sign in any more.
func TestOutOfMemoryOfAUser(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	eachMode(t, func(t *testing.T, options redisstore.Options) {
		store, user, ctx := open(t, server.Addr(), options), rand.Text(), t.Context()
		server.Do(t, "CONFIG", "SET", "maxmemory", 0)
		stamp, err := store.Stamp(ctx, user)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{":1", ":2", ":3"} {
			mustAdd(t, store, user+name)
		}
		server.Do(t, "CONFIG", "SET", "maxmemory", 1)
		_, add := store.Add(ctx, driver.Entry{ID: user + ":4", Keep: time.Minute})
		wantErrors(t, map[string]error{"add": add}, "OOM", "raise its maxmemory")
		remove := store.Remove(ctx, user+":1")
		others, err := store.RemoveOthers(ctx, user+":2")
		if options.NoScripts && err != nil { // Redis 7.0 has no MULTI when it is full
			wantErrors(t, map[string]error{"remove others": err}, "OOM")
			others, err = []string{user + ":3"}, store.Remove(ctx, user+":3")
		}
		all, err2 := store.RemoveAll(ctx, user)
		if err := errors.Join(remove, err, err2); err != nil || len(others) != 1 || len(all) != 1 {
			t.Errorf("removed %q and %q, %v", others, all, err)
		}
		if _, err := store.Add(ctx, driver.Entry{ID: user + ":2", Stamp: stamp, Keep: time.Minute}); err != driver.ErrStamp {
			t.Errorf("Add with the old stamp: %v", err)
		}
	})
}

func TestReplica(t *testing.T) {
	t.Parallel()
	primary := redistest.Start(t, "--repl-diskless-sync-delay", "0")
	replica := redistest.Start(t, "--replicaof", "127.0.0.1", fmt.Sprint(primary.Port()))
	eachMode(t, func(t *testing.T, options redisstore.Options) {
		pool := newPool(replica.Addr())
		dials := countDials(pool)
		errs := operations(t.Context(), openPool(t, pool, options), "1")
		wantErrors(t, errs, "READONLY", "address of the primary")
		if int(dials.Load()) != 2*len(errs) {
			t.Errorf("%d operations dialled %d times; want twice each", len(errs), dials.Load())
		}
		if n := pool.ActiveCount(); n != 0 {
			t.Errorf("%d connections to the replica are still in the pool", n)
		}
	})
	// After a failover, the pool's connections lead to what is a replica now, and a new one to the primary. Values on
	// the replica may be out of date, so that no answer may come from there.
	eachMode(t, func(t *testing.T, options redisstore.Options) {
		id := rand.Text()
		v := mustSave(t, open(t, primary.Addr(), options), id, nil, value("1"))
		for _, operation := range []func(store *redisstore.Store){
			func(store *redisstore.Store) { wantStored(t, store, id, v) },
			func(store *redisstore.Store) { v = mustSave(t, store, id, v, value("2")) },
			func(store *redisstore.Store) {
				if _, err := store.Save(t.Context(), id, value("0"), value("3"), time.Minute); err != driver.ErrConflict {
					t.Errorf("a stale save: %v", err)
				}
			},
			func(store *redisstore.Store) { mustSave(t, store, rand.Text(), nil, value("1")) },
			func(store *redisstore.Store) {
				if _, err := store.Delete(t.Context(), id, nil); err != nil {
					t.Error(err)
				}
			},
			func(store *redisstore.Store) { // the replica may not know of it yet
				if _, err := store.Part(t.Context(), id, "none"); err != driver.ErrNotFound {
					t.Errorf("a part that is not there: %v", err)
				}
			},
			func(store *redisstore.Store) { mustSaveParts(t, store, rand.Text(), nil, value("1"), newPart("1")) },
		} {
			pool := newPool(primary.Addr())
			dials, dial := countDials(pool), pool.DialContext
			pool.DialContext = func(ctx context.Context) (redis.Conn, error) {
				if dials.Load() == 0 {
					dials.Add(1)
					return redis.Dial("tcp", replica.Addr())
				}
				return dial(ctx)
			}
			operation(openPool(t, pool, options))
			if dials.Load() < 2 {
				t.Error("the replica has answered")
			}
		}
	})
}

func TestLoading(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--key-load-delay", "1000", "--loading-process-events-interval-bytes", "1024")
	conn := server.Dial(t)
	for i := range 10_000 { // at 1 ms each, far longer than the test takes
		_ = conn.Send("SET", fmt.Sprint("filler", i), strings.Repeat("x", 1024))
	}
	if _, err := conn.Do(""); err != nil {
		t.Fatal(err)
	}
	server.Do(t, "SAVE")
	server.Kill()
	server.RestartLoading()
	eachMode(t, func(t *testing.T, options redisstore.Options) {
		pool := newPool(server.Addr())
		dials := countDials(pool)
		wantErrors(t, operations(t.Context(), openPool(t, pool, options), "1"), "LOADING", "is starting")
		if n := dials.Load(); n > 1 && !options.NoScripts {
			t.Errorf("%d connections; LOADING must not be repeated", n)
		}
	})
}
