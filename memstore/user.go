package memstore

import (
	"crypto/rand"
	"slices"
	"time"

	"github.com/sessionkv/session/driver"
)

// A user is what a Store knows of one: which IDs count, in the order in which they were added.
type user struct {
	ids     []string
	listed  time.Time // until when ids count
	stamp   string
	stamped time.Time // until when the stamp counts
}

// stampTTL is how long a stamp lives after it was last asked for or changed.
const stampTTL = 24 * time.Hour

// keep lets the list live that long, or as long as it does already.
func (u *user) keep(now time.Time, d time.Duration) {
	if until := now.Add(d); until.After(u.listed) {
		u.listed = until
	}
}

// keepStamp lets the stamp live on, and makes one if there is none.
func (u *user) keepStamp(now time.Time) {
	if u.stamp == "" {
		u.stamp = rand.Text()
	}
	u.stamped = now.Add(stampTTL)
}

// restamp makes another stamp.
func (u *user) restamp(now time.Time) {
	u.stamp = ""
	u.keepStamp(now)
}

// users are those that a Store knows, by their names.
type users map[string]*user

// get returns the user of this name, and makes one if there is none.
func (all *users) get(name string, now time.Time) *user {
	u := all.known(name, now)
	if u == nil {
		all.sweep(now)
		u = new(user)
		if *all == nil {
			*all = make(users)
		}
		(*all)[name] = u
	}
	return u
}

// known returns the user of this name, or nil if there is none. It removes what of the user has expired.
func (all users) known(name string, now time.Time) *user {
	u := all[name]
	if u != nil && !now.Before(u.listed) {
		u.ids = nil
	}
	if u != nil && !now.Before(u.stamped) {
		u.stamp = ""
	}
	return u
}

// count reports whether an ID is one of its user's, if it is one of a user.
func (all users) count(id string, now time.Time) bool {
	name := driver.UserOf(id)
	if name == "" {
		return true
	}
	u := all.known(name, now)
	return u != nil && slices.Contains(u.ids, id)
}

// sweepStep is how many entries, and users, are looked at whenever one is added. It is more than the one that is added,
// so that all expired ones are removed in the end.
const sweepStep = 4

// sweep forgets a few users that have nothing any more, in the random order of a map.
func (all users) sweep(now time.Time) {
	looked := 0
	for name := range all {
		if u := all.known(name, now); len(u.ids) == 0 && u.stamp == "" {
			delete(all, name)
		}
		if looked++; looked == sweepStep {
			return
		}
	}
}
