package goredis_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/redistest"
	"github.com/sessionkv/session/redisstore"
	"github.com/sessionkv/session/redisstore/goredis"
	"github.com/sessionkv/session/storetest"
)

func TestMain(m *testing.M) {
	redis.SetLogger(silent{})
	os.Exit(m.Run())
}

// silent keeps go-redis from printing what the tests do to its connections.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

func ExampleNew() {
	client := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs:                 []string{"n1:6379", "n2:6379", "n3:6379"},
		Password:              os.Getenv("REDIS_PASSWORD"),
		ContextTimeoutEnabled: true,
		DialerRetries:         1,
	})
	store := goredis.New(client, redisstore.Options{})
	defer store.Close()
	sessions, err := session.New(session.Config{Store: store})
	fmt.Println(sessions != nil, err)
	// Output: true <nil>
}

// A client that go-redis connects through Sentinel follows failovers by itself.
func ExampleNew_sentinel() {
	client := redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName:            "mymaster",
		SentinelAddrs:         []string{"s1:26379", "s2:26379", "s3:26379"},
		ContextTimeoutEnabled: true,
		DialerRetries:         1,
	})
	store := goredis.New(client, redisstore.Options{})
	defer store.Close()
	sessions, err := session.New(session.Config{Store: store})
	fmt.Println(sessions != nil, err)
	// Output: true <nil>
}

func value(body string) []byte {
	return fmt.Appendf(nil, `{"_rev":"%s","body":"%s"}`, rand.Text(), body)
}

func newStore(t testing.TB, client redis.UniversalClient) *redisstore.Store {
	store := goredis.New(client, redisstore.Options{})
	t.Cleanup(func() { store.Close() })
	return store
}

func newClusterClient(c *redistest.Cluster) *redis.ClusterClient {
	return redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.Addrs(), ContextTimeoutEnabled: true, DialerRetries: 1})
}

func newFailoverClient(set *redistest.Sentinels) *redis.Client {
	options := &redis.FailoverOptions{MasterName: redistest.MasterName, ContextTimeoutEnabled: true, DialerRetries: 1}
	for _, s := range set.Sentinels {
		options.SentinelAddrs = append(options.SentinelAddrs, s.Addr())
	}
	return redis.NewFailoverClient(options)
}

// A timed store lets storetest make time pass.
type timed struct {
	*redisstore.Store
	server *miniredis.Miniredis
}

func (s timed) Advance(d time.Duration) { s.server.FastForward(d) }

func TestStoreOnMiniredis(t *testing.T) {
	storetest.Run(t, func(t *testing.T) driver.Store {
		server := miniredis.RunT(t)
		return timed{newStore(t, redis.NewClient(&redis.Options{Addr: server.Addr()})), server}
	})
}

func TestStoreOnRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for name, options := range map[string]*redis.Options{
		"as it comes":    {},
		"as advised":     {ContextTimeoutEnabled: true, DialerRetries: 1},
		"with RESP2":     {Protocol: 2},
		"one connection": {PoolSize: 1},
	} {
		options.Addr = server.Addr()
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, func(t *testing.T) driver.Store { return newStore(t, redis.NewClient(options)) })
		})
	}
}

func TestStoreOnSentinel(t *testing.T) {
	t.Parallel()
	set := redistest.StartSentinels(t, nil)
	storetest.Run(t, func(t *testing.T) driver.Store { return newStore(t, newFailoverClient(set)) })
}

func TestStoreOnCluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	storetest.Run(t, func(t *testing.T) driver.Store { return newStore(t, newClusterClient(c)) })
}

func TestSessionsAreSpread(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	store := newStore(t, newClusterClient(c))
	const sessions = 300
	for range sessions {
		id, first, second := rand.Text(), value("1"), value("2")
		_, err1 := store.Save(t.Context(), id, nil, first, time.Hour)
		_, err2 := store.Save(t.Context(), id, first, second, time.Hour)
		got, err3 := store.Load(t.Context(), id, time.Hour)
		if err := errors.Join(err1, err2, err3); err != nil || string(got) != string(second) {
			t.Fatalf("%q, %v", got, err)
		}
	}
	total := int64(0)
	for _, s := range c.Servers[:3] {
		n := s.Do(t, "DBSIZE").(int64)
		if total += n; n < sessions/6 {
			t.Errorf("%d of %d sessions on one of three masters", n, sessions)
		}
	}
	if total != sessions {
		t.Errorf("%d keys for %d sessions", total, sessions)
	}
}

