package goredis_test

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/redistest"
	"github.com/sessionkv/session/redisstore"
)

// The smallest ACL, as in the package comments of redisstore and of goredis.
const (
	aclForAll = "+getex +pttl +getdel +set +evalsha +eval +strlen +getrange +rename +pexpire +unlink +type +get " +
		"+exists +zrank +zscore +zadd +zrem +zrange +zcard +zpopmin +zremrangebyrank +hget +hset +hdel"
	aclForCluster = "+cluster|slots +asking"
)

// allow gives the user app these commands, and the keys of sessions.
func allow(t *testing.T, servers []*redistest.Server, commands string) {
	t.Helper()
	rules := strings.Fields("SETUSER app reset on >pw ~session:* ~{session:* " + commands)
	args := make([]any, len(rules))
	for i, rule := range rules {
		args[i] = rule
	}
	for _, server := range servers {
		server.Do(t, "ACL", args...)
		server.Do(t, "SCRIPT", "FLUSH")
	}
}

// exercise goes every way through the store, calls moved when there is a session, and returns the first error.
// session:list is a list.
func exercise(t *testing.T, store *redisstore.Store, id string, moved func()) error {
	t.Helper()
	ctx := t.Context()
	long := strings.Repeat("x", 9<<10) // too long for IFEQ
	first, second, third := value(long+"1"), value(long+"2"), value(long+"3")
	for _, step := range []struct {
		want error
		do   func() ([]byte, error)
	}{
		{nil, func() ([]byte, error) { return nil, store.Ping(ctx) }},
		{nil, func() ([]byte, error) { return store.Save(ctx, id, nil, first, time.Minute) }},
		{driver.ErrConflict, func() ([]byte, error) { return store.Save(ctx, id, nil, second, time.Minute) }},
		{nil, func() ([]byte, error) { return store.Save(ctx, id, first, second, time.Minute) }},
		{driver.ErrConflict, func() ([]byte, error) { return store.Save(ctx, id, first, third, time.Minute) }},
		{driver.ErrNotFound, func() ([]byte, error) { return store.Save(ctx, "none", first, second, time.Minute) }},
		{driver.ErrNotFound, func() ([]byte, error) { return store.Save(ctx, "list", first, second, time.Minute) }},
		{nil, func() ([]byte, error) { moved(); return store.Load(ctx, id, time.Minute) }},
		{nil, func() ([]byte, error) { v, _, err := store.Peek(ctx, id); return v, err }},
		{driver.ErrConflict, func() ([]byte, error) { return store.Delete(ctx, id, first) }},
		{nil, func() ([]byte, error) { return store.Delete(ctx, id, second) }},
		{nil, func() ([]byte, error) { return nil, exerciseDelete(ctx, store, rand.Text(), first) }},
		{nil, func() ([]byte, error) { return nil, exerciseUsers(ctx, store) }},
		{nil, func() ([]byte, error) { return nil, exerciseParts(ctx, store, rand.Text()) }},
	} {
		if _, err := step.do(); !errors.Is(err, step.want) {
			return err
		}
	}
	return nil
}

// exerciseDelete stores a value and deletes it, whatever it is.
func exerciseDelete(ctx context.Context, store *redisstore.Store, id string, v []byte) error {
	_, err := store.Save(ctx, id, nil, v, time.Minute)
	if err == nil {
		_, err = store.Delete(ctx, id, nil)
	}
	return err
}

// exerciseUsers goes every way through what a user has, and returns the first error.
func exerciseUsers(ctx context.Context, store *redisstore.Store) error {
	user, v := rand.Text(), value("1")
	for _, name := range []string{"1", "2", "3"} {
		if _, err := store.Save(ctx, user+":"+name, nil, v, time.Minute); err != nil {
			return err
		}
		entry := driver.Entry{ID: user + ":" + name, Keep: time.Minute, Limit: 2}
		if _, err := store.Add(ctx, entry); err != nil {
			return err
		}
	}
	if _, err := store.Load(ctx, user+":1", time.Minute); err != driver.ErrRemoved {
		return err
	}
	if err := store.Replace(ctx, user+":2", driver.Entry{ID: user + ":1", Keep: time.Minute}); err != nil {
		return err
	}
	if err := store.Remove(ctx, user+":1"); err != nil {
		return err
	}
	if _, err := store.RemoveOthers(ctx, user+":3"); err != nil {
		return err
	}
	_, err := store.RemoveAll(ctx, user)
	return err
}

func TestSmallestACL(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Do(t, "RPUSH", "session:list", "1")
	try := func(commands string) error {
		allow(t, []*redistest.Server{server}, commands)
		client := redis.NewClient(&redis.Options{Addr: server.Addr(), Username: "app", Password: "pw"})
		return exercise(t, newStore(t, client), rand.Text(), func() {})
	}
	eachLeftOut(t, aclForAll, try)
}

func TestSmallestACLOnCluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	target := c.Add()
	const id = "moving"
	slot := c.Slot("session:" + id)
	c.Owner(c.Slot("session:list")).Do(t, "RPUSH", "session:list", "1")
	try := func(commands string) error {
		allow(t, append(c.Servers[:6:6], target), commands)
		client := redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.Addrs(), Username: "app", Password: "pw"})
		from := c.Owner(slot)
		moved := func() {
			c.BeginMove(slot, target)
			c.MoveKeys(slot, from, target)
		}
		defer func() {
			from.Do(t, "CLUSTER", "SETSLOT", slot, "STABLE")
			target.Do(t, "CLUSTER", "SETSLOT", slot, "STABLE")
			from.Do(t, "DEL", "session:"+id)
			target.Do(t, "FLUSHALL")
		}()
		return exercise(t, newStore(t, client), id, moved)
	}
	eachLeftOut(t, aclForAll+" "+aclForCluster, try)
}

// eachLeftOut tries the commands, and then without each.
func eachLeftOut(t *testing.T, commands string, try func(commands string) error) {
	t.Helper()
	if err := try(commands); err != nil {
		t.Fatalf("with %s: %v", commands, err)
	}
	for _, without := range strings.Fields(commands) {
		err := try(strings.ReplaceAll(commands+" ", without+" ", ""))
		if err == nil || !strings.Contains(err.Error(), "the ACL user needs") || !strings.Contains(err.Error(), without) {
			t.Errorf("without %s: %v; want a hint", without, err)
		}
	}
}
