package redisstore_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	"github.com/gomodule/redigo/redis"

	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/redistest"
	"github.com/sessionkv/session/redisstore"
)

// fillPool leaves n idle connections in the pool.
func fillPool(t *testing.T, pool *redis.Pool, n int) {
	t.Helper()
	var conns []redis.Conn
	for range n {
		conn := pool.Get()
		if _, err := conn.Do("PING"); err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
	}
	for _, conn := range conns {
		conn.Close()
	}
}

func TestRestartFailsNothing(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	eachMode(t, func(t *testing.T, options redisstore.Options) {
		for name, stop := range map[string]func(){"killed": server.Kill, "shut down": server.Shutdown} {
			pool := newPool(server.Addr())
			store := openPool(t, pool, options)
			id, v := rand.Text(), value("0")
			mustSave(t, store, id, nil, v)
			fillPool(t, pool, 10)
			stop()
			server.Restart()
			for i := range 5 { // each operation meets stale connections
				wantStored(t, store, id, v)
				v = mustSave(t, store, id, v, value(fmt.Sprint(i)))
				if err := store.Ping(t.Context()); err != nil {
					t.Fatal(name, err)
				}
				other := fmt.Sprint(id, i)
				mustSave(t, store, other, nil, v)
				if _, err := store.Delete(t.Context(), other, nil); err != nil {
					t.Fatal(name, err)
				}
			}
		}
	})
}

// onDial makes the pool call fn before it dials for the nth time.
func onDial(pool *redis.Pool, nth int32, fn func()) {
	dials, dial := countDials(pool), pool.DialContext
	pool.DialContext = func(ctx context.Context) (redis.Conn, error) {
		if dials.Load() == nth-1 {
			fn()
		}
		return dial(ctx)
	}
}

