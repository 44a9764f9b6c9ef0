package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"slices"
	"testing"
	"time"

	"github.com/sessionkv/session/driver"
)

// runUsers tests the stores if they implement driver.Users.
func runUsers(t *testing.T, open func(t *testing.T) driver.Store) {
	if _, ok := open(t).(driver.Users); !ok {
		t.Skip("the store has no users")
	}
	for name, test := range map[string]func(users){
		"who was never added is not in the list":            users.absent,
		"who was added can be loaded":                       users.add,
		"a save and a delete do not ask the list":           users.unasked,
		"the order is that of adding":                       users.order,
		"members get no more time to live":                  users.membersKeep,
		"members without a value leave the list":            users.dead,
		"the oldest makes room":                             users.oldestOut,
		"a full list refuses":                               users.refuse,
		"the dead take no room":                             users.deadTakeNoRoom,
		"the old stay":                                      users.oldStay,
		"a stamp lasts":                                     users.stamp,
		"a stamp expires":                                   users.stampExpires,
		"another stamp refuses":                             users.otherStamp,
		"one takes the place of another":                    users.replace,
		"one takes the place of another in a full list":     users.replaceFull,
		"one does not take the place of who was removed":    users.replaceRemoved,
		"who is removed is not in the list":                 users.remove,
		"the others are removed":                            users.removeOthers,
		"who was removed removes no others":                 users.removeOthersRemoved,
		"all are removed":                                   users.removeAll,
		"who is buried is found with the last value":        users.bury,
		"many are buried, found and removed":                users.many,
		"users are apart":                                   users.apart,
		"a list expires":                                    users.expire,
		"a list is lengthened":                              users.lengthened,
		"a list is not shortened":                           users.notShortened,
		"concurrent additions keep to the limit":            users.concurrentAdds,
		"concurrent additions are refused beyond the limit": users.concurrentRefusals,
		"nothing escapes a removal of all":                  users.concurrentRemoveAll,
		"nothing escapes a removal of the others":           users.concurrentRemoveOthers,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			store := open(t)
			test(users{suite{T: t, Store: store, ctx: ctx}, store.(driver.Users), newUser()})
		})
	}
}

func (s users) absent() {
	s.wantLoad(s.user+":"+rand.Text(), nil, driver.ErrRemoved)
	id, v := s.stored(long)
	s.wantLoad(id, v, driver.ErrRemoved)
	s.wantMembers()
	s.wantErr(driver.ErrRemoved, s.Remove(s.ctx, id))
	s.wantErr(driver.ErrRemoved, s.Replace(s.ctx, s.user+":1", s.entry(id)))
	s.wantIDs()(s.RemoveAll(s.ctx, s.user))
	s.wantLoad(id, v, driver.ErrRemoved)
}

func (s users) add() {
	id, v := s.added()
	for range 2 {
		s.wantLoad(id, v, nil)
		s.wantMembers(id)
		s.wantIDs()(s.Add(s.ctx, s.entry(id))) // a repeat
	}
	if _, ttl, err := s.Peek(s.ctx, id); err != nil || ttl > long || ttl < long-time.Minute {
		s.Errorf("%v to live, %v; want %v", ttl, err, long)
	}
	s.want(v, nil)(s.Delete(s.ctx, id, nil))
	s.wantLoad(id, nil, driver.ErrNotFound)
}

func (s users) unasked() {
	id, v := s.stored(long)
	next := value("2")
	s.want(nil, nil)(s.Save(s.ctx, id, v, next, long))
	s.want(next, driver.ErrConflict)(s.Save(s.ctx, id, v, value("3"), long))
	s.want(next, driver.ErrConflict)(s.Delete(s.ctx, id, v))
	s.want(next, nil)(s.Delete(s.ctx, id, next))
	s.wantMembers()
}

func (s users) order() {
	var ids []string
	for range 5 {
		id, _ := s.added()
		ids = append(ids, id)
	}
	s.wantMembers(ids...)
	s.wantIDs()(s.Add(s.ctx, s.entry(ids[1])))
	s.wantMembers(ids...)
}

func (s users) membersKeep() {
	id, v := s.stored(short)
	s.wantIDs()(s.Add(s.ctx, s.entry(id)))
	other, _ := s.added()
	members, err := s.Members(s.ctx, s.user)
	if err != nil || len(members) != 2 || !bytes.Equal(members[0].Value, v) || members[0].TTL > short || members[1].TTL < long-time.Minute {
		s.Fatalf("Members = %q, %v", members, err)
	}
	s.advance(short + short/2)
	s.wantMembers(other)
	s.wantLoad(id, nil, driver.ErrRemoved)
}

func (s users) replace() {
	first, v := s.added()
	second, _ := s.added()
	id, w := s.stored(long)
	for range 2 { // the second is a repeat
		s.wantErr(nil, s.Replace(s.ctx, first, s.entry(id)))
		s.wantMembers(id, second)
		s.wantLoad(id, w, nil)
		s.wantLoad(first, v, driver.ErrRemoved)
	}
}