// A pool of redigo that leads to one node of a cluster says what it is, and what to use.
func TestRedigoOnCluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	store, err := redisstore.Open(c.Servers[0].URL(), redisstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	moved := 0
	for range 100 {
		_, err := store.Save(t.Context(), rand.Text(), nil, value("1"), time.Minute)
		if err == nil {
			continue
		}
		if moved++; !strings.Contains(err.Error(), "MOVED") || !strings.Contains(err.Error(), "use redisstore/goredis") {
			t.Errorf("error = %v", err)
		}
	}
	if moved == 0 {
		t.Error("one node took everything")
	}
}

const visits = session.Key[int]("visits")

// Concurrent requests of one session are counted exactly, whatever slot it is in.
func TestConcurrentUpdates(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	sessions, err := session.New(session.Config{Store: newStore(t, newClusterClient(c)), Cookie: session.Cookie{InsecureHTTP: true}})
	if err != nil {
		t.Fatal(err)
	}
	handler := sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, err := session.Load(r.Context())
		if err == nil {
			err = visits.Update(s, func(n int) int { return n + 1 })
		}
		if err != nil {
			t.Error(err)
		}
		if r.URL.Path == "/last" {
			n, _ := visits.Get(s)
			fmt.Fprint(w, n)
		}
	}))
	request := func(path string, cookies []*http.Cookie) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", path, nil)
		for _, cookie := range cookies {
			r.AddCookie(cookie)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			t.Errorf("status %d: %s", w.Code, w.Body)
		}
		return w
	}
	for range 5 {
		cookies := request("/", nil).Result().Cookies()
		var group sync.WaitGroup
		for range 50 {
			group.Go(func() { request("/", cookies) })
		}
		group.Wait()
		if got := request("/last", cookies).Body.String(); got != "52" {
			t.Errorf("counted %s; want 52", got)
		}
	}
}

// A slot is moved to a new node, step by step, and in each state every operation works.
func TestMovingSlot(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	store := newStore(t, newClusterClient(c))
	target := c.Add()
	const id = "moving"
	slot := c.Slot("session:" + id)
	first := value(strings.Repeat("x", 9<<10)) // too long for IFEQ, which needs no second key
	save := func(was, value []byte) {
		t.Helper()
		if current, err := store.Save(t.Context(), id, was, value, time.Hour); err != nil {
			t.Fatalf("Save = %q, %v", current, err)
		}
	}
	want := func(value []byte) {
		t.Helper()
		if got, err := store.Load(t.Context(), id, time.Hour); err != nil || string(got) != string(value) {
			t.Fatalf("Load = %q, %v; want %q", got, err, value)
		}
	}
	save(nil, first)

	// The session is still where it was: it can be loaded, but not saved until it has been moved.
	from := c.BeginMove(slot, target)
	want(first)
	second := value("2")
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := store.Save(ctx, id, first, second, time.Hour)
	if took := time.Since(start); err == nil || !strings.Contains(err.Error(), "TRYAGAIN") || took > 700*time.Millisecond {
		t.Errorf("a save of what has not been moved: %v after %v", err, took)
	}
	saved := make(chan error, 1)
	go func() {
		_, err := store.Save(t.Context(), id, first, second, time.Hour)
		saved <- err
	}()
	c.MoveKeys(slot, from, target)
	if err := <-saved; err != nil {
		t.Errorf("a save that meets the move: %v", err)
	}

	// The session has been moved, but its slot has not.
	want(second)
	third := value("3")
	save(second, third)
	if got, err := store.Save(t.Context(), id, second, value("4"), time.Hour); err != driver.ErrConflict || string(got) != string(third) {
		t.Errorf("a stale save: %q, %v", got, err)
	}
	if got, err := store.Delete(t.Context(), id, nil); err != nil || string(got) != string(third) {
		t.Errorf("Delete = %q, %v", got, err)
	}
	save(nil, first)

	c.EndMove(slot, from, target)
	want(first)
	save(first, second)
	if n := target.Do(t, "EXISTS", "session:"+id); n != int64(1) {
		t.Errorf("the new node has the session %d times", n)
	}
	c.Move(slot, from)
	want(second)
	save(second, third)
}

