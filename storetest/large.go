package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/sessionkv/session/driver"
)

// runLarge tests the stores if they implement driver.Large.
func runLarge(t *testing.T, open func(t *testing.T) driver.Store) {
	if _, ok := open(t).(driver.Large); !ok {
		t.Skip("the store has no parts")
	}
	for name, test := range map[string]func(large){
		"a part that is not there is not found":             large.absent,
		"any bytes are a part":                              large.bytes,
		"parts of many saves are there":                     large.manySaves,
		"repeating a save with a part succeeds":             large.repeat,
		"the parts of a save in conflict are there":         large.conflict,
		"parts of sessions are apart":                       large.apart,
		"some parts are removed":                            large.removeSome,
		"all parts are removed":                             large.removeAll,
		"what was removed does not come back":               large.stayRemoved,
		"slices of parts are neither kept nor changed":      large.slices,
		"parts expire":                                      large.expire,
		"a load gives parts more time to live":              large.loadRenews,
		"a load gives parts less time to live":              large.loadShortens,
		"a save gives all parts more time to live":          large.saveRenews,
		"a save gives all parts less time to live":          large.saveShortens,
		"a user's parts are loaded, removed and buried":     large.user,
		"parts of many are buried":                          large.buryMany,
		"concurrent saves store the parts that they name":   large.concurrentSaves,
		"concurrent removals take no other parts with them": large.concurrentRemovals,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			store := open(t)
			test(large{suite{T: t, Store: store, ctx: ctx, id: rand.Text()}, store.(driver.Large)})
		})
	}
}

func (s large) absent() {
	part := newPart("1")
	s.wantNoPart(part)
	s.mustRemove()
	s.mustRemove(part)
	s.want(nil, driver.ErrNotFound)(s.LoadLarge(s.ctx, s.id, long))
	s.want(nil, driver.ErrNotFound)(s.saveParts(value("1"), value("2"), part))
	v := value("1")
	s.mustSave(nil, v) // without parts
	s.want(v, nil)(s.LoadLarge(s.ctx, s.id, long))
	s.wantNoPart(newPart("2"))
	s.mustRemove()
	s.mustSaveParts(v, value("2"))
	s.wantNoPart(newPart("2"))
}

func (s large) bytes() {
	var all []byte
	for b := range 256 {
		all = append(all, byte(b), '\r', '\n')
	}
	parts := []driver.Part{newPart(""), newPart(string(all)), newPart(strings.Repeat("x", 1<<20)), newPart("$-1\r\n")}
	v := value("1")
	s.mustSaveParts(nil, v, parts...)
	s.wantParts(parts...)
	s.want(v, nil)(s.LoadLarge(s.ctx, s.id, long))
	s.wantStored(v)
}

func (s large) manySaves() {
	var (
		was   []byte
		parts []driver.Part
	)
	for range 5 {
		next, more := value("1"), []driver.Part{newPart("1"), newPart("2")}
		s.mustSaveParts(was, next, more...)
		was, parts = next, append(parts, more...)
		s.wantParts(parts...)
	}
	next := value("2")
	s.mustSave(was, next)
	s.wantStored(next)
	s.wantParts(parts...)
}

func (s large) repeat() {
	first, second, one, two := value("1"), value("2"), newPart("1"), newPart("2")
	for range 3 {
		s.mustSaveParts(nil, first, one)
		s.wantParts(one)
	}
	for range 3 {
		s.mustSaveParts(first, second, two)
		s.wantParts(one, two)
	}
}

func (s large) conflict() {
	first, second := value("1"), value("2")
	s.mustSaveParts(nil, first)
	s.mustSaveParts(first, second)
	one, two := newPart("1"), newPart("2")
	s.want(second, driver.ErrConflict)(s.saveParts(nil, value("3"), one))
	s.want(second, driver.ErrConflict)(s.saveParts(first, value("3"), two))
	s.wantParts(one, two)
	s.wantStored(second)
	s.mustSaveParts(second, value("4")) // its parts are there already
	s.wantParts(one, two)
}

func (s large) apart() {
	other := s
	other.id = s.id + "2"
	mine := newPart("1")
	theirs := driver.Part{Name: mine.Name, Text: []byte("2")}
	s.mustSaveParts(nil, value("1"), mine)
	other.wantNoPart(mine)
	other.mustSaveParts(nil, value("2"), theirs)
	s.wantParts(mine)
	other.wantParts(theirs)
	s.mustRemove()
	s.wantNoPart(mine)
	other.wantParts(theirs)
}

