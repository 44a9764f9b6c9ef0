package redisstore_test

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/redistest"
	"github.com/sessionkv/session/redisstore"
)

// Whichever reply is lost, the repeat succeeds and leaves the same behind.
func TestLostReplyOfParts(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr())
	eachMode(t, func(t *testing.T, options redisstore.Options) {
		if err := exercise(t, server, open(t, server.Addr(), options)); err != nil { // so that the server knows the scripts
			t.Fatal(err)
		}
		for name, test := range map[string]struct {
			replies int // of its commands
			do      func(store *redisstore.Store, id string, was []byte, part driver.Part) error
		}{
			"save": {7, func(store *redisstore.Store, id string, was []byte, part driver.Part) error {
				_, err := store.SaveLarge(t.Context(), id, was, longValue("2"), time.Minute, part)
				return err
			}},
			"load": {2, func(store *redisstore.Store, id string, _ []byte, _ driver.Part) error {
				_, err := store.LoadLarge(t.Context(), id, time.Minute)
				return err
			}},
			"part": {2, func(store *redisstore.Store, id string, _ []byte, _ driver.Part) error {
				_, err := store.Part(t.Context(), id, "first")
				return err
			}},
			"remove": {1, func(store *redisstore.Store, id string, _ []byte, _ driver.Part) error {
				return store.RemoveParts(t.Context(), id, "first")
			}},
			"remove all": {1, func(store *redisstore.Store, id string, _ []byte, _ driver.Part) error {
				return store.RemoveParts(t.Context(), id)
			}},
		} {
			if options.NoScripts && name == "save" {
				test.replies = 11
			}
			for skip := range test.replies {
				id, part := rand.Text(), newPart("2")
				direct := open(t, server.Addr(), options)
				was := mustSaveParts(t, direct, id, nil, longValue("1"), driver.Part{Name: "first", Text: []byte("1")})
				store, connections := open(t, proxy.Addr(), options), proxy.Connections()
				proxy.DropReplies(skip, 1)
				if err := test.do(store, id, was, part); err != nil {
					t.Errorf("%s without reply %d: %v", name, skip, err)
				}
				if proxy.Connections() < connections+2 {
					t.Errorf("%s has no reply %d", name, skip)
				}
				if name == "save" {
					wantPart(t, direct, id, part)
				}
				if _, err := direct.Part(t.Context(), id, "first"); strings.HasPrefix(name, "remove") != (err == driver.ErrNotFound) {
					t.Errorf("%s without reply %d: Part = %v", name, skip, err)
				}
			}
		}
	})
}

// A cutting connection ends after some bytes more that it is to send, when the server has done what these ask.
type cutting struct {
	net.Conn
	left *atomic.Int64
}

func (c cutting) Write(p []byte) (int, error) {
	if left := c.left.Add(-int64(len(p))); left < 0 {
		_, _ = c.Conn.Write(p[:max(0, left+int64(len(p)))])
		_ = c.Conn.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, c.Conn)
		return 0, io.ErrClosedPipe
	}
	return c.Conn.Write(p)
}

// Wherever the connections break, there are never parts without a time to live.
func TestNoPartStaysForEver(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	eachMode(t, func(t *testing.T, options redisstore.Options) {
		var left atomic.Int64
		pool := newPool(server.Addr(), redis.DialContextFunc(func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			return cutting{conn, &left}, err
		}))
		store, check := openPool(t, pool, options), open(t, server.Addr(), options)
		stored := 0
		for n := int64(1); ; n++ {
			left.Store(n)
			id, part := rand.Text(), newPart("the part")
			_, err := store.SaveLarge(t.Context(), id, nil, []byte("{}"), time.Minute, part)
			if ttl, _ := redis.Int64(server.Do(t, "PTTL", "{session:"+id+"}:large"), nil); ttl == -1 {
				t.Fatalf("after %d bytes, the hash has no time to live", n)
			}
			if _, err := check.Part(t.Context(), id, part.Name); err == nil {
				stored++
			}
			if err == nil {
				break
			}
			if n > 2000 {
				t.Fatalf("after %d bytes: %v", n, err)
			}
		}
		if stored < 10 {
			t.Errorf("the part was stored %d times; want some before the save has succeeded", stored)
		}
	})
}

