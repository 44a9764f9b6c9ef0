package redisstore_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/gomodule/redigo/redis"

	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/redistest"
	"github.com/sessionkv/session/redisstore"
)

func TestCommandsPerOperation(t *testing.T) {
	server := redistest.Start(t)
	for _, test := range []struct {
		name    string
		options redisstore.Options
		replace string
		stale   string
		gone    string

		deleteOne, deleteOther string
	}{
		{
			"script", redisstore.Options{}, "SET EVALSHA", "SET EVALSHA", "SET EVALSHA",
			"EVALSHA", "EVALSHA",
		},
		{
			"no scripts", redisstore.Options{NoScripts: true}, "WATCH STRLEN GETRANGE MULTI SET EXEC",
			"WATCH STRLEN GETRANGE MULTI DISCARD GETEX", "WATCH STRLEN GETRANGE MULTI DISCARD GETEX",
			"WATCH STRLEN GETRANGE MULTI GETDEL EXEC", "WATCH STRLEN GETRANGE MULTI DISCARD GETEX",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			store, ctx, id := open(t, server.Addr(), test.options), t.Context(), rand.Text()
			mustSave(t, store, id, mustSave(t, store, id, nil, longValue("0")), value("0")) // the server knows the script
			_, _ = store.Delete(ctx, id, value("1"))
			if _, err := store.Delete(ctx, id, nil); err != nil {
				t.Fatal(err)
			}
			first, second := longValue("1"), longValue("2")
			for _, step := range []struct {
				what, want string
				err        error
				do         func() ([]byte, error)
			}{
				{"load what is not there", "GETEX", driver.ErrNotFound, func() ([]byte, error) { return store.Load(ctx, id, time.Hour) }},
				{"replace what is not there", test.gone, driver.ErrNotFound, func() ([]byte, error) { return store.Save(ctx, id, first, second, time.Hour) }},
				{"delete what is not there", "GETDEL", driver.ErrNotFound, func() ([]byte, error) { return store.Delete(ctx, id, nil) }},
				{"create", "SET", nil, func() ([]byte, error) { return store.Save(ctx, id, nil, first, time.Hour) }},
				{"load", "GETEX", nil, func() ([]byte, error) { return store.Load(ctx, id, time.Hour) }},
				{"replace", test.replace, nil, func() ([]byte, error) { return store.Save(ctx, id, first, second, time.Hour) }},
				{"replace another", test.stale, driver.ErrConflict, func() ([]byte, error) { return store.Save(ctx, id, first, value("3"), time.Hour) }},
				{"create over another", "SET GETEX", driver.ErrConflict, func() ([]byte, error) { return store.Save(ctx, id, nil, first, time.Hour) }},
				{"delete", "GETDEL", nil, func() ([]byte, error) { return store.Delete(ctx, id, nil) }},
				{"create again", "SET", nil, func() ([]byte, error) { return store.Save(ctx, id, nil, first, time.Hour) }},
				{"delete another", test.deleteOther, driver.ErrConflict, func() ([]byte, error) { return store.Delete(ctx, id, second) }},
				{"delete one value", test.deleteOne, nil, func() ([]byte, error) { return store.Delete(ctx, id, first) }},
				{"ping", "GETEX", nil, func() ([]byte, error) { return nil, store.Ping(ctx) }},
			} {
				var err error
				got := strings.Join(server.Commands(t, func() { _, err = step.do() }), " ")
				if got != step.want || err != step.err { // bare: a caller may compare with ==
					t.Errorf("%s: %s, %v; want %s, %v", step.what, got, err, step.want, step.err)
				}
			}
			if keys, _ := redis.Strings(server.Do(t, "KEYS", "*"), nil); len(keys) > 0 {
				t.Errorf("left behind: %q", keys)
			}
		})
	}
}

// A flushCounter counts the writes of a connection.
type flushCounter struct {
	net.Conn
	writes *atomic.Int32
}

func (c flushCounter) Write(b []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(b)
}

func TestRoundTripsPerOperation(t *testing.T) {
	eachMode(t, func(t *testing.T, options redisstore.Options) {
		var writes atomic.Int32
		pool := newPool(miniredis.RunT(t).Addr(), redis.DialNetDial(func(network, addr string) (net.Conn, error) {
			conn, err := net.Dial(network, addr)
			return flushCounter{conn, &writes}, err
		}))
		store := openPool(t, pool, options)
		v := mustSave(t, store, "1", nil, value("1"))
		v = mustSave(t, store, "1", v, value("2"))
		writes.Store(0)
		mustSave(t, store, "1", v, value("3"))
		want := int32(1)
		if options.NoScripts {
			want = 2
		}
		if got := writes.Load(); got != want {
			t.Errorf("a save wrote %d times; want %d", got, want)
		}
	})
}

