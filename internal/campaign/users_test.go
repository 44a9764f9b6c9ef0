package campaign

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/redistest"
	"github.com/sessionkv/session/internal/testkit"
	"github.com/sessionkv/session/memstore"
	"github.com/sessionkv/session/redisstore"
)

// What users are promised holds after every single call of a store, whatever sign-ins, renewals, saves, streams, ends and
// crashes are under way. Each schedule is made by its seed; SESSION_SEED repeats one.
//
//   - U1: when an end has returned, no sign-in counts that counted when it began.
//   - U2: no sign-in counts whose stamp was read before a change of the credential, and that has checked the old one.
//   - U3: a client has tokens of no more sessions than the limit.
//   - N1: what was acknowledged stays.
//   - N2: what was refused is not done, and nothing is done twice.
//   - N3: nothing that was destroyed or ended comes back.
//   - N4: what a user wrote is in no session of somebody else, and not to be had with the token of before.
//   - N5: a second renewal of a visitor's session has what the visitor had, which is acknowledged: N1 says so.
//   - N6: no load takes a renewal for a sign-out.
//   - L1: a large value that is read, or named, belongs to the rest of its session.
//   - L2: what a session names, or a marker that counts, is there.
//   - L3: in the end there is nothing that no session names, but for what a visitor's marker keeps for its half minute.
func TestUsersInEverySchedule(t *testing.T) {
	t.Parallel()
	t.Run("memstore", func(t *testing.T) {
		counts := map[string]int{}
		synctest.Test(t, func(t *testing.T) {
			schedules(t, 2000, func(seed uint64) string {
				store := new(memstore.Store)
				w := newWorld(seed, nil, counts)
				w.view = memoryView(store, w.parts)
				w.run(func() testkit.UserStore { return store }, func() { time.Sleep(31 * time.Second) })
				return w.failure
			})
		})
		checkCounts(t, counts)
	})
	for name, options := range map[string]redisstore.Options{"redis-server": {}, "redis-server without scripts": {NoScripts: true}} {
		t.Run(name, func(t *testing.T) {
			server := redistest.Start(t)
			var nodes []*redisstore.Store
			for range 2 {
				node, err := redisstore.Open(server.Addr(), options)
				if err != nil {
					t.Fatal(err)
				}
				defer node.Close()
				nodes = append(nodes, node)
			}
			conn := server.Dial(t)
			counts, actors := map[string]int{}, 0
			schedules(t, 150, func(seed uint64) string {
				w := newWorld(seed, redisView(t, conn), counts)
				w.run(func() testkit.UserStore { actors++; return nodes[actors%2] }, nil)
				server.Do(t, "FLUSHALL")
				return w.failure
			})
		})
	}
}

// schedules runs n schedules, or the one that was asked for, and stops at the first that fails.
func schedules(t *testing.T, n int, run func(seed uint64) string) {
	if testing.Short() || testkit.RaceEnabled { // which finds nothing where one goroutine at a time goes on
		n /= 10
	}
	first := rand.Uint64()
	if fixed, err := strconv.ParseUint(os.Getenv("SESSION_SEED"), 10, 64); err == nil {
		first, n = fixed, 1
	}
	for i := range n {
		if failure := run(first + uint64(i)); failure != "" {
			t.Fatalf("%s\nafter %d schedules; repeat it with SESSION_SEED=%d", failure, i, first+uint64(i))
		}
	}
}

// checkCounts tells whether the schedules have come upon what they are for.
func checkCounts(t *testing.T, counts map[string]int) {
	t.Logf("%v", counts)
	if testing.Short() || testkit.RaceEnabled || os.Getenv("SESSION_SEED") != "" {
		return
	}
	for _, what := range []string{
		"crash", "end of all", "end of one", "end of the others", "late load", "load of a user's renewed session", "renewal",
		"second renewal", "second renewal with nothing", "second renewal of another user", "destroy", "ErrRenewed", "ErrEnded", "ErrRevoked", "ErrLimit",
		"large value set", "large value read", "part that has gone", "end without a fault",
	} {
		if counts[what] < 10 {
			t.Errorf("%q was there %d times", what, counts[what])
		}
	}
}

// found is what a store has under an ID.
type found struct {
	text   string
	listed bool              // or of nobody
	parts  map[string]string // texts by names
	hasty  bool              // the parts have less time to live
}

// memoryView looks into a memstore, whose parts are among those of these names.
func memoryView(store *memstore.Store, parts map[string][]string) func(ids []string) []found {
	return func(ids []string) []found {
		all := make([]found, len(ids))
		for i, id := range ids {
			value, _, err := store.Peek(context.Background(), id)
			all[i] = found{string(value), !errors.Is(err, driver.ErrRemoved), map[string]string{}, false}
			for _, name := range parts[id] {
				if text, err := store.Part(context.Background(), id, name); err == nil {
					all[i].parts[name] = string(text)
				}
			}
		}
		return all
	}
}

