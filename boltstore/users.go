package boltstore

import (
	"context"
	"slices"
	"time"

	"github.com/sessionkv/session/driver"
)

var _ driver.Users = (*Store)(nil)

// Stamp implements [driver.Users].
func (s *Store) Stamp(ctx context.Context, name string) (string, error) {
	var u user
	var fresh bool
	err := s.view(func(t *tx) {
		u = t.known(name)
		fresh = u.stamp != "" && u.stamped > after(t.now, stampTTL-stampSlack)
	})
	if err != nil || fresh {
		return u.stamp, err
	}
	stamp, err := s.change(ctx, func(t *tx) ([]byte, error) {
		u := t.begin(name)
		t.keepStamp(&u)
		t.know(name, u)
		return []byte(u.stamp), nil
	})
	return string(stamp), err
}

// list calls fn with a user in a transaction, and returns the IDs that it takes from the list.
func (s *Store) list(ctx context.Context, name string, fn func(t *tx, u *user) (removed []string, err error)) ([]string, error) {
	var removed []string
	_, err := s.change(ctx, func(t *tx) (_ []byte, err error) {
		u := t.begin(name)
		removed, err = fn(t, &u)
		for _, id := range removed {
			t.leave(id)
		}
		return nil, err
	})
	if err != nil {
		return nil, err
	}
	return removed, nil
}

// Add implements [driver.Users].
func (s *Store) Add(ctx context.Context, entry driver.Entry) ([]string, error) {
	name := driver.UserOf(entry.ID)
	return s.list(ctx, name, func(t *tx, u *user) (over []string, err error) {
		switch {
		case entry.Stamp != "" && entry.Stamp != u.stamp:
			return nil, driver.ErrStamp
		case t.isMember(entry.ID): // a repeat
			return nil, nil
		}
		ids := t.living(name)
		if more := len(ids) + 1 - entry.Limit; entry.Limit > 0 && more > 0 {
			if entry.Refuse {
				return nil, driver.ErrFull
			}
			over = ids[:more]
		}
		t.add(entry.ID)
		t.know(name, u.kept(t.now, entry.Keep))
		return over, nil
	})
}

// Replace implements [driver.Users].
func (s *Store) Replace(ctx context.Context, was string, entry driver.Entry) error {
	name := driver.UserOf(entry.ID)
	_, err := s.list(ctx, name, func(t *tx, u *user) ([]string, error) {
		if entry.Stamp != "" && entry.Stamp != u.stamp {
			return nil, driver.ErrStamp
		}
		if !t.rename(was, entry.ID) && !t.isMember(entry.ID) {
			return nil, driver.ErrRemoved
		}
		t.know(name, u.kept(t.now, entry.Keep))
		return nil, nil
	})
	return err
}

// Remove implements [driver.Users].
func (s *Store) Remove(ctx context.Context, id string) error {
	_, err := s.list(ctx, driver.UserOf(id), func(t *tx, _ *user) ([]string, error) {
		if !t.isMember(id) {
			return nil, driver.ErrRemoved
		}
		return []string{id}, nil
	})
	return err
}

// RemoveOthers implements [driver.Users].
func (s *Store) RemoveOthers(ctx context.Context, keep string) ([]string, error) {
	name := driver.UserOf(keep)
	return s.list(ctx, name, func(t *tx, u *user) ([]string, error) {
		if !t.isMember(keep) {
			return nil, driver.ErrRemoved
		}
		t.stampAnew(u)
		t.know(name, *u)
		return slices.DeleteFunc(t.members(name), func(id string) bool { return id == keep }), nil
	})
}

// RemoveAll implements [driver.Users].
func (s *Store) RemoveAll(ctx context.Context, name string) ([]string, error) {
	return s.list(ctx, name, func(t *tx, u *user) ([]string, error) {
		t.stampAnew(u)
		t.know(name, *u)
		return t.members(name), nil
	})
}

// Bury implements [driver.Users].
func (s *Store) Bury(ctx context.Context, last []byte, ttl time.Duration, ids ...string) error {
	return s.update(ctx, func(t *tx) {
		for _, id := range ids {
			if _, ok := t.life(session, id); ok {
				t.dropParts(id)
				t.store(id, last, ttl)
			}
		}
	})
}

// Members implements [driver.Users].
func (s *Store) Members(ctx context.Context, name string) (found []driver.Member, err error) {
	var listed []string
	err = s.view(func(t *tx) {
		if t.known(name).listed <= t.now {
			return
		}
		listed = t.members(name)
		for _, id := range listed {
			if value, l, ok := t.find(id); ok {
				found = append(found, driver.Member{ID: id, Value: clone(value), TTL: time.Duration(l.ends - t.now)})
			}
		}
	})
	if err == nil && len(found) < len(listed) {
		err = s.update(ctx, func(t *tx) { t.living(name) })
	}
	if err != nil {
		return nil, err
	}
	return found, nil
}
