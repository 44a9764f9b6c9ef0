package redisstore_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/gomodule/redigo/redis"

	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/redistest"
	"github.com/sessionkv/session/redisstore"
)

// mustAdd stores a value for an ID of a user and adds it.
func mustAdd(t testing.TB, store *redisstore.Store, id string) {
	t.Helper()
	mustSave(t, store, id, nil, value("1"))
	if _, err := store.Add(t.Context(), driver.Entry{ID: id, Keep: time.Hour}); err != nil {
		t.Fatal(err)
	}
}

// members are the IDs of a user, without the user.
func members(t testing.TB, store *redisstore.Store, user string) string {
	t.Helper()
	all, err := store.Members(t.Context(), user)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range all {
		names = append(names, strings.TrimPrefix(m.ID, user+":"))
	}
	return strings.Join(names, " ")
}

// A lostCase begins with a user, alice, who has the sessions 1 and 2. 3 has a value and is not in the list.
type lostCase struct {
	name  string
	do    func(ctx context.Context, s *redisstore.Store) ([]string, error)
	skip  map[bool]int // how many replies arrive, by NoScripts
	lost  map[bool]int // how many replies then are lost
	then  func(s *redisstore.Store) error
	want  string // the IDs that are returned
	err   error  // errLost: the failure itself
	after string // who is in the list
}

func lostCases(ctx context.Context) []lostCase {
	both := func(n int) map[bool]int { return map[bool]int{false: n, true: n} }
	entry := func(stamp string, limit int, refuse bool) driver.Entry {
		return driver.Entry{ID: "alice:3", Stamp: stamp, Keep: time.Hour, Limit: limit, Refuse: refuse}
	}
	add := func(entry driver.Entry) func(context.Context, *redisstore.Store) ([]string, error) {
		return func(ctx context.Context, s *redisstore.Store) ([]string, error) { return s.Add(ctx, entry) }
	}
	addStamped := func(ctx context.Context, s *redisstore.Store) ([]string, error) {
		stamp, err := s.Stamp(ctx, "alice") // three more replies with those of the ZRANGE
		if err != nil {
			return nil, err
		}
		return s.Add(ctx, entry(stamp, 0, false))
	}
	replace := func(ctx context.Context, s *redisstore.Store) ([]string, error) {
		return nil, s.Replace(ctx, "alice:1", entry("", 0, false))
	}
	remove := func(ctx context.Context, s *redisstore.Store) ([]string, error) { return nil, s.Remove(ctx, "alice:1") }
	others := func(ctx context.Context, s *redisstore.Store) ([]string, error) {
		return s.RemoveOthers(ctx, "alice:1")
	}
	all := func(ctx context.Context, s *redisstore.Store) ([]string, error) { return s.RemoveAll(ctx, "alice") }
	list := func(ctx context.Context, s *redisstore.Store) ([]string, error) {
		found, err := s.Members(ctx, "alice")
		var ids []string
		for _, m := range found {
			ids = append(ids, m.ID)
		}
		return ids, err
	}
	bury := func(ctx context.Context, s *redisstore.Store) ([]string, error) {
		return nil, s.Bury(ctx, value("last"), time.Minute, "alice:1", "alice:2")
	}
	endAll := func(s *redisstore.Store) error { _, err := s.RemoveAll(ctx, "alice"); return err }
	endOne := func(s *redisstore.Store) error { return s.Remove(ctx, "alice:1") }
	addOne := func(s *redisstore.Store) error {
		_, err := s.Add(ctx, driver.Entry{ID: "alice:1", Keep: time.Hour})
		return err
	}
	// A script comes behind a GETEX. A transaction reads with five commands, then come its own and EXEC.
	after := func(n int) map[bool]int { return map[bool]int{false: n, true: n + 5} }
	script := func(transaction int) map[bool]int { return map[bool]int{false: 2, true: transaction} }
	return []lostCase{
		{"add", add(entry("", 0, false)), after(2), script(3), nil, "", nil, "1 2 3"},
		{"add, list read", add(entry("", 0, false)), both(0), both(2), nil, "", nil, "1 2 3"},
		{"add, room made", add(entry("", 2, false)), after(2 + 3), script(4), nil, "", nil, "2 3"},
		{"add, refused", add(entry("", 2, true)), both(2 + 3 + 1), both(1), nil, "", driver.ErrFull, "1 2"},
		{"add, all removed", addStamped, after(2 + 2), script(3), endAll, "", driver.ErrStamp, ""},
		{"replace", replace, after(0), script(4), nil, "", nil, "3 2"},
		{"replace, all removed", replace, after(0), script(4), endAll, "", driver.ErrRemoved, ""},
		{"remove", remove, both(0), both(1), nil, "", errLost, "2"},
		{"remove, added again", remove, both(0), both(1), addOne, "", nil, "2"},
		{"remove others", others, after(0), script(3), nil, "", nil, "1"},
		{"remove others, removed", others, after(0), script(3), endOne, "", errLost, ""},
		{"remove all, stamp", all, both(0), both(1), nil, "alice:1 alice:2", nil, ""},
		{"remove all", all, both(1), both(1), nil, "", nil, ""},
		{"members, list", list, both(0), both(2), nil, "alice:1 alice:2", nil, "1 2"},
		{"members, values", list, both(2), both(3), nil, "alice:1 alice:2", nil, "1 2"},
		{"bury", bury, both(0), both(2), nil, "", nil, "1 2"},
	}
}

