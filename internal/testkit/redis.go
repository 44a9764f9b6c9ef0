package testkit

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/gomodule/redigo/redis"

	"github.com/sessionkv/session/internal/redistest"
	"github.com/sessionkv/session/redisstore"
)

// A Backend is a Redis that a test looks into, and a store of it.
type Backend struct {
	Address string
	Store   *redisstore.Store
	Do      func(command string, args ...any) any // as redis-cli; a failure fails the test
	Mini    *miniredis.Miniredis                  // nil for a redis-server
}

// NewBackend returns a Backend for the Redis at address.
func NewBackend(t testing.TB, address string) Backend {
	t.Helper()
	store, err := redisstore.Open(address, redisstore.Options{})
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
	return Backend{Address: address, Store: store, Do: func(command string, args ...any) any {
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

// Get returns what is stored for the session id, or "".
func (b Backend) Get(t testing.TB, id string) string {
	t.Helper()
	value, err := redis.String(b.Do("GET", "session:"+id), nil)
	if err != nil && err != redis.ErrNil {
		t.Fatal(err)
	}
	return value
}

// Keys returns all keys.
func (b Backend) Keys(t testing.TB) []string {
	t.Helper()
	keys, err := redis.Strings(b.Do("KEYS", "*"), nil)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// Living returns the keys of the sessions that live: not those of values that say that one is over.
func (b Backend) Living(t testing.TB) []string {
	t.Helper()
	return slices.DeleteFunc(b.Keys(t), func(key string) bool {
		if kind := b.Do("TYPE", key); kind != "string" {
			return true
		}
		value, err := redis.String(b.Do("GET", key), nil)
		return err != nil || !strings.HasPrefix(value, "{") || strings.Contains(value, `"_renewed":`) || strings.Contains(value, `"_ended":`)
	})
}

// MiniRedis returns a Backend of its own in this process.
func MiniRedis(t testing.TB) (Backend, *miniredis.Miniredis) {
	t.Helper()
	server := miniredis.RunT(t)
	b := NewBackend(t, server.Addr())
	b.Mini = server
	return b, server
}

// OnEachRedis runs a test on miniredis and, where it is installed, on a redis-server.
func OnEachRedis(t *testing.T, test func(t *testing.T, b Backend)) {
	t.Run("miniredis", func(t *testing.T) {
		b, _ := MiniRedis(t)
		test(t, b)
	})
	t.Run("redis-server", func(t *testing.T) {
		test(t, NewBackend(t, redistest.Start(t).Addr()))
	})
}
