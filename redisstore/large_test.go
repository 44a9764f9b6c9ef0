package redisstore_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/redistest"
	"github.com/sessionkv/session/redisstore"
)

// newPart returns a part that has a name of its own.
func newPart(text string) driver.Part { return driver.Part{Name: rand.Text(), Text: []byte(text)} }

// mustSaveParts stores a value with parts, and returns it.
func mustSaveParts(t testing.TB, store *redisstore.Store, id string, was, v []byte, parts ...driver.Part) []byte {
	t.Helper()
	if current, err := store.SaveLarge(t.Context(), id, was, v, time.Minute, parts...); err != nil {
		t.Fatalf("SaveLarge = %.100q, %v; want success", current, err)
	}
	return v
}

// wantPart checks what is stored.
func wantPart(t testing.TB, store *redisstore.Store, id string, part driver.Part) {
	t.Helper()
	if got, err := store.Part(t.Context(), id, part.Name); err != nil || !bytes.Equal(got, part.Text) {
		t.Fatalf("Part = %.100q, %v; want %.100q", got, err, part.Text)
	}
}

// partsOperations calls every method that knows parts once, and returns their errors by name.
func partsOperations(ctx context.Context, store *redisstore.Store, id string) map[string]error {
	_, load := store.LoadLarge(ctx, id, time.Minute)
	_, ofUser := store.LoadLarge(ctx, "user:"+id, time.Minute)
	_, create := store.SaveLarge(ctx, id, nil, value("1"), time.Minute)
	_, replace := store.SaveLarge(ctx, id, value("1"), value("2"), time.Minute)
	_, part := store.SaveLarge(ctx, id, nil, value("1"), time.Minute, newPart("1"))
	_, get := store.Part(ctx, id, "name")
	return map[string]error{
		"load with parts": load, "load of a user with parts": ofUser, "create with parts": create, "replace with parts": replace,
		"save of a part": part, "load of a part": get,
		"remove of a part": store.RemoveParts(ctx, id, "name"), "remove of parts": store.RemoveParts(ctx, id),
	}
}

