package boltstore

import (
	"bytes"
	"context"
	"time"
)

const (
	sweepEvery = 30 * time.Second
	sweepStep  = 500      // records in one transaction, so that saves need not wait long
	sweepBytes = 64 << 20 // of parts in one transaction, and those of one session
	maxTouches = 10000    // beyond it they are written before their time
)

// A sweeper writes the times to live that loads have extended, and removes what has expired.
type sweeper struct {
	*records
	full  chan struct{} // says that there are many touches; has room for one
	stop  chan struct{} // is closed to end the goroutine
	ended chan struct{} // is closed by it
}

func newSweeper(r *records) *sweeper {
	return &sweeper{r, make(chan struct{}, 1), make(chan struct{}), make(chan struct{})}
}

// run is the goroutine. If something fails, it is tried again at the next time.
func (s *sweeper) run() {
	defer close(s.ended)
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			_ = s.sweep()
		case <-s.full:
			_ = s.writeTouches()
		case <-s.stop:
			return
		}
	}
}

// close ends the goroutine and writes down what it has not.
func (s *sweeper) close() error {
	close(s.stop)
	<-s.ended
	return s.writeTouches()
}

// touch lets a value that was loaded live until then.
func (s *sweeper) touch(id string, version uint64, ends int64) {
	if s.touches.set(id, touch{version, ends}) != maxTouches {
		return
	}
	select {
	case s.full <- struct{}{}:
	default:
	}
}

// sweep does only what is there when it begins. Otherwise it might never end, because new touches and expired records
// come all the time.
func (s *sweeper) sweep() error {
	if err := s.writeTouches(); err != nil {
		return err
	}
	for until := s.now(); ; {
		more := false
		err := s.update(context.Background(), func(t *tx) { more = t.sweep(until, sweepStep, sweepBytes) })
		if err != nil || !more {
			return err
		}
	}
}

func (s *sweeper) writeTouches() error {
	for _, part := range s.touches.all(sweepStep) {
		if err := s.update(context.Background(), func(t *tx) { t.keep(part) }); err != nil {
			return err
		}
		s.touches.forget(part)
	}
	return nil
}

// keep writes down the touches that still count.
func (t *tx) keep(part map[string]touch) {
	for id, touched := range part {
		if l, ok := decodeLife(t.Bucket(lives).Get(lifeKey(session, id))); ok && l.version == touched.version {
			t.live(session, id, touched.ends, touched.version)
		}
	}
}

// sweep removes what has expired, after a look at up to n of the records that were due, until so many bytes of parts are
// gone. It reports whether there may be more.
func (t *tx) sweep(until int64, n, bytesOfParts int) (more bool) {
	var found [][]byte
	cursor, end := t.Bucket(due).Cursor(), dueKey(until+1, 0, "")
	for key, _ := cursor.First(); key != nil && bytes.Compare(key, end) < 0 && len(found) < n; key, _ = cursor.Next() {
		found = append(found, bytes.Clone(key))
	}
	for _, key := range found {
		if t.dropped >= bytesOfParts {
			return true
		}
		kind, name := key[8], string(key[9:])
		l, ok := t.life(kind, name)
		switch {
		case ok:
			t.die(kind, name)
			t.live(kind, name, l.ends, l.version)
		case kind == session:
			t.leave(name)
			t.remove(name)
		default:
			t.forget(name)
		}
	}
	return len(found) == n
}
