package testkit

import (
	"context"
	"time"

	"github.com/sessionkv/session/driver"
)

// A UserStore is a store that knows users.
type UserStore interface {
	driver.Store
	driver.Users
}

// A HookedStore calls Before and After around each call, with the name of its method. An error of Before is that of the
// call, which then does not take place; an error of After too, but it has taken place.
type HookedStore struct {
	Store         UserStore
	Before, After func(ctx context.Context, method string) error // nil: no failure
}

var _ UserStore = HookedStore{}

func (h HookedStore) around(ctx context.Context, method string, call func() error) error {
	if h.Before != nil {
		if err := h.Before(ctx, method); err != nil {
			return err
		}
	}
	err := call()
	if h.After != nil {
		if err := h.After(ctx, method); err != nil {
			return err
		}
	}
	return err
}

func (h HookedStore) Load(ctx context.Context, id string, ttl time.Duration) (value []byte, err error) {
	err = h.around(ctx, "Load", func() error { value, err = h.Store.Load(ctx, id, ttl); return err })
	return value, err
}

func (h HookedStore) Peek(ctx context.Context, id string) (value []byte, ttl time.Duration, err error) {
	err = h.around(ctx, "Peek", func() error { value, ttl, err = h.Store.Peek(ctx, id); return err })
	return value, ttl, err
}

func (h HookedStore) Save(ctx context.Context, id string, was, value []byte, ttl time.Duration) (current []byte, err error) {
	err = h.around(ctx, "Save", func() error { current, err = h.Store.Save(ctx, id, was, value, ttl); return err })
	return current, err
}

func (h HookedStore) Delete(ctx context.Context, id string, was []byte) (value []byte, err error) {
	err = h.around(ctx, "Delete", func() error { value, err = h.Store.Delete(ctx, id, was); return err })
	return value, err
}

func (h HookedStore) Stamp(ctx context.Context, user string) (stamp string, err error) {
	err = h.around(ctx, "Stamp", func() error { stamp, err = h.Store.Stamp(ctx, user); return err })
	return stamp, err
}

func (h HookedStore) Add(ctx context.Context, entry driver.Entry) (over []string, err error) {
	err = h.around(ctx, "Add", func() error { over, err = h.Store.Add(ctx, entry); return err })
	return over, err
}

func (h HookedStore) Replace(ctx context.Context, was string, entry driver.Entry) error {
	return h.around(ctx, "Replace", func() error { return h.Store.Replace(ctx, was, entry) })
}

func (h HookedStore) Remove(ctx context.Context, id string) error {
	return h.around(ctx, "Remove", func() error { return h.Store.Remove(ctx, id) })
}

func (h HookedStore) RemoveOthers(ctx context.Context, keep string) (removed []string, err error) {
	err = h.around(ctx, "RemoveOthers", func() error { removed, err = h.Store.RemoveOthers(ctx, keep); return err })
	return removed, err
}

func (h HookedStore) RemoveAll(ctx context.Context, user string) (removed []string, err error) {
	err = h.around(ctx, "RemoveAll", func() error { removed, err = h.Store.RemoveAll(ctx, user); return err })
	return removed, err
}

func (h HookedStore) Bury(ctx context.Context, last []byte, ttl time.Duration, ids ...string) error {
	return h.around(ctx, "Bury", func() error { return h.Store.Bury(ctx, last, ttl, ids...) })
}

func (h HookedStore) Members(ctx context.Context, user string) (members []driver.Member, err error) {
	err = h.around(ctx, "Members", func() error { members, err = h.Store.Members(ctx, user); return err })
	return members, err
}
