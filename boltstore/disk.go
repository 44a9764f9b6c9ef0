package boltstore

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync/atomic"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// A disk is an open file. One goroutine writes to it. Changes that come while a transaction is being synced go into the
// next one, so that many callers share the cost of one sync.
type disk struct {
	path   string
	db     *bolt.DB
	writes chan change
	stop   chan struct{} // is closed to end the goroutine
	ended  chan struct{} // is closed by it
	broken atomic.Pointer[error]
}

// A change is a part of a transaction.
type change struct {
	ctx    context.Context
	fn     func(*bolt.Tx) (changed bool, err error)
	result chan error // has room for one
}

var errClosed = errors.New("boltstore: the store is closed")

func newDisk(path string) *disk {
	return &disk{path: path, writes: make(chan change), stop: make(chan struct{}), ended: make(chan struct{})}
}

// guard turns the faults of a damaged file into an error: bolt panics, or reads beyond the end of a file that was cut
// off. Nothing is done with the file after that, because locks may be left behind.
func (d *disk) guard(fn func() error) (err error) {
	if broken := d.broken.Load(); broken != nil {
		return *broken
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if reason := recover(); reason != nil {
			err = d.damaged(reason)
			d.broken.Store(&err)
		}
	}()
	return fn()
}

// view calls fn with what is committed.
func (d *disk) view(fn func(*bolt.Tx)) error {
	return d.guard(func() error {
		err := d.db.View(func(tx *bolt.Tx) error { fn(tx); return nil })
		return d.failed("read", err)
	})
}

// update calls fn in a transaction. It returns when the transaction is synced, or is rolled back because nothing has
// changed. If it returns an error, fn may still be called.
func (d *disk) update(ctx context.Context, fn func(*bolt.Tx) (changed bool, err error)) error {
	c := change{ctx, fn, make(chan error, 1)}
	select {
	case d.writes <- c:
	case <-ctx.Done():
		return d.failed("written", ctx.Err())
	case <-d.stop:
		return errClosed
	}
	select {
	case err := <-c.result:
		return err
	case <-ctx.Done():
		return d.failed("written", ctx.Err())
	}
}

func (d *disk) failed(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, bolterrors.ErrDatabaseNotOpen):
		return errClosed
	}
	return fmt.Errorf("boltstore: %s could not be %s: %w", d.path, what, err)
}

func (d *disk) damaged(why any) error {
	return fmt.Errorf("boltstore: %s is damaged or no bolt file: %v; move it away, which ends all sessions, or put a copy in its place",
		d.path, why)
}

// maxChanges is how many changes share a transaction at most.
const maxChanges = 256

// write is the goroutine.
func (d *disk) write() {
	defer close(d.ended)
	batch := make([]change, 0, maxChanges)
	for {
		select {
		case c := <-d.writes:
			batch = append(batch[:0], c)
		case <-d.stop:
			return
		}
		runtime.Gosched() // lets those who have just been answered come back
		for waiting := true; waiting && len(batch) < maxChanges; {
			select {
			case c := <-d.writes:
				batch = append(batch, c)
			default:
				waiting = false
			}
		}
		d.commit(batch)
		clear(batch)
	}
}

// commit makes the changes whose callers still wait, and tells the outcome.
func (d *disk) commit(batch []change) {
	waiting := batch[:0]
	for _, c := range batch {
		if err := c.ctx.Err(); err != nil {
			c.result <- d.failed("written", err)
			continue
		}
		waiting = append(waiting, c)
	}
	err := d.guard(func() error { return d.failed("written", d.transact(waiting)) })
	for _, c := range waiting {
		c.result <- err
	}
}

func (d *disk) transact(batch []change) error {
	tx, err := d.db.Begin(true)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // says only that it was committed
	any := false
	for _, c := range batch {
		changed, err := c.fn(tx)
		if err != nil {
			return err
		}
		any = any || changed
	}
	if !any {
		return nil
	}
	return tx.Commit()
}

// close ends the goroutine and lets go of the file.
func (d *disk) close() error {
	close(d.stop)
	<-d.ended
	return d.release()
}

// release closes the file. After a panic the locks of bolt may be held. Then the file stays open until the process
// ends.
func (d *disk) release() error {
	if d.db == nil || d.broken.Load() != nil {
		return nil
	}
	return d.db.Close()
}
