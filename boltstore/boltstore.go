// Package boltstore keeps sessions in one file. It is for a service that is one process on one machine. It needs no
// Redis, and the sessions are still there after a restart. It is a module of its own, so that package session does not
// need bbolt.
//
//	store, err := boltstore.Open("/var/lib/shop/sessions.db")
//	...
//	defer store.Close()
//	sessions, err := session.New(session.Config{Store: store})
//
// The file is one of go.etcd.io/bbolt. Only one process can have it at a time. If several processes serve the sessions,
// or if an update must have no gap, use Redis. The file belongs on a disk of the machine, not on NFS or SMB.
//
// # What holds after a crash
//
// A change has been synced to the disk when its call returns. Therefore neither the end of the process, at any instant,
// nor a power cut loses a save, a sign-in or the end of a session that was reported as done, and the file stays whole.
// After a power cut this holds if the disk keeps what it has confirmed. Changes of several callers share a sync.
//
// A load gives its session more time to live without a write. That time is written with others of its kind every 30
// seconds, and by [Store.Close]. Therefore a session may expire too early after a crash, but not after a Close. It may
// expire earlier by 30 seconds and the time that it took to write them.
//
// # What is in the file
//
// The file has the hashes of tokens, and the values of sessions and their large values without encryption. It is made
// with mode 0600. An expired session leaves it within about a minute. The space is used again, but the file does not
// become smaller. The clock of the machine decides what has expired.
//
// A large value is stored and removed in one transaction with its session, so that a crash leaves neither alone. It has
// pages of its own. A save writes the pages of the large values that were set, and of no others.
package boltstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/sessionkv/session/driver"
)

// A Store is a [driver.Store] in a file. It is safe for concurrent use.
//
// A change returns when it is on the disk, or at the deadline of its context. At the deadline it is unknown whether the
// change was made. A load does not look at its context. It reads memory, or the disk if the system has not kept the
// file in memory.
//
// After an error for lack of space, the store goes on as soon as there is some. If an error says that the file is
// damaged, all later calls return it. Put a file that is whole in its place and open another Store.
type Store struct {
	*records
	sweeper *sweeper
	close   func() error
}

// Open opens the file at path. If there is none, it makes one, in a folder that exists. It returns an error if another
// Store has the file, in this process or in another. It also returns one if the file is cut off, damaged, or not of
// this package. Open does not change such a file.
func Open(path string) (*Store, error) {
	disk, err := openFile(path)
	if err != nil {
		return nil, err
	}
	s := &Store{records: &records{disk: disk}}
	s.sweeper = newSweeper(s.records)
	go s.sweeper.run()
	s.close = sync.OnceValue(func() error {
		err := s.sweeper.close()
		if closed := disk.close(); err == nil {
			err = closed
		}
		return err
	})
	return s, nil
}

// Close writes the times to live that loads have extended, and closes the file. Calls that come later fail.
func (s *Store) Close() error { return s.close() }

// Copy writes the file, as it is at one moment, into a new one at path with mode 0600. Changes that make the file larger
// wait for it meanwhile. Sessions that end after that moment are alive in the copy.
func (s *Store) Copy(path string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return fmt.Errorf("boltstore: %w", err)
	}
	var written error
	read := s.disk.view(func(b *bolt.Tx) { _, written = b.WriteTo(file) })
	if err := errors.Join(read, written, file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("boltstore: no copy: %w", errors.Join(err, os.Remove(path)))
	}
	return nil
}

// Advance makes d pass for the sessions of this store, to test what expires. Otherwise its clock is the real one. d is
// not stored: for the next Store on the file it has not passed.
func (s *Store) Advance(d time.Duration) { s.advanced.Add(int64(d)) }

// Load implements [driver.Store].
func (s *Store) Load(_ context.Context, id string, ttl time.Duration) ([]byte, error) {
	found, err := s.look(id)
	if found.value != nil {
		s.sweeper.touch(id, found.life.version, after(found.now, ttl))
	}
	return found.value, err
}

// Peek implements [driver.Store].
func (s *Store) Peek(_ context.Context, id string) ([]byte, time.Duration, error) {
	found, err := s.look(id)
	return found.value, time.Duration(found.life.ends - found.now), err
}

// A look is what is there of an ID at a moment.
type look struct {
	value []byte // nil if there is none
	life  life
	now   int64
}

// look returns the value of id also with ErrRemoved.
func (s *Store) look(id string) (l look, err error) {
	failed := s.view(func(t *tx) {
		value, life, ok := t.find(id)
		if ok {
			l = look{clone(value), life, t.now}
		}
		switch {
		case !t.counts(id):
			err = driver.ErrRemoved
		case !ok:
			err = driver.ErrNotFound
		}
	})
	if failed != nil {
		return look{}, failed
	}
	return l, err
}

// An outcome is what a change has come to.
type outcome struct {
	value []byte
	err   error
}

// change calls fn in a transaction. If that fails, fn may still run.
func (s *Store) change(ctx context.Context, fn func(t *tx) (value []byte, err error)) ([]byte, error) {
	out := new(outcome)
	if err := s.update(ctx, func(t *tx) { out.value, out.err = fn(t) }); err != nil {
		return nil, err
	}
	return out.value, out.err
}

// Save implements [driver.Store].
func (s *Store) Save(ctx context.Context, id string, was, value []byte, ttl time.Duration) ([]byte, error) {
	return s.change(ctx, func(t *tx) ([]byte, error) { return t.save(id, was, value, ttl) })
}

func (t *tx) save(id string, was, value []byte, ttl time.Duration) ([]byte, error) {
	found, _, ok := t.find(id)
	switch {
	case !ok && was != nil:
		return nil, driver.ErrNotFound
	case !ok:
		t.dropParts(id) // of a value that has expired
	case bytes.Equal(found, value): // a repeat
	case was == nil || !bytes.Equal(found, was):
		return clone(found), driver.ErrConflict
	}
	t.store(id, value, ttl)
	return nil, nil
}

// Delete implements [driver.Store].
func (s *Store) Delete(ctx context.Context, id string, was []byte) ([]byte, error) {
	return s.change(ctx, func(t *tx) ([]byte, error) {
		found, _, ok := t.find(id)
		switch {
		case !ok:
			return nil, driver.ErrNotFound
		case was != nil && !bytes.Equal(found, was):
			return clone(found), driver.ErrConflict
		}
		removed := clone(found)
		t.remove(id)
		return removed, nil
	})
}

// Format prints only what the Store is, for every verb of package fmt.
func (s *Store) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, name) }

// LogValue returns only what the Store is, as Format does.
func (s *Store) LogValue() slog.Value { return slog.StringValue(name) }

const name = "boltstore.Store"