// In each case, Redis did what it was asked, and the replies were lost. Between that and the repeat, nothing happens, or
// another request does. Redis knows the scripts, or has to be given them.
func TestLostReplyOfAUser(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr())
	eachMode(t, func(t *testing.T, options redisstore.Options) {
		direct := open(t, server.Addr(), options)
		if err := exerciseUsers(t.Context(), direct); err != nil { // so that the server knows the scripts
			t.Fatal(err)
		}
		for _, test := range lostCases(t.Context()) {
			t.Run(test.name, func(t *testing.T) {
				server.Do(t, "FLUSHALL")
				mustAdd(t, direct, "alice:1")
				mustAdd(t, direct, "alice:2")
				mustSave(t, direct, "alice:3", nil, value("3"))
				pool := newPool(proxy.Addr())
				repeated := false
				onDial(pool, 2, func() {
					repeated = true
					if test.then != nil {
						if err := test.then(direct); err != nil {
							t.Error(err)
						}
					}
				})
				store := openPool(t, pool, options)
				proxy.DropReplies(test.skip[options.NoScripts], test.lost[options.NoScripts])
				got, err := test.do(t.Context(), store)
				if strings.Join(got, " ") != test.want || test.err != errLost && err != test.err {
					t.Errorf("got %q, %v; want %q, %v", got, err, test.want, test.err)
				}
				if test.err == errLost {
					wantErrors(t, map[string]error{"": err}, "EOF")
				}
				if left := members(t, direct, "alice"); left != test.after || !repeated {
					t.Errorf("in the list: %q; want %q; repeated: %t", left, test.after, repeated)
				}
			})
		}
	})
}

// A script that Redis does not know any more is sent once more, in whole.
func TestScriptFlushOfAUser(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	store := open(t, server.Addr(), redisstore.Options{})
	ctx := t.Context()
	for _, operation := range []func() error{
		func() error { mustAdd(t, store, "alice:1"); return nil },
		func() error { return store.Replace(ctx, "alice:1", driver.Entry{ID: "alice:2", Keep: time.Hour}) },
		func() error { _, err := store.RemoveOthers(ctx, "alice:2"); return err },
		func() error { _, err := store.Delete(ctx, "alice:1", value("2")); return err },
	} {
		server.Do(t, "SCRIPT", "FLUSH")
		var err error
		commands := server.Commands(t, func() { err = operation() })
		if n := len(commands); err != nil && err != driver.ErrConflict || commands[n-2] != "EVALSHA" || commands[n-1] != "EVAL" {
			t.Errorf("%q, %v; want EVAL at last", commands, err)
		}
	}
}