// While the slot of a user is moved, its list may be on one node and a value on the other.
func TestMovingSlotOfAUser(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	store, target, ctx := newStore(t, newClusterClient(c)), c.Add(), t.Context()
	for name, key := range map[string]string{"list first": "user", "value first": "1", "removed value first": "2", "stamp first": "stamp"} {
		user := rand.Text()
		slot := c.Slot("session:{" + user + "}:user")
		one, two, v := user+":1", user+":2", value("1")
		for _, id := range []string{one, two} {
			_, save := store.Save(ctx, id, nil, v, time.Hour)
			_, add := store.Add(ctx, driver.Entry{ID: id, Keep: time.Hour})
			if err := errors.Join(save, add); err != nil {
				t.Fatal(err)
			}
		}
		if err := store.Remove(ctx, two); err != nil {
			t.Fatal(err)
		}
		stamp, err := store.Stamp(ctx, user)
		if err != nil {
			t.Fatal(err)
		}
		check := func(state string) {
			t.Helper()
			for range 2 {
				got, load := store.Load(ctx, one, time.Hour)
				peeked, _, peek := store.Peek(ctx, one)
				if load != nil || peek != nil || string(got) != string(v) || string(peeked) != string(v) {
					t.Errorf("%s, %s: loaded %q, %v, peeked at %q, %v", name, state, got, load, peeked, peek)
				}
				if got, err := store.Load(ctx, two, time.Hour); err != driver.ErrRemoved || string(got) != string(v) {
					t.Errorf("%s, %s: loaded %q, %v, which was removed", name, state, got, err)
				}
				members, err := store.Members(ctx, user)
				if err != nil || len(members) != 1 || members[0].ID != one || string(members[0].Value) != string(v) {
					t.Errorf("%s, %s: Members = %q, %v", name, state, members, err)
				}
				if got, err := store.Stamp(ctx, user); err != nil || got != stamp {
					t.Errorf("%s, %s: Stamp = %q, %v", name, state, got, err)
				}
				if got, err := store.Delete(ctx, one, value("other")); err != driver.ErrConflict || string(got) != string(v) {
					t.Errorf("%s, %s: Delete of another value = %q, %v", name, state, got, err)
				}
			}
		}
		from := c.BeginMove(slot, target)
		check("nothing moved")
		c.MoveKey("session:{"+user+"}:"+key, from, target)
		check("one moved")

		// What needs the list and the stamp waits until both are in one place.
		added := make(chan error, 1)
		go func() {
			_, err := store.Add(ctx, driver.Entry{ID: two, Stamp: stamp, Keep: time.Hour})
			added <- err
		}()
		last := value("last")
		if err := store.Bury(ctx, last, time.Hour, two); err != nil {
			t.Errorf("%s: Bury = %v", name, err)
		}
		c.MoveKeys(slot, from, target)
		if err := <-added; err != nil {
			t.Errorf("%s: Add = %v", name, err)
		}
		if got, err := store.Load(ctx, two, time.Hour); err != nil || string(got) != string(last) {
			t.Errorf("%s: loaded %q, %v", name, got, err)
		}
		if removed, err := store.RemoveAll(ctx, user); err != nil || len(removed) != 2 {
			t.Errorf("%s: RemoveAll = %q, %v", name, removed, err)
		}
		if got, err := store.Delete(ctx, one, v); err != nil || string(got) != string(v) {
			t.Errorf("%s: Delete = %q, %v", name, got, err)
		}
		c.EndMove(slot, from, target)
	}
}

// Nothing that has an effect is executed twice, wherever the keys are.
func TestRemoveAllInAMovingSlot(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	store, target, ctx := newStore(t, newClusterClient(c)), c.Add(), t.Context()
	for _, moved := range []string{"", "user", "stamp"} {
		user := rand.Text()
		slot := c.Slot("session:{" + user + "}:user")
		id, v := user+":1", value("1")
		_, save := store.Save(ctx, id, nil, v, time.Hour)
		_, add := store.Add(ctx, driver.Entry{ID: id, Keep: time.Hour})
		_, stamp := store.Stamp(ctx, user)
		if err := errors.Join(save, add, stamp); err != nil {
			t.Fatal(err)
		}
		from := c.BeginMove(slot, target)
		if moved != "" {
			c.MoveKey("session:{"+user+"}:"+moved, from, target)
		}
		if removed, err := store.RemoveAll(ctx, user); err != nil || len(removed) != 1 {
			t.Errorf("%q is moved: RemoveAll = %q, %v", moved, removed, err)
		}
		if got, err := store.Delete(ctx, id, v); err != nil || string(got) != string(v) {
			t.Errorf("%q is moved: Delete = %q, %v", moved, got, err)
		}
		c.MoveKeys(slot, from, target)
		c.EndMove(slot, from, target)
	}
}
