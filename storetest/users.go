package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
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

// users is what a test of them has: a store, and the name of a user that it does not know.
type users struct {
	suite
	driver.Users
	user string
}

// newUser returns a name such as package session makes.
func newUser() string {
	name := make([]byte, 10)
	_, _ = rand.Read(name)
	return fmt.Sprintf("%x", name)
}

// stored stores the value of a new ID, and returns both.
func (s users) stored(ttl time.Duration) (id string, v []byte) {
	s.Helper()
	id, v = s.user+":"+rand.Text(), value("1")
	if _, err := s.Save(s.ctx, id, nil, v, ttl); err != nil {
		s.Fatalf("Save = %v", err)
	}
	return id, v
}

// added stores a value and adds its ID.
func (s users) added() (id string, v []byte) {
	s.Helper()
	id, v = s.stored(long)
	s.wantIDs()(s.Add(s.ctx, s.entry(id)))
	return id, v
}

func (s users) entry(id string) driver.Entry { return driver.Entry{ID: id, Keep: long} }

func (s users) limited(id string, limit int, refuse bool) driver.Entry {
	return driver.Entry{ID: id, Keep: long, Limit: limit, Refuse: refuse}
}

// wantIDs checks that a call succeeded and returned these IDs.
func (s users) wantIDs(want ...string) func(got []string, err error) {
	return func(got []string, err error) {
		s.Helper()
		if err != nil || !slices.Equal(got, want) {
			s.Fatalf("got %q, %v; want %q", got, err, want)
		}
	}
}

// wantMembers checks which IDs the user has.
func (s users) wantMembers(want ...string) {
	s.Helper()
	members, err := s.Members(s.ctx, s.user)
	var got []string
	for _, m := range members {
		got = append(got, m.ID)
	}
	s.wantIDs(want...)(got, err)
}

// wantErr checks an error.
func (s users) wantErr(want, got error) {
	s.Helper()
	if !errors.Is(got, want) {
		s.Fatalf("got %v; want %v", got, want)
	}
}

// wantLoad checks what is loaded and peeked at.
func (s users) wantLoad(id string, v []byte, err error) {
	s.Helper()
	got, _, peeked := s.Peek(s.ctx, id)
	s.want(v, err)(got, peeked)
	s.want(v, err)(s.Load(s.ctx, id, long))
}

func (s users) mustStamp() string {
	s.Helper()
	stamp, err := s.Stamp(s.ctx, s.user)
	if err != nil || stamp == "" {
		s.Fatalf("Stamp = %q, %v", stamp, err)
	}
	return stamp
}

// wantSameStamp checks whether the stamp is still was.
func (s users) wantSameStamp(was string, same bool) {
	s.Helper()
	if now := s.mustStamp(); (now == was) != same {
		s.Fatalf("the stamp was %q and is %q", was, now)
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

func (s users) expire() {
	id, v := s.stored(math.MaxInt32 * time.Second)
	s.wantIDs()(s.Add(s.ctx, driver.Entry{ID: id, Keep: short}))
	s.advance(short + short/2)
	s.wantLoad(id, v, driver.ErrRemoved)
	s.wantMembers()
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