func TestCommandsOfAUser(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	transaction := "WATCH GETEX ZRANGE PTTL MULTI "
	for _, mode := range []struct {
		options                             redisstore.Options
		add, room, replace, others, all, no string
	}{
		{redisstore.Options{}, "GETEX EVALSHA", "GETEX EVALSHA", "GETEX EVALSHA", "GETEX EVALSHA", "UNLINK ZPOPMIN", "GETEX EVALSHA"},
		{
			redisstore.Options{NoScripts: true}, transaction + "ZADD PEXPIRE EXEC", transaction + "ZREMRANGEBYRANK ZADD PEXPIRE EXEC",
			transaction + "ZADD ZREM PEXPIRE EXEC", transaction + "ZREMRANGEBYRANK UNLINK EXEC", "UNLINK ZPOPMIN",
			transaction + "DISCARD",
		},
	} {
		store, ctx := open(t, server.Addr(), mode.options), t.Context()
		if err := exerciseUsers(ctx, store); err != nil {
			t.Fatal(err)
		}
		server.Do(t, "FLUSHALL")
		for _, id := range []string{"alice:1", "alice:2", "alice:3"} {
			mustSave(t, store, id, nil, value("1"))
		}
		entry := func(name string, limit int) driver.Entry {
			return driver.Entry{ID: "alice:" + name, Keep: time.Hour, Limit: limit}
		}
		for _, step := range []struct {
			what, want string
			err        error
			do         func() error
		}{
			{"stamp", "SET GETEX", nil, func() error { _, err := store.Stamp(ctx, "alice"); return err }},
			{"add", "GETEX ZRANGE " + mode.add, nil, func() error { _, err := store.Add(ctx, entry("1", 0)); return err }},
			{"add, room", "GETEX ZRANGE " + mode.add, nil, func() error { _, err := store.Add(ctx, entry("2", 2)); return err }},
			{
				"add, no room", "GETEX ZRANGE GETEX EXISTS EXISTS " + mode.room, nil,
				func() error { _, err := store.Add(ctx, entry("3", 2)); return err },
			},
			{"load", "ZRANK GETEX", nil, func() error { _, err := store.Load(ctx, "alice:2", time.Minute); return err }},
			{"load, removed", "ZRANK GETEX", driver.ErrRemoved, func() error { _, err := store.Load(ctx, "alice:1", time.Minute); return err }},
			{"peek", "ZRANK GETEX PTTL", nil, func() error { _, _, err := store.Peek(ctx, "alice:2"); return err }},
			{"members", "GETEX ZRANGE GETEX PTTL GETEX PTTL", nil, func() error { _, err := store.Members(ctx, "alice"); return err }},
			{"replace", mode.replace, nil, func() error { return store.Replace(ctx, "alice:3", entry("1", 0)) }},
			{"replace, removed", mode.no, driver.ErrRemoved, func() error { return store.Replace(ctx, "alice:3", entry("4", 0)) }},
			{"remove others", mode.others, nil, func() error { _, err := store.RemoveOthers(ctx, "alice:2"); return err }},
			{"remove", "ZREM", nil, func() error { return store.Remove(ctx, "alice:2") }},
			{"bury", "SET UNLINK SET UNLINK", nil, func() error { return store.Bury(ctx, value("last"), time.Minute, "alice:1", "alice:2") }},
			{"remove all", mode.all, nil, func() error { _, err := store.RemoveAll(ctx, "alice"); return err }},
		} {
			var err error
			got := strings.Join(server.Commands(t, func() { err = step.do() }), " ")
			if got != step.want || err != step.err { // bare: a caller may compare with ==
				t.Errorf("%s: %s, %v; want %s, %v", step.what, got, err, step.want, step.err)
			}
		}
	}
}

func TestKeysOfAUser(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	eachMode(t, func(t *testing.T, options redisstore.Options) {
		server.Do(t, "FLUSHALL")
		options.Prefix = "app:"
		store := open(t, server.Addr(), options)
		if _, err := store.Stamp(t.Context(), "0a1b"); err != nil {
			t.Fatal(err)
		}
		mustAdd(t, store, "0a1b:one")
		keys, _ := redis.Strings(server.Do(t, "KEYS", "*"), nil)
		slices.Sort(keys)
		if want := []string{"app:{0a1b}:one", "app:{0a1b}:stamp", "app:{0a1b}:user"}; !slices.Equal(keys, want) {
			t.Errorf("keys %q; want %q", keys, want)
		}
		if got, _ := redis.Strings(server.Do(t, "ZRANGE", "app:{0a1b}:user", 0, -1), nil); !slices.Equal(got, []string{"one"}) {
			t.Errorf("members %q", got)
		}
		_, _ = store.RemoveAll(t.Context(), "0a1b")
		mustAdd(t, store, "0a1b:two")
		if err := store.Replace(t.Context(), "0a1b:two", driver.Entry{ID: "0a1b:one", Keep: time.Minute}); err != nil {
			t.Fatal(err)
		}
		_, _ = store.RemoveOthers(t.Context(), "0a1b:one")
		keys, _ = redis.Strings(server.Do(t, "KEYS", "*"), nil)
		for _, key := range keys {
			if left, _ := redis.Int(server.Do(t, "PTTL", key), nil); left <= 0 {
				t.Errorf("%s has a time to live of %d", key, left)
			}
		}
	})
}