func (s users) replaceFull() {
	first, _ := s.added()
	second, _ := s.added()
	id, _ := s.stored(long)
	s.wantErr(nil, s.Replace(s.ctx, first, s.limited(id, 1, true)))
	s.wantMembers(id, second)
}

func (s users) replaceRemoved() {
	first, _ := s.added()
	second, _ := s.added()
	s.wantErr(nil, s.Remove(s.ctx, first))
	id, v := s.stored(long)
	s.wantErr(driver.ErrRemoved, s.Replace(s.ctx, first, s.entry(id)))
	s.wantMembers(second)
	s.wantLoad(id, v, driver.ErrRemoved)
}

func (s users) remove() {
	first, v := s.added()
	second, _ := s.added()
	s.wantErr(nil, s.Remove(s.ctx, first))
	s.wantErr(driver.ErrRemoved, s.Remove(s.ctx, first))
	s.wantLoad(first, v, driver.ErrRemoved)
	s.wantMembers(second)
	s.wantErr(nil, s.Remove(s.ctx, second))
	s.wantMembers()
}

func (s users) removeOthers() {
	first, v := s.added()
	keep, w := s.added()
	third, _ := s.added()
	stamp := s.mustStamp()
	s.wantIDs(first, third)(s.RemoveOthers(s.ctx, keep))
	s.wantSameStamp(stamp, false)
	s.wantMembers(keep)
	s.wantLoad(keep, w, nil)
	s.wantLoad(first, v, driver.ErrRemoved)
	s.wantIDs()(s.RemoveOthers(s.ctx, keep))
	last, _ := s.added()
	s.wantIDs(keep)(s.RemoveOthers(s.ctx, last))
	s.wantMembers(last)
}

func (s users) removeOthersRemoved() {
	first, _ := s.added()
	keep, _ := s.added()
	s.wantErr(nil, s.Remove(s.ctx, keep))
	stamp := s.mustStamp()
	removed, err := s.RemoveOthers(s.ctx, keep)
	s.wantErr(driver.ErrRemoved, err)
	s.wantIDs()(removed, nil)
	s.wantSameStamp(stamp, true)
	s.wantMembers(first)
}

func (s users) removeAll() {
	first, v := s.added()
	second, _ := s.added()
	stamp := s.mustStamp()
	s.wantIDs(first, second)(s.RemoveAll(s.ctx, s.user))
	s.wantSameStamp(stamp, false)
	s.wantMembers()
	s.wantLoad(first, v, driver.ErrRemoved)
	s.wantIDs()(s.RemoveAll(s.ctx, s.user))
	id, _ := s.added()
	s.wantMembers(id)
}

func (s users) bury() {
	first, _ := s.added()
	second, v := s.added()
	gone, _ := s.added()
	_, _ = s.Delete(s.ctx, gone, nil)
	s.wantErr(nil, s.Remove(s.ctx, first))
	last := value("last")
	s.wantErr(nil, s.Bury(s.ctx, last, short, first, gone))
	s.wantErr(nil, s.Bury(s.ctx, last, short))
	got, ttl, err := s.Peek(s.ctx, first)
	s.want(last, driver.ErrRemoved)(got, err)
	if ttl <= 0 || ttl > short {
		s.Errorf("%v to live; want %v", ttl, short)
	}
	s.wantLoad(second, v, nil)
	s.wantLoad(gone, nil, driver.ErrNotFound)
	s.wantErr(nil, s.Bury(s.ctx, last, short, first))
	s.advance(short + short/2)
	s.wantLoad(first, nil, driver.ErrRemoved)
}

func (s users) many() {
	var ids []string
	for i := range 250 {
		id, v := s.stored(long)
		s.wantIDs()(s.Add(s.ctx, s.limited(id, 250, true)))
		if ids = append(ids, id); i%2 == 0 {
			s.want(v, nil)(s.Delete(s.ctx, id, nil))
		}
	}
	id, _ := s.stored(long)
	s.wantIDs()(s.Add(s.ctx, s.limited(id, 250, true)))
	var living []string
	for i, id := range ids {
		if i%2 == 1 {
			living = append(living, id)
		}
	}
	s.wantMembers(append(slices.Clone(living), id)...)
	s.wantIDs(living...)(s.RemoveOthers(s.ctx, id))
	last := value("last")
	s.wantErr(nil, s.Bury(s.ctx, last, long, living...))
	for _, id := range living {
		s.want(last, driver.ErrRemoved)(s.Load(s.ctx, id, long))
	}
}

func (s users) apart() {
	other := s
	other.user = newUser()
	id, v := s.added()
	theirs, w := other.added()
	stamp := other.mustStamp()
	s.wantIDs(id)(s.RemoveAll(s.ctx, s.user))
	other.wantSameStamp(stamp, true)
	other.wantMembers(theirs)
	other.wantLoad(theirs, w, nil)
	s.wantLoad(id, v, driver.ErrRemoved)
	nobody := rand.Text()
	s.want(nil, nil)(s.Save(s.ctx, nobody, nil, v, long))
	s.wantLoad(nobody, v, nil)
}
