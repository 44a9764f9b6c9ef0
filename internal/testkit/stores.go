package testkit

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/memstore"
)

// A Memory is a memstore.Store that a test looks into.
type Memory struct {
	*memstore.Store
	mu     sync.Mutex
	asked  map[string]bool
	stored map[string]string
}

// NewMemory returns a Memory without sessions.
func NewMemory() *Memory {
	return &Memory{Store: new(memstore.Store), asked: make(map[string]bool), stored: make(map[string]string)}
}

// Asked returns the IDs of all calls, in no order.
func (m *Memory) Asked() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Keys(m.asked))
}

// Stored returns what was last stored by ID, also if it has expired since.
func (m *Memory) Stored() map[string]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.stored)
}

// Put stores value whatever there is, as somebody would do by hand.
func (m *Memory) Put(id, value string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, _ = m.Store.Delete(context.Background(), id, nil)
	_, _ = m.Store.Save(context.Background(), id, nil, []byte(value), time.Hour)
	m.stored[id] = value
}

func (m *Memory) Load(ctx context.Context, id string, ttl time.Duration) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked[id] = true
	return m.Store.Load(ctx, id, ttl)
}

func (m *Memory) Peek(ctx context.Context, id string) ([]byte, time.Duration, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked[id] = true
	return m.Store.Peek(ctx, id)
}

func (m *Memory) Save(ctx context.Context, id string, was, value []byte, ttl time.Duration) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked[id] = true
	current, err := m.Store.Save(ctx, id, was, value, ttl)
	if err == nil {
		m.stored[id] = string(value)
	}
	return current, err
}

func (m *Memory) Delete(ctx context.Context, id string, was []byte) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked[id] = true
	value, err := m.Store.Delete(ctx, id, was)
	if err != driver.ErrConflict {
		delete(m.stored, id)
	}
	return value, err
}

// A FaultyStore fails when it is told to, before or after the operation has taken place, and counts its calls.
type FaultyStore struct {
	driver.Store
	BeforeSave, AfterSave, OnLoad, OnDelete func() error // nil: no failure

	mu                           sync.Mutex
	loads, peeks, saves, deletes int
}

func (f *FaultyStore) hook(hook func() error, count *int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if count != nil {
		*count++
	}
	if hook == nil {
		return nil
	}
	return hook()
}

func (f *FaultyStore) Load(ctx context.Context, id string, ttl time.Duration) ([]byte, error) {
	if err := f.hook(f.OnLoad, &f.loads); err != nil {
		return nil, err
	}
	return f.Store.Load(ctx, id, ttl)
}

func (f *FaultyStore) Peek(ctx context.Context, id string) ([]byte, time.Duration, error) {
	if err := f.hook(f.OnLoad, &f.peeks); err != nil {
		return nil, 0, err
	}
	return f.Store.Peek(ctx, id)
}

func (f *FaultyStore) Save(ctx context.Context, id string, was, value []byte, ttl time.Duration) ([]byte, error) {
	if err := f.hook(f.BeforeSave, &f.saves); err != nil {
		return nil, err
	}
	current, err := f.Store.Save(ctx, id, was, value, ttl)
	if err := f.hook(f.AfterSave, nil); err != nil {
		return nil, err
	}
	return current, err
}

func (f *FaultyStore) Delete(ctx context.Context, id string, was []byte) ([]byte, error) {
	if err := f.hook(f.OnDelete, &f.deletes); err != nil {
		return nil, err
	}
	return f.Store.Delete(ctx, id, was)
}

// Calls returns the calls of each kind since the last time it was asked.
func (f *FaultyStore) Calls() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	calls := fmt.Sprintf("%d loads, %d saves, %d deletes", f.loads, f.saves, f.deletes)
	if f.peeks > 0 {
		calls = fmt.Sprintf("%d peeks, %s", f.peeks, calls)
	}
	f.loads, f.peeks, f.saves, f.deletes = 0, 0, 0, 0
	return calls
}

// A LossyStore executes no Save of the sessions in Lost, and keeps the bytes that it was given. A store does so if its
// connection still writes them when the time is up.
type LossyStore struct {
	driver.Store
	Lost map[string]bool // by ID
	Kept [][]byte        // was and value of each lost Save
}

func (s *LossyStore) Save(ctx context.Context, id string, was, value []byte, ttl time.Duration) ([]byte, error) {
	if s.Lost[id] {
		s.Kept = append(s.Kept, was, value)
		return nil, context.DeadlineExceeded
	}
	return s.Store.Save(ctx, id, was, value, ttl)
}

// A ContextStore hands on the context of each call before it serves the call.
type ContextStore struct {
	driver.Store
	Given func(ctx context.Context)
}

func (s ContextStore) Load(ctx context.Context, id string, ttl time.Duration) ([]byte, error) {
	s.Given(ctx)
	return s.Store.Load(ctx, id, ttl)
}

func (s ContextStore) Peek(ctx context.Context, id string) ([]byte, time.Duration, error) {
	s.Given(ctx)
	return s.Store.Peek(ctx, id)
}

func (s ContextStore) Save(ctx context.Context, id string, was, value []byte, ttl time.Duration) ([]byte, error) {
	s.Given(ctx)
	return s.Store.Save(ctx, id, was, value, ttl)
}

func (s ContextStore) Delete(ctx context.Context, id string, was []byte) ([]byte, error) {
	s.Given(ctx)
	return s.Store.Delete(ctx, id, was)
}

// A ConstStore has one value for every ID and takes whatever is saved.
type ConstStore struct{ Value []byte }

func (s ConstStore) Load(context.Context, string, time.Duration) ([]byte, error) { return s.Value, nil }

func (s ConstStore) Peek(context.Context, string) ([]byte, time.Duration, error) {
	return s.Value, time.Hour, nil
}

func (s ConstStore) Save(context.Context, string, []byte, []byte, time.Duration) ([]byte, error) {
	return nil, nil
}

func (s ConstStore) Delete(context.Context, string, []byte) ([]byte, error) { return s.Value, nil }

// OnEachStore runs a test on a store in memory, on miniredis and, where it is installed, on a redis-server.
func OnEachStore(t *testing.T, test func(t *testing.T, store UserStore)) {
	t.Run("memory", func(t *testing.T) { test(t, new(memstore.Store)) })
	OnEachRedis(t, func(t *testing.T, b Backend) { test(t, b.Store) })
}
