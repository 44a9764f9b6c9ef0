package campaign

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sessionkv/session/driver"
)

func (s gatedStore) large() driver.Large { return s.UserStore.(driver.Large) }

func (s gatedStore) LoadLarge(ctx context.Context, id string, ttl time.Duration) ([]byte, error) {
	return call(s, "LoadLarge "+id, func() ([]byte, error) { return s.large().LoadLarge(ctx, id, ttl) })
}

// noValue is not what a store has, so that a save in its place stores parts and nothing else.
var noValue = []byte(`{"_rev":"no value has this"}`)

// SaveLarge is two calls where parts go beside a value that is there: others may come in between.
func (s gatedStore) SaveLarge(
	ctx context.Context, id string, was, value []byte, ttl time.Duration, parts ...driver.Part,
) ([]byte, error) {
	s.actor.world.knowParts(id, parts)
	if was != nil && len(parts) > 0 {
		_, err := call(s, fmt.Sprint("parts of ", id, names(parts)), func() ([]byte, error) {
			_, err := s.large().SaveLarge(ctx, id, noValue, noValue, ttl, parts...)
			if errors.Is(err, driver.ErrConflict) || errors.Is(err, driver.ErrNotFound) {
				err = nil
			}
			return nil, err
		})
		if err != nil {
			return nil, err
		}
		parts = nil
	}
	return s.save("SaveLarge ", id, was, func() ([]byte, error) { return s.large().SaveLarge(ctx, id, was, value, ttl, parts...) })
}

func (s gatedStore) Part(ctx context.Context, id, name string) ([]byte, error) {
	return call(s, "Part "+id+" "+name, func() ([]byte, error) {
		text, err := s.large().Part(ctx, id, name)
		if errors.Is(err, driver.ErrNotFound) {
			s.actor.world.count("part that has gone")
		}
		return text, err
	})
}

func (s gatedStore) RemoveParts(ctx context.Context, id string, names ...string) error {
	_, err := call(s, fmt.Sprint("RemoveParts ", id, names), func() (bool, error) {
		return false, s.large().RemoveParts(ctx, id, names...)
	})
	return err
}

func names(parts []driver.Part) (names []string) {
	for _, part := range parts {
		names = append(names, part.Name)
	}
	return names
}