// Without the permission for the time to live, nothing is stored that has none.
func TestPartsWithoutPermissionToExpire(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for _, without := range []string{"-pexpire", "-hset", "-multi", "-exec"} {
		server.Do(t, "ACL", "SETUSER", "app", "reset", "on", ">pw", "~*", "+@all", without)
		eachMode(t, func(t *testing.T, options redisstore.Options) {
			store := openPool(t, newPool(server.Addr(), redis.DialUsername("app"), redis.DialPassword("pw")), options)
			_, err := store.SaveLarge(t.Context(), "1", nil, value("1"), time.Minute, newPart("1"))
			wantErrors(t, map[string]error{without: err}, "save part of 1", "the ACL user needs")
			if _, err := store.Load(t.Context(), "1", time.Minute); err != driver.ErrNotFound {
				t.Errorf("with %s, Load = %v: the connection is not fit for use", without, err)
			}
			if ttl := server.Do(t, "PTTL", "{session:1}:large"); ttl == int64(-1) {
				t.Errorf("with %s, the hash has no time to live", without)
			}
			server.Do(t, "FLUSHALL")
		})
	}
}

func TestOutOfMemoryOfParts(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	eachMode(t, func(t *testing.T, options redisstore.Options) {
		server.Do(t, "CONFIG", "SET", "maxmemory", 0)
		store, id, first := open(t, server.Addr(), options), rand.Text(), newPart("1")
		v := mustSaveParts(t, store, id, nil, value("1"), first)
		server.Do(t, "CONFIG", "SET", "maxmemory", 1)
		_, err := store.SaveLarge(t.Context(), id, v, value("2"), time.Minute, newPart("2"))
		wantErrors(t, map[string]error{"save": err}, "OOM", "raise its maxmemory", "save part of "+id)
		if got, err := store.LoadLarge(t.Context(), id, time.Minute); err != nil || string(got) != string(v) {
			t.Errorf("LoadLarge = %q, %v; want the old value", got, err)
		}
		wantPart(t, store, id, first)
		if err := errors.Join(store.RemoveParts(t.Context(), id, first.Name), store.RemoveParts(t.Context(), id)); err != nil {
			t.Error(err)
		}
	})
}

// What somebody else has put under the key of the parts is left as it is, until all of them are removed.
func TestPartsOfAnotherType(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	eachMode(t, func(t *testing.T, options redisstore.Options) {
		store, id, part := open(t, server.Addr(), options), rand.Text(), newPart("1")
		key := "{session:" + id + "}:large"
		v := mustSave(t, store, id, nil, value("1"))
		server.Do(t, "SET", key, "mine")
		_, save := store.SaveLarge(t.Context(), id, v, value("2"), time.Minute, part)
		remove := store.RemoveParts(t.Context(), id, part.Name)
		wantErrors(t, map[string]error{"save": save, "remove": remove}, "WRONGTYPE", "delete it")
		_, err := store.Part(t.Context(), id, part.Name)
		if !errors.Is(err, driver.ErrNotFound) || !strings.Contains(err.Error(), "another Redis type than a hash") {
			t.Errorf("Part = %v", err)
		}
		wantStored(t, store, id, v)
		if got, _ := redis.String(server.Do(t, "GET", key), nil); got != "mine" {
			t.Errorf("there is %q", got)
		}
		if err := store.RemoveParts(t.Context(), id); err != nil {
			t.Error(err)
		}
		mustSaveParts(t, store, id, v, value("2"), part)
		wantPart(t, store, id, part)
	})
}

// Redis may evict the parts and keep the value. What is stored from then on is there.
func TestEvictedParts(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	eachMode(t, func(t *testing.T, options redisstore.Options) {
		store, id, part, next := open(t, server.Addr(), options), rand.Text(), newPart("1"), newPart("2")
		v := mustSaveParts(t, store, id, nil, value("1"), part)
		server.Do(t, "DEL", "{session:"+id+"}:large")
		if _, err := store.Part(t.Context(), id, part.Name); err != driver.ErrNotFound {
			t.Errorf("Part = %v", err)
		}
		if got, err := store.LoadLarge(t.Context(), id, time.Minute); err != nil || string(got) != string(v) {
			t.Errorf("LoadLarge = %q, %v", got, err)
		}
		mustSaveParts(t, store, id, v, value("2"), next)
		wantPart(t, store, id, next)
	})
}