// Everything of a user is in one slot, also the value that a save puts aside.
func TestStagedValueOfAUserIsInItsSlot(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Do(t, "ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all", "-evalsha")
	store := openPool(t, newPool(server.Addr(), redis.DialUsername("app"), redis.DialPassword("pw")), redisstore.Options{})
	first := mustSave(t, store, "tag:1", nil, longValue("1"))
	_, err := store.Save(t.Context(), "tag:1", first, []byte(`{"_rev":"two"}`), time.Hour)
	wantErrors(t, map[string]error{"replace": err}, "NOPERM")
	if got, _ := redis.String(server.Do(t, "GET", "session:{tag}:1:two"), nil); got != `{"_rev":"two"}` {
		t.Errorf("the staged value is %q", got)
	}
}

// A process whose clock is ahead has added a session. A session that is added later counts as newer nevertheless.
func TestClockBehind(t *testing.T) {
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
			ahead := time.Now().Add(time.Hour).UnixMilli()
			mustSave(t, store, "alice:ahead", nil, value("1"))
			if _, err := conn.Do("ZADD", options.Prefix+"{alice}:user", ahead, "ahead"); err != nil {
				t.Fatal(err)
			}
			mustSave(t, store, "alice:1", nil, value("1"))
			over, err := store.Add(t.Context(), driver.Entry{ID: "alice:1", Keep: time.Hour, Limit: 1})
			if err != nil || !slices.Equal(over, []string{"alice:ahead"}) {
				t.Errorf("Add = %q, %v", over, err)
			}
			score, err := redis.Int64(conn.Do("ZSCORE", options.Prefix+"{alice}:user", "1"))
			if err != nil || score != ahead+1 {
				t.Errorf("score %d, %v; want %d", score, err, ahead+1)
			}
		})
	}
}

// Without a limit nothing counts the list, so that what has died and is old leaves it when somebody signs in.
func TestOldAndDeadLeaveTheList(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	eachMode(t, func(t *testing.T, options redisstore.Options) {
		server.Do(t, "FLUSHALL")
		store := open(t, server.Addr(), options)
		for i := range 3 {
			server.Do(t, "ZADD", "session:{alice}:user", i, fmt.Sprint("dead", i))
		}
		server.Do(t, "ZADD", "session:{alice}:user", 3, "living")
		mustSave(t, store, "alice:living", nil, value("1"))
		mustAdd(t, store, "alice:1")
		got, _ := redis.Strings(server.Do(t, "ZRANGE", "session:{alice}:user", 0, -1), nil)
		if want := []string{"living", "1"}; !slices.Equal(got, want) {
			t.Errorf("members %q; want %q", got, want)
		}
	})
}

// With WATCH, what comes in between makes a change begin again. None is lost, and none is made twice.
func TestNoScriptsBeginsAgain(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	store := open(t, server.Addr(), redisstore.Options{NoScripts: true})
	const callers = 30
	var group sync.WaitGroup
	for i := range callers {
		group.Go(func() { mustAdd(t, store, fmt.Sprint("alice:", i)) })
	}
	group.Wait()
	if got := strings.Fields(members(t, store, "alice")); len(got) != callers {
		t.Errorf("%d members; want %d", len(got), callers)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	server.Stop()
	defer server.Cont()
	if _, err := store.RemoveAll(ctx, "alice"); err == nil || errors.Is(err, driver.ErrRemoved) {
		t.Errorf("RemoveAll of a server that hangs: %v", err)
	}
}
