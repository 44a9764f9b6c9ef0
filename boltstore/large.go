package boltstore

import (
	"context"
	"time"

	"github.com/sessionkv/session/driver"
)

var _ driver.Large = (*Store)(nil)

// LoadLarge implements [driver.Large]. It is Load: parts live as long as their value, whatever that is.
func (s *Store) LoadLarge(ctx context.Context, id string, ttl time.Duration) ([]byte, error) {
	return s.Load(ctx, id, ttl)
}

// SaveLarge implements [driver.Large]. The value and its parts are stored in one step.
func (s *Store) SaveLarge(
	ctx context.Context, id string, was, value []byte, ttl time.Duration, added ...driver.Part,
) ([]byte, error) {
	return s.change(ctx, func(t *tx) ([]byte, error) {
		current, err := t.save(id, was, value, ttl)
		if err != driver.ErrNotFound {
			t.addParts(id, added)
		}
		return current, err
	})
}

// Part implements [driver.Large].
func (s *Store) Part(_ context.Context, id, name string) ([]byte, error) {
	var found []byte
	err := s.view(func(t *tx) {
		if _, ok := t.life(session, id); ok {
			found = t.part(id, name)
		}
	})
	switch {
	case err != nil:
		return nil, err
	case found == nil:
		return nil, driver.ErrNotFound
	}
	return found, nil
}

// RemoveParts implements [driver.Large].
func (s *Store) RemoveParts(ctx context.Context, id string, names ...string) error {
	return s.update(ctx, func(t *tx) { t.dropParts(id, names...) })
}
