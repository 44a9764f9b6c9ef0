// Package memstore keeps sessions in the memory of one process. It is for tests, for trying things out, and for a
// program that runs once and whose sessions may end with it.
//
// It is not for more than that. Another process does not see these sessions, and a restart ends all of them. No limit
// except session.Config.MaxBytes keeps them from filling the memory. Package redisstore has the store for everything
// else.
package memstore

import (
	"bytes"
	"container/heap"
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/sessionkv/session/driver"
)

// A Store is a [driver.Store] in memory. The zero value is an empty store. It is safe for concurrent use, must not be
// copied after its first use, and needs no Close, because it has no goroutine.
//
// No call waits. Therefore none looks at its context. An expired value is never returned. The saves and deletions that
// follow give its memory back. Each of them removes a few expired values.
type Store struct {
	mu       sync.Mutex
	advanced time.Duration
	entries  map[string]*entry
	queue    queue // the same entries
	users    users
}

// Advance makes d pass for the sessions of this store, to test what expires. Otherwise its clock is the real one.
func (s *Store) Advance(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advanced += d
}

// Load implements [driver.Store].
func (s *Store) Load(_ context.Context, id string, ttl time.Duration) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, err := s.look(id)
	if found == nil {
		return nil, err
	}
	s.keep(found, ttl)
	return bytes.Clone(found.value), err
}

// Peek implements [driver.Store].
func (s *Store) Peek(_ context.Context, id string) ([]byte, time.Duration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found, err := s.look(id)
	if found == nil {
		return nil, 0, err
	}
	return bytes.Clone(found.value), found.expires.Sub(s.now()), err
}

// look returns the entry of id, also if it is not one of its user's any more.
func (s *Store) look(id string) (*entry, error) {
	found := s.find(id)
	switch {
	case !s.users.count(id, s.now()):
		return found, driver.ErrRemoved
	case found == nil:
		return nil, driver.ErrNotFound
	}
	return found, nil
}

// Save implements [driver.Store].
func (s *Store) Save(_ context.Context, id string, was, value []byte, ttl time.Duration) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.save(id, was, value, ttl)
}

func (s *Store) save(id string, was, value []byte, ttl time.Duration) ([]byte, error) {
	s.sweep()
	found := s.find(id)
	switch {
	case found == nil && was != nil:
		return nil, driver.ErrNotFound
	case found == nil:
		found = s.add(id)
	case bytes.Equal(found.value, value): // a repeat
	case was == nil || !bytes.Equal(found.value, was):
		return bytes.Clone(found.value), driver.ErrConflict
	}
	found.value = append([]byte{}, value...) // never nil, which would say that nothing is stored
	s.keep(found, ttl)
	return nil, nil
}

// Delete implements [driver.Store].
func (s *Store) Delete(_ context.Context, id string, was []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep()
	found := s.find(id)
	switch {
	case found == nil:
		return nil, driver.ErrNotFound
	case was != nil && !bytes.Equal(found.value, was):
		return bytes.Clone(found.value), driver.ErrConflict
	}
	s.remove(found)
	return found.value, nil
}

// Format prints only what the Store is, for every verb of package fmt.
func (s *Store) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, name) }

// LogValue returns only what the Store is, as Format does.
func (s *Store) LogValue() slog.Value { return slog.StringValue(name) }

const name = "memstore.Store"

func (s *Store) now() time.Time { return time.Now().Add(s.advanced) }

// find returns the entry of id, or nil if there is none or it has expired.
func (s *Store) find(id string) *entry {
	found := s.entries[id]
	if found == nil || !found.isOver(s.now()) {
		return found
	}
	s.remove(found)
	return nil
}

func (s *Store) add(id string) *entry {
	if s.entries == nil {
		s.entries = make(map[string]*entry)
	}
	added := &entry{id: id}
	s.entries[id] = added
	heap.Push(&s.queue, added)
	return added
}

func (s *Store) keep(e *entry, ttl time.Duration) {
	e.expires = s.now().Add(ttl)
	heap.Fix(&s.queue, e.place)
}

func (s *Store) remove(e *entry) {
	delete(s.entries, e.id)
	heap.Remove(&s.queue, e.place)
}

// sweep removes a few expired values.
func (s *Store) sweep() {
	now := s.now()
	for range sweepStep {
		if len(s.queue) == 0 || !s.queue[0].isOver(now) {
			return
		}
		s.remove(s.queue[0])
	}
}
