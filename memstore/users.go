package memstore

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/sessionkv/session/driver"
)

var _ driver.Users = (*Store)(nil)

// Stamp implements [driver.Users].
func (s *Store) Stamp(_ context.Context, name string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users.get(name, s.now())
	u.keepStamp(s.now())
	return u.stamp, nil
}

// Add implements [driver.Users].
func (s *Store) Add(_ context.Context, entry driver.Entry) (over []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users.get(driver.UserOf(entry.ID), s.now())
	switch {
	case entry.Stamp != "" && entry.Stamp != u.stamp:
		return nil, driver.ErrStamp
	case slices.Contains(u.ids, entry.ID): // a repeat
		return nil, nil
	}
	u.ids = slices.DeleteFunc(u.ids, func(id string) bool { return s.find(id) == nil })
	if more := len(u.ids) + 1 - entry.Limit; entry.Limit > 0 && more > 0 {
		if entry.Refuse {
			return nil, driver.ErrFull
		}
		over = slices.Clone(u.ids[:more])
		u.ids = slices.Delete(u.ids, 0, more)
	}
	u.ids = append(u.ids, entry.ID)
	u.keep(s.now(), entry.Keep)
	return over, nil
}

// Replace implements [driver.Users].
func (s *Store) Replace(_ context.Context, was string, entry driver.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users.get(driver.UserOf(entry.ID), s.now())
	if entry.Stamp != "" && entry.Stamp != u.stamp {
		return driver.ErrStamp
	}
	if place := slices.Index(u.ids, was); place >= 0 {
		u.ids[place] = entry.ID
	} else if !slices.Contains(u.ids, entry.ID) {
		return driver.ErrRemoved
	}
	u.keep(s.now(), entry.Keep)
	return nil
}

// Remove implements [driver.Users].
func (s *Store) Remove(_ context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users.get(driver.UserOf(id), s.now())
	place := slices.Index(u.ids, id)
	if place < 0 {
		return driver.ErrRemoved
	}
	u.ids = slices.Delete(u.ids, place, place+1)
	return nil
}

// RemoveOthers implements [driver.Users].
func (s *Store) RemoveOthers(_ context.Context, keep string) (removed []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users.get(driver.UserOf(keep), s.now())
	place := slices.Index(u.ids, keep)
	if place < 0 {
		return nil, driver.ErrRemoved
	}
	removed = slices.Delete(u.ids, place, place+1)
	u.ids = []string{keep}
	u.restamp(s.now())
	return removed, nil
}

// RemoveAll implements [driver.Users].
func (s *Store) RemoveAll(_ context.Context, name string) (removed []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users.get(name, s.now())
	removed, u.ids = u.ids, nil
	u.restamp(s.now())
	return removed, nil
}

// Bury implements [driver.Users].
func (s *Store) Bury(_ context.Context, last []byte, ttl time.Duration, ids ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		if found := s.find(id); found != nil {
			found.value, found.parts = bytes.Clone(last), nil
			s.keep(found, ttl)
		}
	}
	return nil
}

// Members implements [driver.Users].
func (s *Store) Members(_ context.Context, name string) (members []driver.Member, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users.get(name, s.now())
	u.ids = slices.DeleteFunc(u.ids, func(id string) bool {
		found := s.find(id) // once, because it may expire before the next look
		if found != nil {
			members = append(members, driver.Member{ID: id, Value: bytes.Clone(found.value), TTL: found.expires.Sub(s.now())})
		}
		return found == nil
	})
	return members, nil
}
