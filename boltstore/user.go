package boltstore

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"slices"
	"time"

	"github.com/sessionkv/session/driver"
)

// A user is what is known of one, without the IDs.
type user struct {
	listed  int64 // until when the IDs count
	stamped int64 // until when the stamp counts
	stamp   string
}

// kept is the user with a list that lives for d, or longer if it does already.
func (u user) kept(now int64, d time.Duration) user {
	u.listed = max(u.listed, after(now, d))
	return u
}

// stampTTL is how long a stamp lives after it was last asked for or changed. It is not written each time that it is asked
// for, so that it may be stampSlack less.
const (
	stampTTL   = 24 * time.Hour
	stampSlack = time.Hour
)

// known returns the user of this name.
func (t *tx) known(name string) (u user) {
	record := t.Bucket(users).Get([]byte(name))
	if len(record) < 16 {
		return user{}
	}
	u.listed, u.stamped = int64(binary.BigEndian.Uint64(record)), int64(binary.BigEndian.Uint64(record[8:]))
	if u.stamped > t.now {
		u.stamp = string(record[16:])
	}
	return u
}

// begin is known for a change: it also takes from the list what does not count any more.
func (t *tx) begin(name string) user {
	u := t.known(name)
	if u.listed <= t.now {
		for _, id := range t.members(name) {
			t.leave(id)
		}
	}
	return u
}

// know keeps the user.
func (t *tx) know(name string, u user) {
	record := binary.BigEndian.AppendUint64(make([]byte, 0, 16+len(u.stamp)), uint64(u.listed))
	record = binary.BigEndian.AppendUint64(record, uint64(u.stamped))
	t.put(users, []byte(name), append(record, u.stamp...))
	t.live(person, name, max(u.listed, u.stamped), 0)
}

// forget removes the user and the list.
func (t *tx) forget(name string) {
	for _, id := range t.members(name) {
		t.leave(id)
	}
	t.drop(users, []byte(name))
	t.die(person, name)
}

// stampAnew gives the user another stamp.
func (t *tx) stampAnew(u *user) {
	u.stamp = ""
	t.keepStamp(u)
}

// keepStamp lets the stamp live on, and makes one if there is none.
func (t *tx) keepStamp(u *user) {
	if u.stamp == "" {
		u.stamp = rand.Text()
	}
	u.stamped = after(t.now, stampTTL)
}

// counts reports whether id is in the list of its user. It is true for an ID without a user.
func (t *tx) counts(id string) bool {
	name := driver.UserOf(id)
	return name == "" || t.known(name).listed > t.now && t.isMember(id)
}

func (t *tx) isMember(id string) bool { return t.Bucket(members).Get([]byte(id)) != nil }

// add puts id at the end of the list of its user.
func (t *tx) add(id string) {
	t.enter(id, binary.BigEndian.AppendUint64(nil, t.next(members)))
}

func (t *tx) enter(id string, place []byte) { t.put(members, []byte(id), place) }

// rename puts id in the place of was, and reports whether was in the list.
func (t *tx) rename(was, id string) bool {
	place := t.Bucket(members).Get([]byte(was))
	if place == nil {
		return false
	}
	place = bytes.Clone(place)
	t.leave(was)
	t.enter(id, place)
	return true
}

// leave takes id from the list.
func (t *tx) leave(id string) { t.drop(members, []byte(id)) }

// living returns the list without the IDs that have no value any more.
func (t *tx) living(name string) (ids []string) {
	for _, id := range t.members(name) {
		if _, ok := t.life(session, id); ok {
			ids = append(ids, id)
		} else {
			t.leave(id)
		}
	}
	return ids
}

// members returns the IDs in the list of a user, in their order, also of a list that does not count any more.
func (t *tx) members(name string) (ids []string) {
	type member struct {
		id    string
		place uint64
	}
	var found []member
	prefix := []byte(name + ":")
	cursor := t.Bucket(members).Cursor()
	for id, place := cursor.Seek(prefix); bytes.HasPrefix(id, prefix); id, place = cursor.Next() {
		found = append(found, member{string(id), binary.BigEndian.Uint64(place)})
	}
	slices.SortFunc(found, func(a, b member) int { return cmp.Compare(a.place, b.place) })
	for _, m := range found {
		ids = append(ids, m.id)
	}
	return ids
}
