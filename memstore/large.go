package memstore

import (
	"bytes"
	"context"
	"time"

	"github.com/sessionkv/session/driver"
)

var _ driver.Large = (*Store)(nil)

// LoadLarge implements [driver.Large]. It is Load: parts live in the entry of their value.
func (s *Store) LoadLarge(ctx context.Context, id string, ttl time.Duration) ([]byte, error) {
	return s.Load(ctx, id, ttl)
}

// SaveLarge implements [driver.Large].
func (s *Store) SaveLarge(_ context.Context, id string, was, value []byte, ttl time.Duration, parts ...driver.Part) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	current, err := s.save(id, was, value, ttl)
	if found := s.find(id); found != nil {
		found.add(parts)
	}
	return current, err
}

// add stores parts.
func (e *entry) add(parts []driver.Part) {
	if e.parts == nil {
		e.parts = make(map[string][]byte)
	}
	for _, part := range parts {
		e.parts[part.Name] = append([]byte{}, part.Text...)
	}
}

// Part implements [driver.Large].
func (s *Store) Part(_ context.Context, id, name string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.find(id)
	if found == nil || found.parts[name] == nil {
		return nil, driver.ErrNotFound
	}
	return bytes.Clone(found.parts[name]), nil
}

// RemoveParts implements [driver.Large].
func (s *Store) RemoveParts(_ context.Context, id string, names ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.find(id)
	if found == nil {
		return nil
	}
	if len(names) == 0 {
		found.parts = nil
	}
	for _, name := range names {
		delete(found.parts, name)
	}
	return nil
}