func (s large) removeSome() {
	v, parts := value("1"), []driver.Part{newPart("1"), newPart("2"), newPart("3"), newPart("4")}
	s.mustSaveParts(nil, v, parts...)
	s.mustRemove(parts[0])
	s.wantNoPart(parts[0])
	s.wantParts(parts[1:]...)
	s.mustRemove(parts[0], newPart("5"), parts[1], parts[2])
	s.wantNoPart(parts[:3]...)
	s.wantParts(parts[3])
	s.mustRemove(parts[3])
	s.wantNoPart(parts...)
	s.want(v, nil)(s.LoadLarge(s.ctx, s.id, long))
}

func (s large) removeAll() {
	v, parts := value("1"), []driver.Part{newPart("1"), newPart("2")}
	s.mustSaveParts(nil, v, parts...)
	s.mustRemove()
	s.wantNoPart(parts...)
	s.mustRemove()
	s.want(v, nil)(s.LoadLarge(s.ctx, s.id, long))
	s.want(v, nil)(s.remove())
	s.mustRemove()
}

func (s large) stayRemoved() {
	first, second, part, all := value("1"), value("2"), newPart("1"), newPart("2")
	s.mustSaveParts(nil, first, part, all)
	s.mustRemove(part)
	s.mustSaveParts(first, second, newPart("3"))
	s.wantNoPart(part)
	s.wantParts(all)
	s.mustRemove()
	s.mustSaveParts(second, value("3"), newPart("4"))
	s.wantNoPart(part, all)
	s.mustRemove()
	_, _ = s.remove()
	s.mustSaveParts(nil, value("4"), newPart("5"))
	s.wantNoPart(part, all)
}

func (s large) slices() {
	first, second, part := value("1"), value("2"), newPart("one")
	copied := driver.Part{Name: part.Name, Text: bytes.Clone(part.Text)}
	s.mustSaveParts(nil, first, part)
	if !bytes.Equal(part.Text, copied.Text) {
		s.Fatal("SaveLarge changed a slice that it was given")
	}
	clear(part.Text)
	got, err := s.Part(s.ctx, s.id, part.Name)
	s.want(copied.Text, nil)(got, err)
	clear(got)
	s.wantParts(copied)
	got, err = s.LoadLarge(s.ctx, s.id, long)
	s.want(first, nil)(got, err)
	clear(got)
	s.want(first, driver.ErrConflict)(s.saveParts(second, value("3")))
}

// expireParts makes as much time pass as a store may keep parts longer than a value that lives for short.
func (s large) expireParts() { s.advance(2*short + short/2) }

func (s large) expire() {
	part := newPart("1")
	s.mustSavePartsFor(nil, value("1"), short, part)
	s.expireParts()
	s.wantNoPart(part)
	s.want(nil, driver.ErrNotFound)(s.LoadLarge(s.ctx, s.id, long))
	s.mustSaveParts(nil, value("2"), newPart("2"))
	s.wantNoPart(part)
}

func (s large) loadRenews() {
	v, part := value("1"), newPart("1")
	s.mustSavePartsFor(nil, v, short, part)
	s.want(v, nil)(s.LoadLarge(s.ctx, s.id, long))
	s.expireParts()
	s.wantParts(part)
	s.want(v, nil)(s.LoadLarge(s.ctx, s.id, long))
}

func (s large) loadShortens() {
	v, part := value("1"), newPart("1")
	s.mustSaveParts(nil, v, part)
	s.want(v, nil)(s.LoadLarge(s.ctx, s.id, short))
	s.expireParts()
	s.wantNoPart(part)
}

func (s large) saveRenews() {
	first, second, part := value("1"), value("2"), newPart("1")
	s.mustSavePartsFor(nil, first, short, part)
	s.mustSaveParts(first, second)
	s.expireParts()
	s.wantParts(part)
	s.wantStored(second)
}

func (s large) saveShortens() {
	first, part, more := value("1"), newPart("1"), newPart("2")
	s.mustSaveParts(nil, first, part)
	s.mustSavePartsFor(first, value("2"), short, more)
	s.expireParts()
	s.wantNoPart(part, more)
}
