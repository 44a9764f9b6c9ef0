package storetest

import (
	"errors"
	"slices"
	"sync"

	"github.com/sessionkv/session/driver"
)

func (s users) concurrentAdds() {
	const limit = 5
	var mu sync.Mutex
	var all, over []string
	together(func(int) {
		id, _ := s.stored(long)
		made, err := s.Add(s.ctx, s.limited(id, limit, false))
		if err != nil {
			s.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		all, over = append(all, id), append(over, made...)
	})
	members := s.mustMembers()
	if len(members) != limit {
		s.Errorf("%d members; want %d", len(members), limit)
	}
	both := append(over, members...)
	slices.Sort(both)
	slices.Sort(all)
	if !slices.Equal(both, all) {
		s.Errorf("%d made room and %d are left of %d", len(over), len(members), len(all))
	}
}

func (s users) concurrentRefusals() {
	const limit = 5
	var mu sync.Mutex
	accepted := 0
	together(func(int) {
		id, _ := s.stored(long)
		_, err := s.Add(s.ctx, s.limited(id, limit, true))
		if err != nil && !errors.Is(err, driver.ErrFull) {
			s.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		if err == nil {
			accepted++
		}
	})
	if members := s.mustMembers(); accepted != limit || len(members) != limit {
		s.Errorf("%d were accepted and %d are there; want %d", accepted, len(members), limit)
	}
}

// amongRenewals calls fn while sessions that are in the list are renewed and others are added with a stamp of before. It
// returns what is in the list afterwards.
func (s users) amongRenewals(fn func() error) []string {
	stamp := s.mustStamp()
	var ids []string
	for range crowd / 2 {
		id, _ := s.added()
		ids = append(ids, id)
	}
	together(func(i int) {
		id, _ := s.stored(long)
		entry := driver.Entry{ID: id, Stamp: stamp, Keep: long}
		var err error
		switch {
		case i == crowd/2:
			err = fn()
		case i%2 == 0:
			_, err = s.Add(s.ctx, entry)
		default:
			entry.Stamp = ""
			err = s.Replace(s.ctx, ids[i/2], entry)
		}
		if err != nil && !errors.Is(err, driver.ErrStamp) && !errors.Is(err, driver.ErrRemoved) {
			s.Error(err)
		}
	})
	return s.mustMembers()
}

// Each of them was in the list before, is made of one that was, or has a stamp of before.
func (s users) concurrentRemoveAll() {
	left := s.amongRenewals(func() error {
		_, err := s.RemoveAll(s.ctx, s.user)
		return err
	})
	if len(left) > 0 {
		s.Errorf("%d are left", len(left))
	}
}

func (s users) concurrentRemoveOthers() {
	keep, _ := s.added()
	left := s.amongRenewals(func() error {
		_, err := s.RemoveOthers(s.ctx, keep)
		return err
	})
	if !slices.Equal(left, []string{keep}) {
		s.Errorf("%d are left; want the one that was kept", len(left))
	}
}