// redisView looks into a Redis in one round trip.
func redisView(t *testing.T, conn redis.Conn) func(ids []string) []found {
	return func(ids []string) []found {
		for _, id := range ids {
			key, parts := "session:"+id, "{session:"+id+"}:large"
			if user := driver.UserOf(id); user != "" {
				key = "session:{" + user + "}" + id[len(user):]
				parts = key + ":large"
				_ = conn.Send("ZSCORE", "session:{"+user+"}:user", id[len(user)+1:])
			} else {
				_ = conn.Send("ECHO", "of nobody")
			}
			_ = conn.Send("GET", key)
			_ = conn.Send("PTTL", key)
			_ = conn.Send("HGETALL", parts)
			_ = conn.Send("PTTL", parts)
		}
		_ = conn.Flush()
		all := make([]found, len(ids))
		for i := range ids {
			listed, err := conn.Receive()
			value, err2 := redis.String(conn.Receive())
			ttl, err3 := redis.Int64(conn.Receive())
			parts, err4 := redis.StringMap(conn.Receive())
			partsTTL, err5 := redis.Int64(conn.Receive())
			if err2 == redis.ErrNil {
				err2 = nil
			}
			if err := errors.Join(err, err2, err3, err4, err5); err != nil {
				t.Fatal(err)
			}
			all[i] = found{value, listed != nil, parts, len(parts) > 0 && partsTTL < ttl}
		}
		return all
	}
}

// run lets actors act, of which one goes on at a time. wait lets so much time pass that markers are over; nil for none.
func (w *world) run(node func() testkit.UserStore, wait func()) {
	refuse := w.random.IntN(2) == 0
	w.faulty = w.random.IntN(3) > 0
	w.requests = requests
	if w.random.IntN(2) == 0 {
		w.requests = actionsOnLarge
	}
	w.limit = w.random.IntN(3)
	refuse = refuse && w.limit > 0
	var waiting []*actor
	for started := 0; ; {
		switch {
		case started < 9 && (len(waiting) == 0 || started > 2 && len(waiting) < 4 && w.random.IntN(4) == 0):
			started++
			a := w.newActor(started)
			a.enter(node(), w.limit, refuse)
			go a.run(w.arrived)
		case len(waiting) == 0:
			w.atRest()
			return
		case wait != nil && w.random.IntN(50) == 0 && areResting(waiting):
			wait()
			continue
		default:
			i := w.random.IntN(len(waiting))
			a := waiting[i]
			waiting = append(waiting[:i], waiting[i+1:]...)
			a.turn <- struct{}{}
		}
		if a := <-w.arrived; !a.done {
			waiting = append(waiting, a)
		}
		w.look()
	}
}

func areResting(actors []*actor) bool {
	for _, a := range actors {
		if !a.resting {
			return false
		}
	}
	return true
}

// requests are what a request does, each as often as it is here.
var requests = []action{
	writing, writing, writing, writing, syncing, syncing, syncing, flushing,
	signingIn, signingIn, signingIn, renewing, renewing, destroying, endingOthers,
	storingLarge, readingLarge, deletingLarge,
}

// actionsOnLarge are those where large values matter.
var actionsOnLarge = []action{
	writing, syncing, syncing, flushing, signingIn, signingIn, renewing, destroying,
	storingLarge, storingLarge, storingLarge, storingLarge, readingLarge, readingLarge, deletingLarge,
}

// newActor makes up the nth actor. The first is a visitor who begins a session.
func (w *world) newActor(n int) *actor {
	r := w.random
	a := &actor{world: w, number: n, user: "alice", stamped: r.IntN(2) == 0, turn: make(chan struct{}), fresh: map[string]bool{}, actions: []action{writing}}
	if n == 1 {
		return a
	}
	if r.IntN(6) == 0 {
		a.user = "bob"
	}
	if w.faulty && r.IntN(12) == 0 {
		a.crashAt = 1 + r.IntN(8)
	}
	if w.faulty && r.IntN(12) == 0 {
		a.failAt, a.failsBefore = 1+r.IntN(8), r.IntN(2) == 0
	}
	if n > 2 && r.IntN(4) == 0 {
		a.actions = []action{endingAll + action(r.IntN(3))}
		return a
	}
	if len(w.tokens) > 0 && r.IntN(8) > 0 {
		a.cookie = w.tokens[max(0, len(w.tokens)-1-r.IntN(3))]
	}
	for range r.IntN(4) {
		a.actions = append(a.actions, w.requests[r.IntN(len(w.requests))])
	}
	if r.IntN(2) == 0 {
		a.actions[0] = w.requests[r.IntN(len(w.requests))]
	}
	return a
}

// enter gives the actor a node.
func (a *actor) enter(store testkit.UserStore, limit int, refuse bool) {
	manager, err := session.New(session.Config{
		Store: gatedStore{store, a}, SessionsPerUser: limit, RefuseMore: refuse, Logger: slog.New(slog.DiscardHandler),
		OnError: func(w http.ResponseWriter, _ *http.Request, err error) {
			a.err = err
			http.Error(w, fmt.Sprint(err), http.StatusServiceUnavailable)
		},
	})
	if err != nil {
		panic(err)
	}
	a.manager = manager
}
