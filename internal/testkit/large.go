package testkit

import (
	"context"
	"time"

	"github.com/sessionkv/session/driver"
)

var _ driver.Large = HookedStore{}

func (h HookedStore) large() driver.Large { return h.Store.(driver.Large) }

func (h HookedStore) LoadLarge(ctx context.Context, id string, ttl time.Duration) (value []byte, err error) {
	err = h.around(ctx, "LoadLarge", func() error { value, err = h.large().LoadLarge(ctx, id, ttl); return err })
	return value, err
}

func (h HookedStore) SaveLarge(
	ctx context.Context, id string, was, value []byte, ttl time.Duration, parts ...driver.Part,
) (current []byte, err error) {
	err = h.around(ctx, "SaveLarge", func() error {
		current, err = h.large().SaveLarge(ctx, id, was, value, ttl, parts...)
		return err
	})
	return current, err
}

func (h HookedStore) Part(ctx context.Context, id, name string) (text []byte, err error) {
	err = h.around(ctx, "Part", func() error { text, err = h.large().Part(ctx, id, name); return err })
	return text, err
}

func (h HookedStore) RemoveParts(ctx context.Context, id string, names ...string) error {
	return h.around(ctx, "RemoveParts", func() error { return h.large().RemoveParts(ctx, id, names...) })
}
