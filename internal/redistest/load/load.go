// Package load writes to a driver.Store while a test breaks Redis, and tells what came of it.
package load

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sessionkv/session/driver"
)

const (
	workers  = 10
	sessions = 60
	ttl      = time.Hour
)

// A Result is what came of a load.
type Result struct {
	Failures
	Increments, Acknowledged int
	Lost                     int // acknowledged increments that are not there in the end
	Deleted, Back            int // sessions whose delete was acknowledged, and those that are there in the end
}

func (r Result) String() string {
	return fmt.Sprintf("%d increments, %d acknowledged, %v; lost: %d acknowledged increments, %d of %d deletes",
		r.Increments, r.Acknowledged, r.Failures, r.Lost, r.Back, r.Deleted)
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

type load struct {
	course
	store driver.Store

	result   Result
	acked    []map[int]time.Time  // of each session, when each increment was acknowledged
	deleted  map[string]time.Time // when the delete was acknowledged
	attempts int
}

// Run writes to store while fault runs, and for a while before and after. fault returns as soon as Redis should serve
// again. Run fails the test if an increment is counted twice, if an operation takes too long, or if something is lost
// that was acknowledged before or after the fault. Writes may be lost in the fault itself. The caller judges these by
// the result.
func Run(t testing.TB, store driver.Store, fault func()) Result {
	t.Helper()
	l := &load{course: course{t: t}, store: store, deleted: map[string]time.Time{}}
	ids := make([]string, sessions)
	for i := range ids {
		ids[i] = rand.Text()
		l.acked = append(l.acked, map[int]time.Time{})
		if _, err := store.Save(t.Context(), ids[i], nil, encode(nil), ttl); err != nil {
			t.Fatal(err)
		}
	}
	work := []func(){l.destroy}
	for worker := range workers {
		work = append(work, func() { l.count(ids, worker) })
	}
	l.run(work, fault)
	l.check(ids)
	return l.result
}

// do runs one operation and notes how it went.
func (l *load) do(fn func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(l.t.Context(), Timeout)
	defer cancel()
	begin := time.Now()
	err := fn(ctx)
	if errors.Is(err, driver.ErrNotFound) {
		l.note(begin, nil)
	} else {
		l.note(begin, err)
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

func (l *load) check(ids []string) {
	l.t.Helper()
	r := &l.result
	r.Failures = l.failures
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
			if r.Lost++; !l.inFault(at) {
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
		if r.Back++; err != nil || !l.inFault(at) {
			l.t.Errorf("a session that was deleted %v after the beginning of the fault is back: %v", at.Sub(l.start), err)
		}
	}
	if r.Slowest > Timeout+slack {
		l.t.Errorf("an operation took %v; its deadline was %v", r.Slowest, Timeout)
	}
	if r.Acknowledged == 0 || r.Deleted == 0 {
		l.t.Error("nothing was acknowledged")
	}
	l.course.check()
}
