package redisstore_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/sessionkv/session/redisstore"
)

// modes are the two ways to save.
var modes = []struct {
	name    string
	options redisstore.Options
}{
	{"script", redisstore.Options{}},
	{"no scripts", redisstore.Options{NoScripts: true}},
}

// eachMode runs a test in both modes.
func eachMode(t *testing.T, test func(t *testing.T, options redisstore.Options)) {
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) { test(t, mode.options) })
	}
}

// newPool returns a pool of connections to addr, as a caller of New would set it up.
func newPool(addr string, options ...redis.DialOption) *redis.Pool {
	options = append([]redis.DialOption{
		redis.DialConnectTimeout(time.Second), redis.DialReadTimeout(time.Second), redis.DialWriteTimeout(time.Second),
	}, options...)
	return &redis.Pool{MaxIdle: 64, DialContext: func(ctx context.Context) (redis.Conn, error) {
		return redis.DialContext(ctx, "tcp", addr, options...)
	}}
}

// open returns a Store on addr that is closed with the test.
func open(t testing.TB, addr string, options redisstore.Options) *redisstore.Store {
	return openPool(t, newPool(addr), options)
}

func openPool(t testing.TB, pool *redis.Pool, options redisstore.Options) *redisstore.Store {
	store := redisstore.New(pool, options)
	t.Cleanup(func() { store.Close() })
	return store
}

// value returns a value of a new revision.
func value(body string) []byte {
	return fmt.Appendf(nil, `{"_rev":"%s","body":"%s"}`, rand.Text(), body)
}

// longValue returns a value of a new revision that is too long for IFEQ, so that replacing it is the same on every
// server.
func longValue(body string) []byte { return value(body + strings.Repeat("x", 9<<10)) }

// mustSave stores a value, and returns it.
func mustSave(t testing.TB, store *redisstore.Store, id string, was, v []byte) []byte {
	t.Helper()
	if current, err := store.Save(t.Context(), id, was, v, time.Minute); err != nil {
		t.Fatalf("Save = %.100q, %v; want success", current, err)
	}
	return v
}

// wantStored checks what is stored.
func wantStored(t testing.TB, store *redisstore.Store, id string, v []byte) {
	t.Helper()
	if got, err := store.Load(t.Context(), id, time.Minute); err != nil || !bytes.Equal(got, v) {
		t.Fatalf("Load = %.100q, %v; want %.100q", got, err, v)
	}
}

// A timed store lets storetest make time pass.
type timed struct {
	*redisstore.Store
	advance func(time.Duration)
}

func (s timed) Advance(d time.Duration) { s.advance(d) }