func TestKeysAndTimesToLive(t *testing.T) {
	server := redistest.Start(t)
	eachMode(t, func(t *testing.T, options redisstore.Options) {
		for _, prefix := range []string{"", "app:"} {
			options.Prefix = prefix
			key := "session:" + t.Name()
			if prefix != "" {
				key = prefix + t.Name()
			}
			store := open(t, server.Addr(), options)
			wantTTL := func(want time.Duration) {
				t.Helper()
				left, _ := redis.Int64(server.Do(t, "PTTL", key), nil)
				if got := time.Duration(left) * time.Millisecond; got > want || got < want-5*time.Second {
					t.Errorf("time to live = %v; want %v", got, want)
				}
			}
			v, w := value("1"), value("2")
			_, err1 := store.Save(t.Context(), t.Name(), nil, v, time.Minute)
			wantTTL(time.Minute)
			_, err2 := store.Save(t.Context(), t.Name(), v, w, 2*time.Minute)
			wantTTL(2 * time.Minute)
			_, err3 := store.Load(t.Context(), t.Name(), 3*time.Minute)
			wantTTL(3 * time.Minute)
			_, err4 := store.Save(t.Context(), t.Name(), v, value("3"), time.Minute) // a conflict
			wantTTL(3 * time.Minute)
			if err := errors.Join(err1, err2, err3); err != nil || err4 != driver.ErrConflict {
				t.Errorf("%v, %v", err, err4)
			}
			_, _ = store.Delete(t.Context(), t.Name(), nil)
		}
	})
}

// Redis refuses a time to live of 0 ms, which a session has in the last millisecond of its life.
func TestNoTimeLeft(t *testing.T) {
	eachMode(t, func(t *testing.T, options redisstore.Options) {
		server := miniredis.RunT(t)
		store := open(t, server.Addr(), options)
		for _, ttl := range []time.Duration{time.Microsecond, 0, -time.Second} {
			v, w := value("1"), value("2")
			_, err1 := store.Save(t.Context(), "1", nil, v, ttl)
			_, err2 := store.Load(t.Context(), "1", ttl)
			_, err3 := store.Save(t.Context(), "1", v, w, ttl)
			if err := errors.Join(err1, err2, err3); err != nil {
				t.Error(err)
			}
			server.FastForward(time.Millisecond)
			if server.Exists("session:1") {
				t.Errorf("a session with %v to live is still there", ttl)
			}
		}
	})
}

func TestKeyOfAnotherTypeIsNotFoundAndLeftAlone(t *testing.T) {
	t.Parallel()
	real, fake := redistest.Start(t), miniredis.RunT(t)
	for _, addr := range []string{real.Addr(), fake.Addr()} {
		eachMode(t, func(t *testing.T, options redisstore.Options) {
			options.Prefix = rand.Text()
			store := open(t, addr, options)
			conn, err := redis.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := conn.Do("HSET", options.Prefix+"1", "field", "kept"); err != nil {
				t.Fatal(err)
			}
			_, load := store.Load(t.Context(), "1", time.Minute)
			_, create := store.Save(t.Context(), "1", nil, value("1"), time.Minute)
			_, replace := store.Save(t.Context(), "1", value("1"), value("2"), time.Minute)
			_, replaceEmpty := store.Save(t.Context(), "1", []byte{}, value("2"), time.Minute)
			_, remove := store.Delete(t.Context(), "1", nil)
			for _, err := range []error{load, create, replace, replaceEmpty, remove} {
				if !errors.Is(err, driver.ErrNotFound) || !strings.Contains(err.Error(), "another Redis type") {
					t.Errorf("error = %v; want ErrNotFound with the reason", err)
				}
			}
			if got, err := redis.String(conn.Do("HGET", options.Prefix+"1", "field")); got != "kept" {
				t.Errorf("the key now holds %q, %v", got, err)
			}
			if keys, _ := redis.Strings(conn.Do("KEYS", "*"+options.Prefix+"*")); len(keys) != 1 {
				t.Errorf("keys: %q", keys)
			}
		})
	}
}

// GETRANGE of an empty string and of nothing are the same.
func TestEmptyValueIsNotNothing(t *testing.T) {
	t.Parallel()
	real, fake := redistest.Start(t), miniredis.RunT(t)
	for _, addr := range []string{real.Addr(), fake.Addr()} {
		eachMode(t, func(t *testing.T, options redisstore.Options) {
			store, id, v := open(t, addr, options), t.Name(), value("1")
			if _, err := store.Save(t.Context(), id, []byte{}, v, time.Minute); err != driver.ErrNotFound {
				t.Errorf("replacing an empty value where nothing is stored: %v", err)
			}
			mustSave(t, store, id, nil, []byte{})
			wantStored(t, store, id, []byte{})
			if _, err := store.Save(t.Context(), id, v, value("2"), time.Minute); err != driver.ErrConflict {
				t.Errorf("replacing another value where an empty one is stored: %v", err)
			}
			mustSave(t, store, id, []byte{}, v)
			mustSave(t, store, id, v, []byte{})
			wantStored(t, store, id, []byte{})
			_, _ = store.Delete(t.Context(), id, nil)
		})
	}
}

