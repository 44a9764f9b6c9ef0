package memstore

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"slices"
	"time"

	"github.com/sessionkv/session/driver"
)

var _ driver.Users = (*Store)(nil)

// A user is what a Store knows of one: which IDs count, in the order in which they were added.
type user struct {
	ids     []string
	listed  time.Time // until when ids count
	stamp   string
	stamped time.Time // until when the stamp counts
}

// stampTTL is how long a stamp lives after it was last asked for or changed.
const stampTTL = 24 * time.Hour

// user returns the user of this name, and makes one if there is none.
func (s *Store) user(name string) *user {
	u := s.known(name)
	if u == nil {
		s.sweepUsers()
		u = new(user)
		if s.users == nil {
			s.users = make(map[string]*user)
		}
		s.users[name] = u
	}
	return u
}

// known returns the user of this name, nil if there is none. What of it is over is gone.
func (s *Store) known(name string) *user {
	u, now := s.users[name], s.now()
	if u != nil && !now.Before(u.listed) {
		u.ids = nil
	}
	if u != nil && !now.Before(u.stamped) {
		u.stamp = ""
	}
	return u
}

// sweepUsers forgets a few users that have nothing any more, in the random order of a map.
func (s *Store) sweepUsers() {
	looked := 0
	for name := range s.users {
		if u := s.known(name); len(u.ids) == 0 && u.stamp == "" {
			delete(s.users, name)
		}
		if looked++; looked == sweepStep {
			return
		}
	}
}

// counts reports whether an ID is one of its user's, if it is one of a user.
func (s *Store) counts(id string) bool {
	name := driver.UserOf(id)
	if name == "" {
		return true
	}
	u := s.known(name)
	return u != nil && slices.Contains(u.ids, id)
}

func (s *Store) keepList(u *user, keep time.Duration) {
	if until := s.now().Add(keep); until.After(u.listed) {
		u.listed = until
	}
}

func (s *Store) setStamp(u *user, stamp string) {
	u.stamp, u.stamped = stamp, s.now().Add(stampTTL)
}

// Stamp implements [driver.Users].
func (s *Store) Stamp(_ context.Context, name string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.user(name)
	s.setStamp(u, cmp.Or(u.stamp, rand.Text()))
	return u.stamp, nil
}

// Add implements [driver.Users].
func (s *Store) Add(_ context.Context, entry driver.Entry) (over []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.user(driver.UserOf(entry.ID))
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
	s.keepList(u, entry.Keep)
	return over, nil
}

// Replace implements [driver.Users].
func (s *Store) Replace(_ context.Context, was string, entry driver.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.user(driver.UserOf(entry.ID))
	if entry.Stamp != "" && entry.Stamp != u.stamp {
		return driver.ErrStamp
	}
	if place := slices.Index(u.ids, was); place >= 0 {
		u.ids[place] = entry.ID
	} else if !slices.Contains(u.ids, entry.ID) {
		return driver.ErrRemoved
	}
	s.keepList(u, entry.Keep)
	return nil
}

// Remove implements [driver.Users].
func (s *Store) Remove(_ context.Context, id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.user(driver.UserOf(id))
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
	u := s.user(driver.UserOf(keep))
	place := slices.Index(u.ids, keep)
	if place < 0 {
		return nil, driver.ErrRemoved
	}
	removed = slices.Delete(u.ids, place, place+1)
	u.ids = []string{keep}
	s.setStamp(u, rand.Text())
	return removed, nil
}

// RemoveAll implements [driver.Users].
func (s *Store) RemoveAll(_ context.Context, name string) (removed []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.user(name)
	removed, u.ids = u.ids, nil
	s.setStamp(u, rand.Text())
	return removed, nil
}

// Bury implements [driver.Users].
func (s *Store) Bury(_ context.Context, last []byte, ttl time.Duration, ids ...string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		if found := s.find(id); found != nil {
			found.value = bytes.Clone(last)
			s.keep(found, ttl)
		}
	}
	return nil
}

// Members implements [driver.Users].
func (s *Store) Members(_ context.Context, name string) (members []driver.Member, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.user(name)
	u.ids = slices.DeleteFunc(u.ids, func(id string) bool { return s.find(id) == nil })
	for _, id := range u.ids {
		found := s.find(id)
		members = append(members, driver.Member{ID: id, Value: bytes.Clone(found.value), TTL: found.expires.Sub(s.now())})
	}
	return members, nil
}