// In each case, Redis did what it was asked, and the replies were lost. Between that and the repeat, nothing happens, or
// another request does.
func TestLostReply(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr())
	first, second, third := longValue("1"), longValue("2"), longValue("3")
	short, next := value("1"), value("2")
	known := open(t, server.Addr(), redisstore.Options{}) // so that the server knows the scripts
	_, _ = known.Save(t.Context(), "1", first, second, time.Minute)
	_, _ = known.Delete(t.Context(), "1", first)
	load := func(ctx context.Context, s *redisstore.Store, id string) ([]byte, error) {
		return s.Load(ctx, id, time.Minute)
	}
	create := func(ctx context.Context, s *redisstore.Store, id string) ([]byte, error) {
		return s.Save(ctx, id, nil, first, time.Minute)
	}
	replace := func(ctx context.Context, s *redisstore.Store, id string) ([]byte, error) {
		return s.Save(ctx, id, first, second, time.Minute)
	}
	replaceShort := func(ctx context.Context, s *redisstore.Store, id string) ([]byte, error) {
		return s.Save(ctx, id, short, next, time.Minute)
	}
	remove := func(ctx context.Context, s *redisstore.Store, id string) ([]byte, error) {
		return s.Delete(ctx, id, nil)
	}
	removeFirst := func(ctx context.Context, s *redisstore.Store, id string) ([]byte, error) {
		return s.Delete(ctx, id, first)
	}
	put := func(v []byte) func(key string) {
		return func(key string) { server.Do(t, "SET", key, v, "PX", 60_000) }
	}
	del := func(key string) { server.Do(t, "DEL", key) }
	both, scripts, noScripts := []bool{false, true}, []bool{false}, []bool{true}
	var ifEqual []bool
	if server.HasIfEqual(t) {
		ifEqual = both
	}

	for _, test := range []struct {
		name      string
		noScripts []bool
		before    []byte // what is stored at first
		do        func(context.Context, *redisstore.Store, string) ([]byte, error)
		skip      int              // how many replies arrive
		lost      int              // how many replies then are lost
		meanwhile func(key string) // what happens before the repeat
		value     []byte           // the result
		err       error            // errLost: the failure itself
		after     []byte           // what is stored at last
	}{
		{"load", both, first, load, 0, 1, nil, first, nil, first},
		{"load, deleted", both, first, load, 0, 1, del, nil, driver.ErrNotFound, nil},
		{"create", both, nil, create, 0, 1, nil, nil, nil, first},
		{"create, replaced", both, nil, create, 0, 1, put(third), nil, errLost, third},
		{"create, deleted", both, nil, create, 0, 1, del, nil, nil, first},
		{"replace", scripts, first, replace, 0, 2, nil, nil, nil, second},
		{"replace, first reply", scripts, first, replace, 0, 1, nil, nil, nil, second},
		{"replace, replaced", scripts, first, replace, 0, 2, put(third), nil, errLost, third},
		{"replace, deleted", scripts, first, replace, 0, 2, del, nil, driver.ErrNotFound, nil},
		{"watched read", noScripts, first, replace, 0, 4, nil, nil, nil, second},
		{"watched read, replaced", noScripts, first, replace, 0, 4, put(third), nil, errLost, third},
		{"watched replace", noScripts, first, replace, 4, 2, nil, nil, nil, second},
		{"watched replace, replaced", noScripts, first, replace, 4, 2, put(third), nil, errLost, third},
		{"watched replace, deleted", noScripts, first, replace, 4, 2, del, nil, driver.ErrNotFound, nil},
		{"IFEQ", ifEqual, short, replaceShort, 0, 1, nil, nil, nil, next},
		{"IFEQ, replaced", ifEqual, short, replaceShort, 0, 1, put(third), nil, errLost, third},
		{"IFEQ, deleted", ifEqual, short, replaceShort, 0, 1, del, nil, driver.ErrNotFound, nil},
		{"IFEQ of another value", ifEqual, third, replaceShort, 0, 1, nil, nil, errLost, third},
		{"IFEQ of another value, the value", ifEqual, third, replaceShort, 1, 1, nil, third, driver.ErrConflict, third},
		{"delete", both, first, remove, 0, 1, nil, nil, errLost, nil},
		{"delete, created again", both, first, remove, 0, 1, put(third), third, nil, nil},
		{"delete of nothing", both, nil, remove, 0, 1, nil, nil, errLost, nil},
		{"delete of one value", scripts, first, removeFirst, 0, 1, nil, nil, errLost, nil},
		{"delete of one value, replaced", scripts, first, removeFirst, 0, 1, put(third), third, driver.ErrConflict, third},
		{"delete of another value", scripts, third, removeFirst, 0, 1, nil, third, driver.ErrConflict, third},
		{"watched delete, read", noScripts, first, removeFirst, 0, 4, nil, first, nil, nil},
		{"watched delete", noScripts, first, removeFirst, 4, 2, nil, nil, errLost, nil},
		{"watched delete, replaced", noScripts, first, removeFirst, 4, 2, put(third), third, driver.ErrConflict, third},
	} {
		for _, noScripts := range test.noScripts {
			t.Run(fmt.Sprintf("%s/NoScripts=%t", test.name, noScripts), func(t *testing.T) {
				id := rand.Text()
				key := "session:" + id
				if test.before != nil {
					put(test.before)(key)
				}
				pool := newPool(proxy.Addr())
				onDial(pool, 2, func() {
					if test.meanwhile != nil {
						test.meanwhile(key)
					}
				})
				store := openPool(t, pool, redisstore.Options{NoScripts: noScripts})
				connections := proxy.Connections()
				proxy.DropReplies(test.skip, test.lost)
				got, err := test.do(t.Context(), store, id)
				if string(got) != string(test.value) || test.err != errLost && err != test.err {
					t.Errorf("got %.100q, %v; want %.100q, %v", got, err, test.value, test.err)
				}
				if test.err == errLost {
					wantErrors(t, map[string]error{"": err}, "EOF")
				}
				if n := proxy.Connections() - connections; n > 3 { // one breaks, one is for the repeat, the pool has a new one
					t.Errorf("%d connections", n)
				}
				stored, err := redis.Bytes(server.Do(t, "GETDEL", key), nil)
				if string(stored) != string(test.after) {
					t.Errorf("stored: %.100q, %v; want %.100q", stored, err, test.after)
				}
				if keys, _ := redis.Strings(server.Do(t, "KEYS", "*"), nil); len(keys) > 0 {
					t.Errorf("left behind: %q", keys)
				}
			})
		}
	}
}

var errLost = errors.New("the failure of the first attempt")

// A command is repeated once, not more.
func TestConnectionsThatAlwaysBreak(t *testing.T) {
	eachMode(t, func(t *testing.T, options redisstore.Options) {
		broken := miniredis.RunT(t)
		broken.Server().SetPreHook(func(peer *server.Peer, _ string, _ ...string) bool {
			peer.Close()
			return true
		})
		pool := newPool(broken.Addr())
		dials := countDials(pool)
		errs := operations(t.Context(), openPool(t, pool, options), "1")
		wantErrors(t, errs, "ended the connection")
		if int(dials.Load()) != 2*len(errs) {
			t.Errorf("%d operations dialled %d times; want twice each", len(errs), dials.Load())
		}
	})
}

// The repeat uses the pool's own way to dial. If that fails, the error is that of the dial.
func TestRepeatDialsAsThePoolDoes(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr())
	dial := func() (redis.Conn, error) { return redis.Dial("tcp", proxy.Addr()) }
	for name, pool := range map[string]*redis.Pool{
		"Dial":        {MaxIdle: 10, Dial: dial},
		"DialContext": {MaxIdle: 10, DialContext: func(context.Context) (redis.Conn, error) { return dial() }},
	} {
		store := openPool(t, pool, redisstore.Options{})
		fillPool(t, pool, 2)
		proxy.CloseAll()
		if err := store.Ping(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		proxy.Refuse()
		if err := store.Ping(t.Context()); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%s: %v; want a refused connection", name, err)
		}
		proxy.Accept()
		if err := store.Ping(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
