package goredis_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/redistest"
	"github.com/sessionkv/session/redisstore"
)

// newPart returns a part that has a name of its own.
func newPart(text string) driver.Part { return driver.Part{Name: rand.Text(), Text: []byte(text)} }

// mustSaveParts stores a new value with parts, and returns it.
func mustSaveParts(t testing.TB, store *redisstore.Store, id string, parts ...driver.Part) []byte {
	t.Helper()
	v := value("1")
	if current, err := store.SaveLarge(t.Context(), id, nil, v, time.Hour, parts...); err != nil {
		t.Fatalf("SaveLarge = %q, %v", current, err)
	}
	return v
}

// exerciseParts goes every way through parts, and returns the first error.
func exerciseParts(ctx context.Context, store *redisstore.Store, id string) error {
	part := newPart("1")
	for _, step := range []func() error{
		func() error { _, err := store.SaveLarge(ctx, id, nil, value("1"), time.Minute, part); return err },
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

// wantParts checks that the session is there, and which of its parts are.
func wantParts(t testing.TB, store *redisstore.Store, id string, v []byte, has bool, parts ...driver.Part) {
	t.Helper()
	if got, err := store.LoadLarge(t.Context(), id, time.Hour); err != nil && err != driver.ErrRemoved || string(got) != string(v) {
		t.Errorf("LoadLarge = %q, %v; want %q", got, err, v)
	}
	for _, part := range parts {
		got, err := store.Part(t.Context(), id, part.Name)
		if has && (err != nil || string(got) != string(part.Text)) || !has && err != driver.ErrNotFound {
			t.Errorf("Part = %q, %v; it should be there: %t", got, err, has)
		}
	}
}

func TestPartsAreInTheSlotOfTheirValue(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	store := newStore(t, newClusterClient(c))
	for range 20 {
		id, user := rand.Text(), rand.Text()
		for of, keys := range map[string][2]string{
			id:          {"session:" + id, "{session:" + id + "}:large"},
			user + ":1": {"session:{" + user + "}:1", "session:{" + user + "}:1:large"},
		} {
			part := newPart(of)
			wantParts(t, store, of, mustSaveParts(t, store, of, part), true, part)
			if n := c.Owner(c.Slot(keys[0])).Do(t, "EXISTS", keys[0], keys[1]); n != int64(2) {
				t.Errorf("%v of %q are on its node", n, keys)
			}
		}
	}
}

// While a slot is moved, the value may be on one node and its parts on the other.
func TestMovingSlotOfParts(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	store, target, ctx := newStore(t, newClusterClient(c)), c.Add(), t.Context()
	for _, first := range []string{":1", ":1:large"} {
		user := rand.Text()
		slot := c.Slot("session:{" + user + "}:user")
		id, other, part, more := user+":1", user+":2", newPart("1"), newPart("2")
		v := mustSaveParts(t, store, id, part, more)
		w := mustSaveParts(t, store, other) // without parts
		from := c.BeginMove(slot, target)
		wantParts(t, store, id, v, true, part, more)
		c.MoveKey("session:{"+user+"}"+first, from, target)
		for range 2 {
			wantParts(t, store, id, v, true, part, more)
		}
		added := newPart("3")
		if _, err := store.SaveLarge(ctx, id, nil, value("2"), time.Hour, added); err != driver.ErrConflict {
			t.Errorf("%s: SaveLarge = %v", first, err)
		}
		if err := store.RemoveParts(ctx, id, more.Name); err != nil {
			t.Errorf("%s: RemoveParts = %v", first, err)
		}
		wantParts(t, store, id, v, true, part, added)
		wantParts(t, store, id, v, false, more)

		// It waits for nothing, although the second one has no parts.
		soon, cancel := context.WithTimeout(ctx, time.Second)
		last := value("last")
		if err := store.Bury(soon, last, time.Hour, id, other, user+":none"); err != nil {
			t.Errorf("%s: Bury = %v", first, err)
		}
		cancel()
		wantParts(t, store, id, last, false, part, added)
		wantParts(t, store, other, last, false)
		if string(w) == string(last) {
			t.Error("nothing was buried")
		}
		c.MoveKeys(slot, from, target)
		c.EndMove(slot, from, target)
		wantParts(t, store, id, last, false, part)
	}
}

// What is refused changes no value, and leaves no parts that stay for ever.
func TestPartsThatAreRefused(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	store := newStore(t, redis.NewClient(&redis.Options{Addr: server.Addr()}))
	id, part := rand.Text(), newPart("1")
	v := mustSaveParts(t, store, id, part)
	save := func(store *redisstore.Store, id string, was []byte, want ...string) {
		t.Helper()
		_, err := store.SaveLarge(t.Context(), id, was, value("2"), time.Hour, newPart("2"))
		for _, text := range append(want, "save part of") {
			if err == nil || !strings.Contains(err.Error(), text) {
				t.Errorf("SaveLarge = %v; want %q in it", err, text)
			}
		}
	}
	server.Do(t, "CONFIG", "SET", "maxmemory", 1)
	save(store, id, v, "OOM", "raise its maxmemory")
	wantParts(t, store, id, v, true, part)
	server.Do(t, "CONFIG", "SET", "maxmemory", 0)

	for _, without := range []string{"-hset", "-pexpire"} {
		server.Do(t, "ACL", "SETUSER", "app", "reset", "on", ">pw", "~*", "+@all", without)
		client := redis.NewClient(&redis.Options{Addr: server.Addr(), Username: "app", Password: "pw"})
		save(newStore(t, client), "other", nil, "the ACL user needs")
		if ttl := server.Do(t, "PTTL", "{session:other}:large"); ttl != int64(-2) {
			t.Errorf("with %s, parts live for %v ms", without, ttl)
		}
	}

	server.Do(t, "SET", "{session:"+id+"}:large", "mine")
	save(store, id, v, "WRONGTYPE", "delete it")
	if _, err := store.Part(t.Context(), id, part.Name); !errors.Is(err, driver.ErrNotFound) {
		t.Errorf("Part = %v", err)
	}
	wantParts(t, store, id, v, false)
}

// A script that Redis does not know any more is sent once more, in whole.
func TestScriptFlushOfParts(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	store, part := newStore(t, redis.NewClient(&redis.Options{Addr: server.Addr()})), newPart(strings.Repeat("x", 1<<20))
	if err := store.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	var v []byte
	commands := server.Commands(t, func() { v = mustSaveParts(t, store, "1", part) })
	if got := fmt.Sprint(commands); got != "[EVALSHA EVAL PEXPIRE SET]" {
		t.Errorf("commands = %s", got)
	}
	wantParts(t, store, "1", v, true, part)
	if ttl := server.Do(t, "PTTL", "{session:1}:large").(int64); ttl <= time.Hour.Milliseconds() || ttl > time.Hour.Milliseconds()+1000 {
		t.Errorf("the parts live for %d ms", ttl)
	}
}
