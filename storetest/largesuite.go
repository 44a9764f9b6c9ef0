package storetest

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sessionkv/session/driver"
)

// addingParts returns an open for withParts. It skips the test if the stores do not implement driver.Large.
func addingParts(t *testing.T, open func(t *testing.T) driver.Store) func(t *testing.T) driver.Store {
	if _, ok := open(t).(driver.Large); !ok {
		t.Skip("the store has no parts")
	}
	return func(t *testing.T) driver.Store {
		store := open(t)
		return withParts{store, store.(driver.Large)}
	}
}

// withParts is a store whose every save has a part, and whose every load is one of a value that has some.
type withParts struct {
	driver.Store
	driver.Large
}

func (s withParts) Load(ctx context.Context, id string, ttl time.Duration) ([]byte, error) {
	return s.LoadLarge(ctx, id, ttl)
}

func (s withParts) Save(ctx context.Context, id string, was, value []byte, ttl time.Duration) ([]byte, error) {
	return s.SaveLarge(ctx, id, was, value, ttl, newPart("1"))
}

func (s withParts) Advance(d time.Duration) { suite{Store: s.Store}.advance(d) }

// large is what a test of parts has: a store, and the ID of a session that is not in it.
type large struct {
	suite
	driver.Large
}

// newPart returns a part that has a name of its own.
func newPart(text string) driver.Part { return driver.Part{Name: rand.Text(), Text: []byte(text)} }

func (s large) saveParts(was, value []byte, parts ...driver.Part) ([]byte, error) {
	return s.SaveLarge(s.ctx, s.id, was, value, long, parts...)
}

// mustSaveParts saves, and expects success.
func (s large) mustSaveParts(was, value []byte, parts ...driver.Part) {
	s.Helper()
	s.mustSavePartsFor(was, value, long, parts...)
}

func (s large) mustSavePartsFor(was, value []byte, ttl time.Duration, parts ...driver.Part) {
	s.Helper()
	current, err := s.SaveLarge(s.ctx, s.id, was, value, ttl, parts...)
	if err != nil {
		s.Fatalf("SaveLarge = %.100q, %v; want success", current, err)
	}
}

// mustRemove removes the parts, or all, and expects success.
func (s large) mustRemove(parts ...driver.Part) {
	s.Helper()
	var names []string
	for _, part := range parts {
		names = append(names, part.Name)
	}
	if err := s.RemoveParts(s.ctx, s.id, names...); err != nil {
		s.Fatalf("RemoveParts = %v; want success", err)
	}
}

// wantParts checks that the parts are there.
func (s large) wantParts(parts ...driver.Part) {
	s.Helper()
	for _, part := range parts {
		s.want(part.Text, nil)(s.Part(s.ctx, s.id, part.Name))
	}
}

// wantNoPart checks that none of the parts is there.
func (s large) wantNoPart(parts ...driver.Part) {
	s.Helper()
	for _, part := range parts {
		s.want(nil, driver.ErrNotFound)(s.Part(s.ctx, s.id, part.Name))
	}
}

// withUsers skips the test if the store has no users. Else it returns them, and s has the ID of a user.
func (s *large) withUsers() users {
	knows, ok := s.Store.(driver.Users)
	if !ok {
		s.Skip("the store has no users")
	}
	u := users{s.suite, knows, newUser()}
	s.id = u.user + ":" + rand.Text()
	return u
}

func (s large) user() {
	u := s.withUsers()
	v, last, part, more := value("1"), value("last"), newPart("1"), newPart("2")
	s.mustSaveParts(nil, v, part, more)
	s.want(v, driver.ErrRemoved)(s.LoadLarge(s.ctx, s.id, long))
	u.wantIDs()(u.Add(s.ctx, u.entry(s.id)))
	s.want(v, nil)(s.LoadLarge(s.ctx, s.id, long))
	s.mustRemove(more)
	s.wantNoPart(more)
	s.wantParts(part)
	u.wantErr(nil, u.Remove(s.ctx, s.id))
	s.want(v, driver.ErrRemoved)(s.LoadLarge(s.ctx, s.id, long))
	s.wantParts(part) // until it is buried
	u.wantErr(nil, u.Bury(s.ctx, last, long, s.id))
	s.wantNoPart(part)
	s.want(last, driver.ErrRemoved)(s.LoadLarge(s.ctx, s.id, long))
}

