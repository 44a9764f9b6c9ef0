// Package load writes to a driver.Store while a test breaks Redis, and tells what came of it.
package load

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sessionkv/session/driver"
)

const (
	// Timeout is the deadline of every operation, as StoreTimeout is in the session package.
	Timeout = time.Second

	// slack is what an operation may take beyond it on a busy machine.
	slack = 700 * time.Millisecond

	// recovery is how long errors may go on when Redis is back. go-redis, after many failed dials, tries one a second.
	recovery = 1500 * time.Millisecond

	workers  = 10
	sessions = 60
	pace     = 2 * time.Millisecond // between two operations of a worker
	ttl      = time.Hour
)

// A Result is what came of a load. Times are counted from the beginning of the fault.
type Result struct {
	Increments, Acknowledged int
	Failed                   int
	FirstError, LastError    time.Duration
	Slowest                  time.Duration // operation, whether it failed or not
	Fault                    time.Duration // how long the fault took, until Redis was back
	Lost                     int           // acknowledged increments that are not there in the end
	Deleted, Back            int           // sessions whose delete was acknowledged, and those that are there in the end

	errors map[string]int
}

func (r Result) String() string {
	return fmt.Sprintf("%d increments, %d acknowledged, %d failed (from %.2f s to %.2f s; Redis was back after %.2f s), slowest operation %.2f s; "+
		"lost: %d acknowledged increments, %d of %d deletes", r.Increments, r.Acknowledged, r.Failed, r.FirstError.Seconds(),
		r.LastError.Seconds(), r.Fault.Seconds(), r.Slowest.Seconds(), r.Lost, r.Back, r.Deleted)
}

// A value is a session of the load: the increments that it has counted.
type value struct {
	Rev   string `json:"_rev"`
	Marks []int  `json:"marks"`
}

func encode(marks []int) []byte {
	text, _ := json.Marshal(value{rand.Text(), marks})
	return text
}

// names are those of sessions and addresses, in which errors differ that are the same.
var names = regexp.MustCompile(`[0-9A-Z]{26}|127\.0\.0\.1:\d+`)

type load struct {
	t     testing.TB
	store driver.Store
	start time.Time // of the fault
	ended atomic.Bool

	mu       sync.Mutex
	result   Result
	acked    []map[int]time.Time  // of each session, when each increment was acknowledged
	deleted  map[string]time.Time // when the delete was acknowledged
	attempts int
}

// Run writes to store while fault runs, which returns as soon as Redis should serve again, and for a while before and
// after. It fails the test if an increment is counted twice, an operation takes too long, or what was acknowledged
// before or after the fault is lost. What may be lost in the fault itself, the caller judges by the result.
func Run(t testing.TB, store driver.Store, fault func()) Result {
	t.Helper()
	l := &load{t: t, store: store, deleted: map[string]time.Time{}}
	l.result.errors = map[string]int{}
	ids := make([]string, sessions)
	for i := range ids {
		ids[i] = rand.Text()
		l.acked = append(l.acked, map[int]time.Time{})
		if _, err := store.Save(t.Context(), ids[i], nil, encode(nil), ttl); err != nil {
			t.Fatal(err)
		}
	}
	l.start = time.Now().Add(time.Hour)
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() { l.count(ids, worker) })
	}
	group.Go(l.destroy)

	time.Sleep(time.Second)
	l.mu.Lock()
	l.start = time.Now()
	l.mu.Unlock()
	fault()
	back := time.Now()
	time.Sleep(recovery + time.Second)
	l.ended.Store(true)
	group.Wait()
	l.result.Fault = back.Sub(l.start)
	l.check(ids, back)
	return l.result
}

// do runs one operation and notes how it went.
func (l *load) do(fn func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(l.t.Context(), Timeout)
	defer cancel()
	begin := time.Now()
	err := fn(ctx)
	end := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.result.Slowest = max(l.result.Slowest, end.Sub(begin))
	if err != nil && !errors.Is(err, driver.ErrNotFound) {
		if l.result.Failed++; l.result.Failed == 1 {
			l.result.FirstError = end.Sub(l.start)
		}
		l.result.LastError = end.Sub(l.start)
		l.result.errors[names.ReplaceAllString(err.Error(), "…")]++
	}
	return err
}