// exerciseParts goes every way through parts, and returns the first error.
func exerciseParts(ctx context.Context, store *redisstore.Store, id string) error {
	part := newPart("1")
	for _, step := range []func() error{
		func() error { _, err := store.SaveLarge(ctx, id, nil, longValue("1"), time.Minute, part); return err },
		func() error { _, err := store.LoadLarge(ctx, id, time.Minute); return err },
		func() error { _, err := store.Part(ctx, id, part.Name); return err },
		func() error { return store.RemoveParts(ctx, id, part.Name) },
		func() error { return store.RemoveParts(ctx, id) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func TestCommandsOfParts(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	const part = "MULTI HSET PEXPIRE EXEC "
	for _, mode := range []struct {
		options redisstore.Options
		replace string
	}{
		{redisstore.Options{}, "PEXPIRE SET EVALSHA"},
		{redisstore.Options{NoScripts: true}, "WATCH STRLEN GETRANGE MULTI PEXPIRE SET EXEC"},
	} {
		store, ctx := open(t, server.Addr(), mode.options), t.Context()
		if err := exercise(t, server, store); err != nil {
			t.Fatal(err)
		}
		id, ofUser, first, second, one := rand.Text(), "alice:"+rand.Text(), longValue("1"), longValue("2"), newPart("1")
		save := func(id string, was, v []byte, parts ...driver.Part) func() error {
			return func() error { _, err := store.SaveLarge(ctx, id, was, v, time.Minute, parts...); return err }
		}
		load := func(id string) func() error {
			return func() error { _, err := store.LoadLarge(ctx, id, time.Minute); return err }
		}
		for _, step := range []struct {
			what, want string
			err        error
			do         func() error
		}{
			{"create", part + part + "PEXPIRE SET", nil, save(id, nil, first, one, newPart("2"))},
			{"create, conflict", part + "PEXPIRE SET GETEX", driver.ErrConflict, save(id, nil, second, newPart("3"))},
			{"replace", part + mode.replace, nil, save(id, first, second, newPart("4"))},
			{"replace, without parts", mode.replace, nil, save(id, second, first)},
			{"replace of a user's", part + "PEXPIRE SET", nil, save(ofUser, nil, first, one)},
			{"load", "PEXPIRE GETEX", nil, load(id)},
			{"load of a user's", "PEXPIRE ZRANK GETEX", driver.ErrRemoved, load(ofUser)},
			{"part", "GETEX HGET", nil, func() error { _, err := store.Part(ctx, id, one.Name); return err }},
			{"part, none", "GETEX HGET", driver.ErrNotFound, func() error { _, err := store.Part(ctx, id, "none"); return err }},
			{"remove some", "HDEL", nil, func() error { return store.RemoveParts(ctx, id, one.Name, "none") }},
			{"remove all", "UNLINK", nil, func() error { return store.RemoveParts(ctx, id) }},
		} {
			var err error
			got := strings.Join(server.Commands(t, func() { err = step.do() }), " ")
			if got != step.want || err != step.err { // bare: a caller may compare with ==
				t.Errorf("%s: %s, %v; want %s, %v", step.what, got, err, step.want, step.err)
			}
		}
	}
}

// IFEQ has the PEXPIRE ahead of it too.
func TestCommandsOfPartsWithIfEqual(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	if !server.HasIfEqual(t) {
		t.Skip("the server has no IFEQ")
	}
	store, part := open(t, server.Addr(), redisstore.Options{}), newPart("1")
	v := mustSaveParts(t, store, "1", nil, value("1"), part)
	commands := server.Commands(t, func() { v = mustSaveParts(t, store, "1", v, value("2")) })
	if got := strings.Join(commands, " "); got != "PEXPIRE SET" {
		t.Errorf("commands = %s", got)
	}
	wantPart(t, store, "1", part)
}

func TestKeysOfParts(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	eachMode(t, func(t *testing.T, options redisstore.Options) {
		server.Do(t, "FLUSHALL")
		options.Prefix = "app:"
		store := open(t, server.Addr(), options)
		for _, id := range []string{"one", "0a1b:two"} {
			v := mustSaveParts(t, store, id, nil, value("1"), newPart("1"))
			mustSaveParts(t, store, id, v, value("2"), newPart("2"))
		}
		keys, _ := redis.Strings(server.Do(t, "KEYS", "*"), nil)
		slices.Sort(keys)
		want := []string{"app:one", "app:{0a1b}:two", "app:{0a1b}:two:large", "{app:one}:large"}
		if !slices.Equal(keys, want) {
			t.Errorf("keys %q; want %q", keys, want)
		}
		check := func(ttl time.Duration) {
			t.Helper()
			for _, key := range []string{"app:{0a1b}:two", "app:one"} {
				hash := strings.Replace("{"+key+"}:large", "{app:{0a1b}:two}", "app:{0a1b}:two", 1)
				parts, _ := redis.Int64(server.Do(t, "PEXPIRETIME", hash), nil)
				value, _ := redis.Int64(server.Do(t, "PEXPIRETIME", key), nil)
				left, _ := redis.Int64(server.Do(t, "PTTL", hash), nil)
				if over := parts - value; over <= 0 || over > 1000 || left > (ttl+time.Second).Milliseconds() {
					t.Errorf("%s lives for %d ms, and %d ms longer than the value", hash, left, over)
				}
			}
		}
		check(time.Minute)
		for _, ttl := range []time.Duration{time.Hour, time.Second} {
			for _, id := range []string{"one", "0a1b:two"} {
				if _, err := store.LoadLarge(t.Context(), id, ttl); err != nil && err != driver.ErrRemoved {
					t.Fatal(err)
				}
			}
			check(ttl)
		}
	})
}