func (s large) buryMany() {
	u := s.withUsers()
	const n = 250
	ids, parts, kept := make([]string, n), make([]driver.Part, n), newPart("kept")
	s.mustSaveParts(nil, value("1"), kept)
	one := s
	for i := range n {
		parts[i], ids[i] = newPart("1"), u.user+":"+rand.Text()
		if one.id = ids[i]; i%3 == 0 {
			one.mustSave(nil, value("1")) // without parts
		} else {
			one.mustSaveParts(nil, value("1"), parts[i])
		}
	}
	u.wantErr(nil, u.Bury(s.ctx, value("last"), long, ids...))
	for i := range n {
		one.id = ids[i]
		one.wantNoPart(parts[i])
	}
	s.wantParts(kept)
}

// names returns the names in the body of a value.
func names(value []byte) []string {
	_, body, _ := strings.Cut(string(value), `"body":"`)
	return strings.Fields(strings.TrimSuffix(body, `"}`))
}

// refer makes the value name a part, and reports whether it has won before it would have to try again more than tries
// times. Of those that try again, every other one stores the part again, as after a lost reply.
func (s large) refer(part driver.Part, tries int) (won bool, err error) {
	was, err := s.LoadLarge(s.ctx, s.id, long)
	for parts := []driver.Part{part}; err == nil && tries > 0; tries-- {
		all := append(names(was), part.Name)
		if was, err = s.saveParts(was, value(`"`+strings.Join(all, " ")+`"`), parts...); err == nil {
			return true, nil
		}
		if parts = nil; tries%2 == 0 {
			parts = []driver.Part{part}
		}
		if errors.Is(err, driver.ErrConflict) {
			err = nil
		}
	}
	return false, err
}

func (s large) concurrentSaves() {
	s.mustSaveParts(nil, value(`""`))
	var won atomic.Int32
	together(func(i int) {
		part, tries := newPart(strings.Repeat("x", 1000*i)), crowd
		if i%4 == 0 {
			tries = 1
		}
		ok, err := s.refer(part, tries)
		if err == nil && ok {
			won.Add(1)
		} else if err == nil { // it has lost, and cleans up
			err = s.RemoveParts(s.ctx, s.id, part.Name)
		}
		if err == nil {
			var text []byte
			text, err = s.Part(s.ctx, s.id, part.Name)
			if ok && (err != nil || len(text) != len(part.Text)) || !ok && !errors.Is(err, driver.ErrNotFound) {
				s.Errorf("Part = %d bytes, %v; the save was %t", len(text), err, ok)
			}
			err = s.findAll()
		}
		if err != nil {
			s.Error(err)
		}
	})
	got, err := s.load()
	if err != nil || len(names(got)) != int(won.Load()) {
		s.Errorf("%d saves have won, the value names %d parts, %v", won.Load(), len(names(got)), err)
	}
}

// findAll loads the value and each part that it names.
func (s large) findAll() error {
	current, err := s.LoadLarge(s.ctx, s.id, long)
	for _, name := range names(current) {
		if err == nil {
			_, err = s.Part(s.ctx, s.id, name)
		}
	}
	return err
}

func (s large) concurrentRemovals() {
	var parts []driver.Part
	for range crowd {
		parts = append(parts, newPart("1"))
	}
	v, kept := value("1"), newPart("2")
	s.mustSaveParts(nil, v, append(slices.Clone(parts), kept)...)
	together(func(i int) {
		err := s.RemoveParts(s.ctx, s.id, parts[i].Name, parts[(i+1)%crowd].Name)
		if err == nil {
			_, err = s.Part(s.ctx, s.id, kept.Name)
		}
		if err != nil {
			s.Error(err)
		}
	})
	s.wantNoPart(parts...)
	s.wantParts(kept)
}