// count adds marks to the sessions, one after the other.
func (l *load) count(ids []string, worker int) {
	for i := 0; !l.ended.Load(); i++ {
		which, mark := (worker+i)%len(ids), worker*1_000_000+i
		err := l.do(func(ctx context.Context) error { return l.increment(ctx, ids[which], mark) })
		l.mu.Lock()
		l.attempts++
		if err == nil {
			l.acked[which][mark] = time.Now()
		}
		l.mu.Unlock()
		time.Sleep(pace)
	}
}

// increment loads and saves as the session package does.
func (l *load) increment(ctx context.Context, id string, mark int) error {
	was, err := l.store.Load(ctx, id, ttl)
	if err != nil {
		return err
	}
	for {
		var v value
		if err := json.Unmarshal(was, &v); err != nil {
			return err
		}
		current, err := l.store.Save(ctx, id, was, encode(append(v.Marks, mark)), ttl)
		if !errors.Is(err, driver.ErrConflict) {
			return err
		}
		was = current
	}
}

// destroy creates sessions and deletes them while others write to them.
func (l *load) destroy() {
	for !l.ended.Load() {
		id, first := rand.Text(), encode(nil)
		err := l.do(func(ctx context.Context) error {
			_, err := l.store.Save(ctx, id, nil, first, ttl)
			return err
		})
		if err != nil {
			time.Sleep(pace)
			continue
		}
		var late sync.WaitGroup
		late.Go(func() {
			_ = l.do(func(ctx context.Context) error { return l.increment(ctx, id, 1) })
		})
		err = l.do(func(ctx context.Context) error {
			_, err := l.store.Delete(ctx, id, nil)
			return err
		})
		late.Wait()
		if err == nil {
			l.deleted[id] = time.Now()
		}
		time.Sleep(pace)
	}
}

// margin is how long before the fault Redis may lose what it has acknowledged: replication takes a moment, and longer where
// five masters and their replicas share two processors.
const margin = time.Second

func (l *load) check(ids []string, back time.Time) {
	l.t.Helper()
	inFault := func(at time.Time) bool { return at.After(l.start.Add(-margin)) && at.Before(back.Add(margin)) }
	r := &l.result
	r.Increments = l.attempts
	for i, id := range ids {
		text, err := l.store.Load(l.t.Context(), id, ttl)
		if err != nil {
			l.t.Errorf("a session is gone: %v", err)
			continue
		}
		var v value
		if err := json.NewDecoder(bytes.NewReader(text)).Decode(&v); err != nil {
			l.t.Fatal(err)
		}
		slices.Sort(v.Marks)
		if n := len(v.Marks); n != len(slices.Compact(v.Marks)) {
			l.t.Errorf("a session has counted an increment twice")
		}
		for mark, at := range l.acked[i] {
			r.Acknowledged++
			if _, found := slices.BinarySearch(v.Marks, mark); found {
				continue
			}
			if r.Lost++; !inFault(at) {
				l.t.Errorf("an increment that was acknowledged %v after the beginning of the fault is lost", at.Sub(l.start))
			}
		}
	}
	for id, at := range l.deleted {
		r.Deleted++
		_, err := l.store.Load(l.t.Context(), id, ttl)
		if errors.Is(err, driver.ErrNotFound) {
			continue
		}
		if r.Back++; err != nil || !inFault(at) {
			l.t.Errorf("a session that was deleted %v after the beginning of the fault is back: %v", at.Sub(l.start), err)
		}
	}
	if r.Slowest > Timeout+slack {
		l.t.Errorf("an operation took %v; its deadline was %v", r.Slowest, Timeout)
	}
	if r.Acknowledged == 0 || r.Deleted == 0 {
		l.t.Error("nothing was acknowledged")
	}
	if r.Failed > 0 && r.LastError > r.Fault+recovery {
		l.t.Errorf("the last error came %v after Redis was back", r.LastError-r.Fault)
	}
	for text, n := range r.errors {
		l.t.Logf("%5d times %s", n, text)
	}
}
