package session_test

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"time"

	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/storetest"
)

// A memStore keeps sessions in a map, for tests that make thousands of them. Its time passes when it is told to.
type memStore struct {
	mu      sync.Mutex
	now     time.Duration
	entries map[string]memEntry
	asked   map[string]bool // the IDs of all calls
}

type memEntry struct {
	value   []byte
	expires time.Duration
}

func newMemStore() *memStore {
	return &memStore{entries: make(map[string]memEntry), asked: make(map[string]bool)}
}

func (m *memStore) Advance(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now += d
}

// get returns a copy of the value.
func (m *memStore) get(id string) ([]byte, error) {
	m.asked[id] = true
	entry, ok := m.entries[id]
	if !ok || entry.expires <= m.now {
		delete(m.entries, id)
		return nil, driver.ErrNotFound
	}
	return append([]byte{}, entry.value...), nil
}

func (m *memStore) put(id string, value []byte, ttl time.Duration) {
	m.entries[id] = memEntry{append([]byte{}, value...), m.now + ttl}
}

func (m *memStore) Load(_ context.Context, id string, ttl time.Duration) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	value, err := m.get(id)
	if err == nil {
		m.put(id, value, ttl)
	}
	return value, err
}

func (m *memStore) Save(_ context.Context, id string, was, value []byte, ttl time.Duration) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	current, err := m.get(id)
	switch {
	case err != nil && was != nil:
		return nil, err
	case err == nil && !bytes.Equal(current, value) && (was == nil || !bytes.Equal(current, was)):
		return current, driver.ErrConflict
	}
	m.put(id, value, ttl)
	return nil, nil
}

func (m *memStore) Delete(_ context.Context, id string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	value, err := m.get(id)
	delete(m.entries, id)
	return value, err
}

func TestMemStoreIsAStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) driver.Store { return newMemStore() })
}
