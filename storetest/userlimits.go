package storetest

import (
	"math"
	"time"

	"github.com/sessionkv/session/driver"
)

func (s users) dead() {
	id, v := s.added()
	other, _ := s.added()
	s.want(v, nil)(s.Delete(s.ctx, id, nil))
	s.wantMembers(other)
	s.want(nil, nil)(s.Save(s.ctx, id, nil, v, long))
	s.wantLoad(id, v, driver.ErrRemoved)
}

func (s users) oldestOut() {
	first, v := s.added()
	second, _ := s.added()
	third, _ := s.added()
	id, _ := s.stored(long)
	s.wantIDs(first, second)(s.Add(s.ctx, s.limited(id, 2, false)))
	s.wantMembers(third, id)
	s.wantLoad(first, v, driver.ErrRemoved)
	s.wantIDs()(s.Add(s.ctx, s.limited(id, 2, false))) // a repeat does not count itself
	s.wantIDs()(s.Add(s.ctx, s.limited(third, 1, false)))
	s.wantMembers(third, id)
	last, _ := s.stored(long)
	s.wantIDs(third, id)(s.Add(s.ctx, s.limited(last, 1, false)))
	s.wantMembers(last)
}

func (s users) refuse() {
	first, _ := s.stored(long)
	s.wantIDs()(s.Add(s.ctx, s.limited(first, 1, true)))
	s.wantIDs()(s.Add(s.ctx, s.limited(first, 1, true))) // a repeat does not count itself
	id, v := s.stored(long)
	over, err := s.Add(s.ctx, s.limited(id, 1, true))
	s.wantErr(driver.ErrFull, err)
	s.wantIDs()(over, nil)
	s.wantMembers(first)
	s.wantLoad(id, v, driver.ErrRemoved)
	s.wantIDs()(s.Add(s.ctx, s.limited(id, 2, true)))
	s.wantMembers(first, id)
}

func (s users) deadTakeNoRoom() {
	for _, refuse := range []bool{false, true} {
		dead, _ := s.stored(short)
		s.wantIDs()(s.Add(s.ctx, s.limited(dead, 2, refuse)))
		living, _ := s.stored(long)
		s.wantIDs()(s.Add(s.ctx, s.limited(living, 2, refuse)))
		s.advance(short + short/2)
		id, _ := s.stored(long)
		s.wantIDs()(s.Add(s.ctx, s.limited(id, 2, refuse)))
		s.wantMembers(living, id)
		s.wantIDs(living, id)(s.RemoveAll(s.ctx, s.user))
	}
}

// That another ID is added for a shorter time takes nothing from one that lives.
func (s users) oldStay() {
	old, v := s.added()
	time.Sleep(2 * time.Millisecond) // so that it is older than what follows will become
	id, _ := s.stored(long)
	s.wantIDs()(s.Add(s.ctx, driver.Entry{ID: id, Keep: time.Millisecond}))
	s.wantMembers(old, id)
	s.wantLoad(old, v, nil)
}

func (s users) stamp() {
	stamp := s.mustStamp()
	s.wantSameStamp(stamp, true)
	id, _ := s.stored(long)
	s.wantIDs()(s.Add(s.ctx, driver.Entry{ID: id, Stamp: stamp, Keep: long}))
	next, _ := s.stored(long)
	s.wantErr(nil, s.Replace(s.ctx, id, driver.Entry{ID: next, Stamp: stamp, Keep: long}))
	s.wantErr(nil, s.Remove(s.ctx, next))
	s.wantSameStamp(stamp, true)
	s.wantIDs()(s.RemoveAll(s.ctx, s.user))
	s.wantSameStamp(stamp, false)
}

// A store without a clock of its own would have to wait for a day.
func (s users) stampExpires() {
	if _, ok := s.Store.(interface{ Advance(time.Duration) }); !ok {
		s.Skip("the store has no Advance")
	}
	stamp := s.mustStamp()
	s.advance(20 * time.Hour)
	s.wantSameStamp(stamp, true)
	s.advance(20 * time.Hour) // since it was read
	s.wantSameStamp(stamp, true)
	s.advance(48 * time.Hour)
	id, _ := s.stored(long)
	_, err := s.Add(s.ctx, driver.Entry{ID: id, Stamp: stamp, Keep: long})
	s.wantErr(driver.ErrStamp, err)
	s.wantSameStamp(stamp, false)
}

func (s users) otherStamp() {
	first, _ := s.added()
	id, v := s.stored(long)
	refused := func(stamp string) {
		s.Helper()
		over, err := s.Add(s.ctx, driver.Entry{ID: id, Stamp: stamp, Keep: long, Limit: 1})
		s.wantErr(driver.ErrStamp, err)
		s.wantIDs()(over, nil)
		s.wantErr(driver.ErrStamp, s.Replace(s.ctx, first, driver.Entry{ID: id, Stamp: stamp, Keep: long}))
		s.wantMembers(first)
		s.wantLoad(id, v, driver.ErrRemoved)
	}
	refused("none") // there is no stamp
	stamp := s.mustStamp()
	refused("none")
	s.wantIDs()(s.RemoveOthers(s.ctx, first))
	refused(stamp)
	s.wantIDs()(s.Add(s.ctx, driver.Entry{ID: id, Stamp: s.mustStamp(), Keep: long}))
	s.wantMembers(first, id)
}

func (s users) expire() {
	id, v := s.stored(math.MaxInt32 * time.Second)
	s.wantIDs()(s.Add(s.ctx, driver.Entry{ID: id, Keep: short}))
	s.advance(short + short/2)
	s.wantLoad(id, v, driver.ErrRemoved)
	s.wantMembers()
	next, _ := s.added()
	s.wantMembers(next) // the new list has nothing of the old one
	s.wantLoad(id, v, driver.ErrRemoved)
}

func (s users) lengthened() {
	id, _ := s.stored(long)
	s.wantIDs()(s.Add(s.ctx, driver.Entry{ID: id, Keep: short}))
	next, _ := s.stored(long)
	s.wantErr(nil, s.Replace(s.ctx, id, s.entry(next)))
	s.advance(short + short/2)
	s.wantMembers(next)
}

func (s users) notShortened() {
	first, v := s.added()
	id, _ := s.stored(long)
	next, _ := s.stored(long)
	s.wantIDs()(s.Add(s.ctx, driver.Entry{ID: id, Keep: short}))
	s.wantErr(nil, s.Replace(s.ctx, id, driver.Entry{ID: next, Keep: short}))
	s.wantErr(nil, s.Remove(s.ctx, next))
	last, _ := s.stored(long)
	s.wantIDs(first)(s.Add(s.ctx, driver.Entry{ID: last, Keep: short, Limit: 1}))
	s.wantIDs()(s.RemoveOthers(s.ctx, last))
	s.advance(short + short/2)
	s.wantMembers(last)
	s.wantLoad(first, v, driver.ErrRemoved)
}
