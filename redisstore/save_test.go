package redisstore_test

import (
	"crypto/rand"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"

	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/redistest"
	"github.com/sessionkv/session/redisstore"
)

func TestNoScriptsSeesAChangeBetweenItsRoundTrips(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(server *miniredis.Miniredis)
		want   error
	}{
		{"another value", func(server *miniredis.Miniredis) { _ = server.Set("session:1", "{}") }, driver.ErrConflict},
		{"nothing", func(server *miniredis.Miniredis) { server.Del("session:1") }, driver.ErrNotFound},
		{"expired", func(server *miniredis.Miniredis) { server.FastForward(time.Hour) }, driver.ErrNotFound},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := miniredis.RunT(t)
			store := open(t, server.Addr(), redisstore.Options{NoScripts: true})
			v := mustSave(t, store, "1", nil, value("1"))
			once := beforeOnce(server, "SET", func() { test.change(server) })
			got, err := store.Save(t.Context(), "1", v, value("2"), time.Minute)
			if err != test.want || !once() {
				t.Fatalf("Save = %q, %v; want %v", got, err, test.want)
			}
			if test.want == driver.ErrConflict && string(got) != "{}" {
				t.Errorf("current value = %q", got)
			}
			mustSave(t, store, "2", nil, value("1")) // the connection is fit for use
		})
	}
}

// A value is another one if its length or its beginning differs, on each server.
func TestSaveFindsAnotherValue(t *testing.T) {
	eachMode(t, func(t *testing.T, options redisstore.Options) {
		for name, addr := range map[string]string{"miniredis": miniredis.RunT(t).Addr(), "server": redistest.Start(t).Addr()} {
			store := open(t, addr, options)
			revised := longValue("1")
			for _, test := range []struct{ was, stored string }{
				{string(revised), string(revised[:len(revised)-1])},
				{string(revised), string(revised) + " "},
				{string(revised), string(revised[:20])},
				{string(revised), "1"},
				{string(revised), ""},
				{string(revised), string(longValue("1"))},
				{"1", "11"},
				{"1", "21"},
				{"11", "1"},
				{"1", ""},
				{"", "1"},
			} {
				id := rand.Text()
				mustSave(t, store, id, nil, []byte(test.stored))
				current, err := store.Save(t.Context(), id, []byte(test.was), value("2"), time.Minute)
				if err != driver.ErrConflict || string(current) != test.stored {
					t.Errorf("%s: Save over %.30q instead of %.30q = %.30q, %v", name, test.stored, test.was, current, err)
				}
				mustSave(t, store, id, []byte(test.stored), value("3"))
			}
		}
	})
}

// The value that was in the way of a new one may be gone when it is read.
func TestCreateWhereAValueVanishes(t *testing.T) {
	eachMode(t, func(t *testing.T, options redisstore.Options) {
		server := miniredis.RunT(t)
		store := open(t, server.Addr(), options)
		mustSave(t, store, "1", nil, value("1"))
		beforeOnce(server, "GETEX", func() { server.Del("session:1") })
		if _, err := store.Save(t.Context(), "1", nil, value("2"), time.Minute); err != driver.ErrNotFound {
			t.Errorf("Save = %v", err)
		}
	})
}

// beforeOnce runs fn before the next command of this name, and returns whether it has.
func beforeOnce(m *miniredis.Miniredis, name string, fn func()) (ran func() bool) {
	var done atomic.Bool
	m.Server().SetPreHook(func(_ *server.Peer, command string, _ ...string) bool {
		if command == name && done.CompareAndSwap(false, true) {
			fn()
		}
		return false
	})
	return done.Load
}

// With maxmemory reached, a policy may evict the staged value before the script uses it.
func TestStagedValueEvicted(t *testing.T) {
	server := miniredis.RunT(t)
	store := open(t, server.Addr(), redisstore.Options{})
	v := mustSave(t, store, "1", nil, value("1"))
	beforeOnce(server, "EVALSHA", func() {
		for _, key := range server.Keys() {
			if strings.HasPrefix(key, "{") {
				server.Del(key)
			}
		}
	})
	_, err := store.Save(t.Context(), "1", v, value("2"), time.Minute)
	if err == nil || !strings.Contains(err.Error(), "evicted") || errors.Is(err, driver.ErrNotFound) {
		t.Errorf("Save = %v; want an error that speaks of eviction", err)
	}
	wantStored(t, store, "1", v)
}
