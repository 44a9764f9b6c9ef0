package storetest

import (
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sessionkv/session/driver"
)

// users is the equipment of a test about users: a store, and the name of a user that it does not know.
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

// mustMembers returns the IDs of the user.
func (s users) mustMembers() (ids []string) {
	s.Helper()
	members, err := s.Members(s.ctx, s.user)
	if err != nil {
		s.Fatal(err)
	}
	for _, m := range members {
		ids = append(ids, m.ID)
	}
	return ids
}