func TestLargeValues(t *testing.T) {
	server := redistest.Start(t)
	eachMode(t, func(t *testing.T, options redisstore.Options) {
		store := open(t, server.Addr(), options)
		for _, size := range []int{1 << 20, 10 << 20} {
			body := strings.Repeat("x", size)
			v := mustSave(t, store, "1", nil, value(body))
			w := mustSave(t, store, "1", v, value(body))
			if got, err := store.Save(t.Context(), "1", v, value(body), time.Minute); err != driver.ErrConflict || !bytes.Equal(got, w) {
				t.Errorf("a stale save of %d bytes: %.50q, %v", size, got, err)
			}
			wantStored(t, store, "1", w)
			if got, err := store.Delete(t.Context(), "1", nil); err != nil || !bytes.Equal(got, w) {
				t.Errorf("Delete = %.50q, %v", got, err)
			}
		}
		if keys, _ := redis.Strings(server.Do(t, "KEYS", "*"), nil); len(keys) > 0 {
			t.Errorf("left behind: %q", keys)
		}
	})
}

func TestScriptFlush(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	store := open(t, server.Addr(), redisstore.Options{})
	v := mustSave(t, store, "1", nil, longValue("1"))
	v = mustSave(t, store, "1", v, longValue("2"))
	server.Do(t, "SCRIPT", "FLUSH")
	for _, want := range []string{"SET EVALSHA EVAL", "SET EVALSHA"} {
		got := strings.Join(server.Commands(t, func() { v = mustSave(t, store, "1", v, longValue("3")) }), " ")
		if got != want {
			t.Errorf("after SCRIPT FLUSH: %s; want %s", got, want)
		}
	}
}

func TestEndedContextSendsNothing(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	expired, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
	defer cancel()
	eachMode(t, func(t *testing.T, options redisstore.Options) {
		store := open(t, server.Addr(), options)
		if err := store.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, ctx := range []context.Context{cancelled, expired} {
			commands := server.Commands(t, func() {
				_, load := store.Load(ctx, "1", time.Minute)
				_, create := store.Save(ctx, "1", nil, value("1"), time.Minute)
				_, replace := store.Save(ctx, "1", value("1"), value("2"), time.Minute)
				_, remove := store.Delete(ctx, "1", nil)
				for _, err := range []error{load, create, replace, remove, store.Ping(ctx)} {
					if !errors.Is(err, ctx.Err()) || !strings.HasPrefix(err.Error(), "redisstore: ") || strings.Contains(err.Error(), "(") {
						t.Errorf("error = %v; want %v", err, ctx.Err())
					}
				}
			})
			if len(commands) > 0 {
				t.Errorf("commands: %s", commands)
			}
		}
	})
}

func TestNewPanics(t *testing.T) {
	dial := func() (redis.Conn, error) { return nil, io.EOF }
	credentials := func(context.Context) (username, password string, err error) { return "", "", nil }
	var client echo
	for _, test := range []struct {
		name string
		open func() *redisstore.Store
	}{
		{"no pool", func() *redisstore.Store { return redisstore.New(nil, redisstore.Options{}) }},
		{"a pool that cannot dial", func() *redisstore.Store { return redisstore.New(&redis.Pool{}, redisstore.Options{}) }},
		{"an opening brace", func() *redisstore.Store {
			return redisstore.New(&redis.Pool{Dial: dial}, redisstore.Options{Prefix: "{app:"})
		}},
		{"a closing brace", func() *redisstore.Store {
			return redisstore.New(&redis.Pool{Dial: dial}, redisstore.Options{Prefix: "app}:"})
		}},
		{"TLS", func() *redisstore.Store {
			return redisstore.New(&redis.Pool{Dial: dial}, redisstore.Options{TLS: &tls.Config{}})
		}},
		{"Credentials", func() *redisstore.Store {
			return redisstore.New(&redis.Pool{Dial: dial}, redisstore.Options{Credentials: credentials})
		}},
		{"no client", func() *redisstore.Store { return redisstore.NewWithClient(nil, redisstore.Options{}) }},
		{"a client without WATCH", func() *redisstore.Store { return redisstore.NewWithClient(client, redisstore.Options{NoScripts: true}) }},
		{"a client, a brace", func() *redisstore.Store { return redisstore.NewWithClient(client, redisstore.Options{Prefix: "{"}) }},
		{"a client, TLS", func() *redisstore.Store {
			return redisstore.NewWithClient(client, redisstore.Options{TLS: &tls.Config{}})
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			defer func() {
				if text, _ := recover().(string); !strings.HasPrefix(text, "redisstore: ") {
					t.Errorf("panic = %q", text)
				}
			}()
			test.open()
		})
	}
}

// echo is a Client that answers each command with the key.
type echo struct{}

func (echo) Do(_ context.Context, key string, commands ...redisstore.Command) (replies []any, lost, err error) {
	for range commands {
		replies = append(replies, []byte(key))
	}
	return replies, nil, nil
}

func (echo) Close() error { return io.ErrClosedPipe }

func TestNewWithClientUsesTheClient(t *testing.T) {
	store := redisstore.NewWithClient(echo{}, redisstore.Options{Prefix: "app:"})
	wantStored(t, store, "1", []byte("app:1"))
	if err := store.Close(); err != io.ErrClosedPipe {
		t.Errorf("Close = %v; want what the client returns", err)
	}
}
