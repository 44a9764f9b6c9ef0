package redisstore_test

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/redistest"
	"github.com/sessionkv/session/redisstore"
)

func TestPassword(t *testing.T) {
	t.Parallel()
	const password, wrong = "correct-horse", "battery-staple"
	server := redistest.Start(t, "--requirepass", password)
	for _, test := range []struct {
		name, user string
		want       []string
	}{
		{"missing", "", []string{"NOAUTH", "put it into the URL"}},
		{"wrong", ":" + wrong + "@", []string{"WRONGPASS", "is wrong"}},
		{"wrong user", wrong + ":" + password + "@", []string{"WRONGPASS", "is wrong"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			store, err := redisstore.Open("redis://"+test.user+server.Addr(), redisstore.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			errs := operations(t.Context(), store, "1")
			wantErrors(t, errs, test.want...)
			for _, err := range errs {
				if strings.Contains(err.Error(), password) || strings.Contains(err.Error(), wrong) {
					t.Errorf("%v shows a password", err)
				}
			}
		})
	}
	t.Run("changed later", func(t *testing.T) {
		admin := server.Dial(t, redis.DialPassword(password))
		if _, err := admin.Do("ACL", "SETUSER", "app", "on", ">"+password, "~*", "+@all"); err != nil {
			t.Fatal(err)
		}
		store, err := redisstore.Open("redis://app:"+password+"@"+server.Addr(), redisstore.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		if err := store.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := admin.Do("ACL", "DELUSER", "app"); err != nil { // this ends the user's connections too
			t.Fatal(err)
		}
		wantErrors(t, operations(t.Context(), store, "1"), "WRONGPASS")
	})
	t.Run("not wanted", func(t *testing.T) {
		store, err := redisstore.Open("redis://:"+wrong+"@"+redistest.Start(t).Addr(), redisstore.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		wantErrors(t, operations(t.Context(), store, "1"), "has no password")
	})
}

// aclFor is the smallest ACL, as in the package comment, by NoScripts.
var aclFor = map[bool]string{
	false: "+getex +pttl +getdel +set +evalsha +eval +strlen +getrange +rename +pexpire +unlink +type +get " +
		"+exists +zrank +zscore +zadd +zrem +zrange +zcard +zpopmin +zremrangebyrank +hget +hset +hdel +multi +exec",
	true: "+getex +pttl +getdel +set +watch +strlen +getrange +multi +exec +discard " +
		"+pexpire +unlink +exists +zrank +zadd +zrem +zrange +zpopmin +zremrangebyrank +hget +hset +hdel",
}

// exercise goes every way through the store, and returns the first error.
func exercise(t *testing.T, server *redistest.Server, store *redisstore.Store) error {
	t.Helper()
	ctx, id := t.Context(), rand.Text()
	server.Do(t, "SCRIPT", "FLUSH")
	server.Do(t, "RPUSH", "session:list"+id, "1")
	first, second := longValue("1"), longValue("2")
	for _, step := range []struct {
		want error
		do   func() ([]byte, error)
	}{
		{nil, func() ([]byte, error) { return nil, store.Ping(ctx) }},
		{nil, func() ([]byte, error) { return store.Save(ctx, id, nil, first, time.Minute) }},
		{nil, func() ([]byte, error) { return store.Save(ctx, id, nil, first, time.Minute) }},
		{driver.ErrConflict, func() ([]byte, error) { return store.Save(ctx, id, nil, second, time.Minute) }},
		{nil, func() ([]byte, error) { return store.Save(ctx, id, first, second, time.Minute) }},
		{nil, func() ([]byte, error) { return store.Save(ctx, id, first, second, time.Minute) }},
		{driver.ErrConflict, func() ([]byte, error) { return store.Save(ctx, id, first, longValue("3"), time.Minute) }},
		{nil, func() ([]byte, error) { return store.Load(ctx, id, time.Minute) }},
		{nil, func() ([]byte, error) { v, _, err := store.Peek(ctx, id); return v, err }},
		{nil, func() ([]byte, error) { return store.Delete(ctx, id, nil) }},
		{driver.ErrNotFound, func() ([]byte, error) { return store.Save(ctx, id, first, second, time.Minute) }},
		{driver.ErrNotFound, func() ([]byte, error) { return store.Save(ctx, "list"+id, first, second, time.Minute) }},
	} {
		if _, err := step.do(); !errors.Is(err, step.want) {
			return err
		}
	}
	if err := exerciseParts(ctx, store, rand.Text()); err != nil {
		return err
	}
	return exerciseUsers(ctx, store)
}

// exerciseUsers goes every way through what a user has, and returns the first error.
func exerciseUsers(ctx context.Context, store *redisstore.Store) error {
	user, v := rand.Text(), value("1")
	entry := func(name string, limit int) driver.Entry {
		return driver.Entry{ID: user + ":" + name, Keep: time.Minute, Limit: limit}
	}
	add := func(name string, limit int) error {
		_, err := store.Save(ctx, user+":"+name, nil, v, time.Minute)
		if err == nil {
			_, err = store.Add(ctx, entry(name, limit))
		}
		return err
	}
	for _, step := range []struct {
		want error
		do   func() error
	}{
		{nil, func() error { _, err := store.Stamp(ctx, user); return err }},
		{nil, func() error { return add("1", 0) }},
		{nil, func() error { return add("2", 2) }},
		{nil, func() error { return add("3", 2) }},
		{nil, func() error { _, err := store.Load(ctx, user+":3", time.Minute); return err }},
		{driver.ErrRemoved, func() error { _, _, err := store.Peek(ctx, user+":1"); return err }},
		{nil, func() error { return store.Bury(ctx, v, time.Minute, user+":1") }},
		{nil, func() error { return store.Replace(ctx, user+":2", entry("1", 0)) }},
		{driver.ErrRemoved, func() error { return store.Replace(ctx, user+":2", entry("4", 0)) }},
		{nil, func() error { _, err := store.Delete(ctx, user+":1", v); return err }},
		{nil, func() error { _, err := store.Members(ctx, user); return err }},
		{nil, func() error { return add("5", 0) }},
		{nil, func() error { _, err := store.RemoveOthers(ctx, user+":5"); return err }},
		{nil, func() error { return store.Remove(ctx, user+":5") }},
		{nil, func() error { _, err := store.RemoveAll(ctx, user); return err }},
	} {
		if err := step.do(); !errors.Is(err, step.want) {
			return err
		}
	}
	return nil
}

func TestSmallestACL(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	eachMode(t, func(t *testing.T, options redisstore.Options) {
		user := func(rules string) *redisstore.Store {
			server.Do(t, "ACL", "SETUSER", "app", "reset")
			server.Do(t, "ACL", redis.Args{"SETUSER", "app", "on", ">pw"}.AddFlat(strings.Fields(rules))...)
			return openPool(t, newPool(server.Addr(), redis.DialUsername("app"), redis.DialPassword("pw")), options)
		}
		keys, commands := "~session:* ~{session:* ", aclFor[options.NoScripts]
		if err := exercise(t, server, user(keys+commands)); err != nil {
			t.Fatalf("with %s%s: %v", keys, commands, err)
		}
		for _, without := range strings.Fields(commands) {
			err := exercise(t, server, user(keys+strings.ReplaceAll(commands+" ", without+" ", "")))
			wantErrors(t, map[string]error{"without " + without: err}, "the ACL user needs", without)
		}
		err := exercise(t, server, user("~other:* "+commands))
		wantErrors(t, map[string]error{"without the keys": err}, "the ACL user needs", "~session:*")
	})
}

// What stays behind if the process ends between the two commands of a save is gone in 10 seconds.
func TestStagedValueExpires(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Do(t, "ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all", "-evalsha")
	store := openPool(t, newPool(server.Addr(), redis.DialUsername("app"), redis.DialPassword("pw")), redisstore.Options{})
	first := mustSave(t, store, "1", nil, longValue("1"))
	_, err := store.Save(t.Context(), "1", first, []byte(`{"_rev":"two"}`), time.Hour)
	wantErrors(t, map[string]error{"replace": err}, "NOPERM")
	left, err := redis.Int(server.Do(t, "PTTL", "{session:1}:two"), nil)
	if err != nil || left <= 0 || left > 10_000 {
		t.Errorf("the staged value lives for %d ms, %v; want up to 10 s", left, err)
	}
	wantStored(t, store, "1", first)
}

// Without MULTI, a SET would replace whatever is stored.
func TestNoScriptsWithoutMultiChangesNothing(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Do(t, "ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all", "-multi")
	pool := newPool(server.Addr(), redis.DialUsername("app"), redis.DialPassword("pw"))
	store := openPool(t, pool, redisstore.Options{NoScripts: true})
	v := mustSave(t, store, "1", nil, longValue("1"))
	_, err := store.Save(t.Context(), "1", v, value("2"), time.Minute)
	wantErrors(t, map[string]error{"replace": err}, "NOPERM", "+multi")
	wantStored(t, store, "1", v)
}
