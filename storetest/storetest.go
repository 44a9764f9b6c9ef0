// Package storetest tests implementations of [driver.Store].
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) driver.Store { return mystore.New(...) })
//	}
package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sessionkv/session/driver"
)

// Run tests that the stores that open returns keep every promise of [driver.Store], and of [driver.Users] and
// [driver.Large] if they have the methods. It calls open once for each of its parallel subtests. The stores may share
// their data, because every session and every user has a random ID.
//
// To test the time to live, Run sleeps for a few seconds. If the store has a method Advance(time.Duration) that makes
// time pass for the sessions of this one store, Run calls that instead. Parts may outlive their value by a second.
func Run(t *testing.T, open func(t *testing.T) driver.Store) {
	runStore(t, open)
	t.Run("users", func(t *testing.T) { runUsers(t, open) })
	t.Run("large", func(t *testing.T) { runLarge(t, open) })
	t.Run("each save with a part", func(t *testing.T) { runStore(t, addingParts(t, open)) })
}

// runStore tests what every store promises.
func runStore(t *testing.T, open func(t *testing.T) driver.Store) {
	for name, test := range map[string]func(suite){
		"what is not there is not found":                  suite.absent,
		"a new value is stored":                           suite.create,
		"a new value does not replace another":            suite.createTwice,
		"a value replaces the one that it was made from":  suite.replace,
		"a value does not replace another":                suite.conflict,
		"a value that is gone does not come back":         suite.gone,
		"repeating a save succeeds":                       suite.repeat,
		"values of one revision differ by their length":   suite.length,
		"values without a revision are compared in whole": suite.withoutRevision,
		"any bytes are stored":                            suite.bytes,
		"a large value is stored":                         suite.large,
		"delete returns the value":                        suite.delete,
		"delete removes no other value":                   suite.deleteOnly,
		"delete compares values without a revision":       suite.deleteWithoutRevision,
		"sessions are apart":                              suite.apart,
		"slices are neither kept nor changed":             suite.slices,
		"a value expires":                                 suite.expire,
		"a peek shows the value and its time to live":     suite.peek,
		"a peek gives no more time to live":               suite.peekKeeps,
		"a load gives more time to live":                  suite.loadRenews,
		"a load gives less time to live":                  suite.loadShortens,
		"a save gives more time to live":                  suite.saveRenews,
		"a save gives less time to live":                  suite.saveShortens,
		"no concurrent save is lost":                      suite.concurrentSaves,
		"one of concurrent new values is stored":          suite.concurrentCreates,
		"one of concurrent deletes gets the value":        suite.concurrentDeletes,
		"a delete is not undone by concurrent saves":      suite.deleteAmongSaves,
		"a delete takes no concurrent save with it":       suite.deleteOnlyAmongSaves,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			test(suite{T: t, Store: open(t), ctx: ctx, id: rand.Text()})
		})
	}
}

func (s suite) absent() {
	s.wantNothing()
	s.want(nil, driver.ErrNotFound)(s.remove())
	s.want(nil, driver.ErrNotFound)(s.save(value("1"), value("2")))
	s.wantNothing()
}

func (s suite) create() {
	v := value("1")
	s.mustSave(nil, v)
	s.wantStored(v)
}

func (s suite) createTwice() {
	first := value("1")
	s.mustSave(nil, first)
	s.want(first, driver.ErrConflict)(s.save(nil, value("2")))
	s.wantStored(first)
}

func (s suite) replace() {
	was := value("0")
	s.mustSave(nil, was)
	for i := range 5 {
		next := value(strings.Repeat("1", 1+i))
		s.mustSave(was, next)
		s.wantStored(next)
		was = next
	}
}

func (s suite) conflict() {
	first, second := value("1"), value("2")
	s.mustSave(nil, first)
	s.mustSave(first, second)
	for _, v := range [][]byte{value("3"), value("3333")} {
		s.want(second, driver.ErrConflict)(s.save(first, v))
		s.wantStored(second)
	}
}

func (s suite) gone() {
	v := value("1")
	s.mustSave(nil, v)
	s.want(v, nil)(s.remove())
	s.want(nil, driver.ErrNotFound)(s.save(v, value("2")))
	s.wantNothing()
}

func (s suite) repeat() {
	first, second := value("1"), value("22")
	for range 3 {
		s.mustSave(nil, first)
		s.wantStored(first)
	}
	for range 3 {
		s.mustSave(first, second)
		s.wantStored(second)
	}
	s.want(second, driver.ErrConflict)(s.save(nil, first))
}

func (s suite) length() {
	stored := []byte(`{"_rev":"one","n":1}`)
	longer := []byte(`{"_rev":"one","n":10}`) // as after an edit by hand
	s.mustSave(nil, longer)
	s.want(longer, driver.ErrConflict)(s.save(stored, value("2")))
	s.wantStored(longer)
	s.mustSave(longer, stored)
	s.wantStored(stored)
}

func (s suite) withoutRevision() {
	for _, format := range []string{
		`{"n":%s}`, `{"n":%s,"_rev":"one"}`, `{"_rev":1,"n":%s}`, `{"_rev":"","n":%s}`, `{ "_rev":"one","n":%s}`,
		`{"_rev":"a\"b","n":%s}`, `{"_rev":"%s`, `[%s]`, `%s`,
	} {
		s.id = rand.Text()
		one, two, three := fmt.Appendf(nil, format, "1"), fmt.Appendf(nil, format, "2"), fmt.Appendf(nil, format, "3")
		s.mustSave(nil, one)
		s.mustSave(one, two)
		s.mustSave(one, two) // a repeat
		s.want(two, driver.ErrConflict)(s.save(one, three))
		s.want(two, driver.ErrConflict)(s.save(one, value("4")))
		next := value("5")
		s.mustSave(two, next)
		s.mustSave(next, three)
		s.wantStored(three)
	}
}

func (s suite) bytes() {
	var all []byte
	for b := range 256 {
		all = append(all, byte(b), '\r', '\n')
	}
	was := append(value("1"), all...)
	s.mustSave(nil, was)
	s.wantStored(was)
	next := append(value("2"), all...)
	s.mustSave(was, next)
	s.wantStored(next)
	s.mustSave(next, all)
	s.mustSave(all, was)
	s.want(was, nil)(s.remove())
}

func (s suite) large() {
	body := `"` + strings.Repeat("x", 1<<20) + `"`
	first, second, third := value(body), value(body), value(body)
	s.mustSave(nil, first)
	s.mustSave(first, second)
	s.wantStored(second)
	s.want(second, driver.ErrConflict)(s.save(first, third))
	s.want(second, nil)(s.remove())
}

func (s suite) delete() {
	v := value("1")
	s.mustSave(nil, v)
	s.want(v, nil)(s.remove())
	s.want(nil, driver.ErrNotFound)(s.remove())
	s.wantNothing()
	s.mustSave(nil, v)
	s.wantStored(v)
}

func (s suite) deleteOnly() {
	first, second := value("1"), value("2")
	s.want(nil, driver.ErrNotFound)(s.removeOnly(first))
	s.mustSave(nil, first)
	s.mustSave(first, second)
	longer := append(bytes.Clone(second), ' ')
	for _, other := range [][]byte{first, value("3"), value("3333"), longer, {}} {
		s.want(second, driver.ErrConflict)(s.removeOnly(other))
		s.wantStored(second)
	}
	copied := bytes.Clone(second)
	got, err := s.removeOnly(second)
	s.want(copied, nil)(got, err)
	clear(got)
	if !bytes.Equal(second, copied) {
		s.Fatal("Delete returns the slice that it was given")
	}
	s.want(nil, driver.ErrNotFound)(s.removeOnly(second))
	s.want(nil, driver.ErrNotFound)(s.removeOnly([]byte{}))
	s.wantNothing()
}

func (s suite) deleteWithoutRevision() {
	for _, format := range []string{`{"n":%s}`, `{"_rev":1,"n":%s}`, `%s`} {
		one, two := fmt.Appendf(nil, format, "1"), fmt.Appendf(nil, format, "2")
		s.mustSave(nil, one)
		s.want(one, driver.ErrConflict)(s.removeOnly(two))
		s.want(one, nil)(s.removeOnly(one))
	}
	s.mustSave(nil, []byte{})
	s.want(nil, nil)(s.removeOnly([]byte{}))
	s.wantNothing()
}

func (s suite) apart() {
	mine, other := value("1"), value("2")
	s.mustSave(nil, mine)
	second := s
	second.id = s.id + "2"
	second.mustSave(nil, other)
	second.want(other, nil)(second.remove())
	s.wantStored(mine)
}

func (s suite) slices() {
	was, next := value("1"), value("2")
	wasCopy, nextCopy := bytes.Clone(was), bytes.Clone(next)
	s.mustSave(nil, was)
	s.mustSave(was, next)
	if !bytes.Equal(was, wasCopy) || !bytes.Equal(next, nextCopy) {
		s.Fatal("Save changed a slice that it was given")
	}
	clear(next)
	got, err := s.load()
	s.want(nextCopy, nil)(got, err)
	clear(got)
	s.wantStored(nextCopy)
	got, err = s.save(wasCopy, value("3"))
	s.want(nextCopy, driver.ErrConflict)(got, err)
	clear(got)
	s.wantStored(nextCopy)
}

func (s suite) expire() {
	v := value("1")
	s.mustSaveFor(nil, v, short)
	s.advance(short + short/2)
	s.want(nil, driver.ErrNotFound)(s.save(v, value("2")))
	s.want(nil, driver.ErrNotFound)(s.remove())
	s.wantNothing()
	s.mustSave(nil, value("3"))
}

func (s suite) peek() {
	if got, _, err := s.Peek(s.ctx, s.id); err != driver.ErrNotFound {
		s.Errorf("Peek of what is not there: %q, %v", got, err)
	}
	v := value("1")
	s.mustSave(nil, v)
	for range 2 {
		got, ttl, err := s.Peek(s.ctx, s.id)
		if err != nil || !bytes.Equal(got, v) || ttl > long || ttl < long-time.Minute {
			s.Errorf("Peek: %q, %v to live, %v", got, ttl, err)
		}
	}
	s.wantStored(v)
}

func (s suite) peekKeeps() {
	v := value("1")
	s.mustSaveFor(nil, v, short)
	if got, ttl, err := s.Peek(s.ctx, s.id); err != nil || !bytes.Equal(got, v) || ttl > short {
		s.Errorf("Peek: %q, %v to live, %v", got, ttl, err)
	}
	s.advance(short + short/2)
	if got, _, err := s.Peek(s.ctx, s.id); err != driver.ErrNotFound {
		s.Errorf("Peek of what has expired: %q, %v", got, err)
	}
	s.wantNothing()
}

func (s suite) loadRenews() {
	v := value("1")
	s.mustSaveFor(nil, v, short)
	s.wantStored(v)
	s.advance(short + short/2)
	s.wantStored(v)
}

func (s suite) loadShortens() {
	v := value("1")
	s.mustSave(nil, v)
	s.want(v, nil)(s.Load(s.ctx, s.id, short))
	s.advance(short + short/2)
	s.wantNothing()
}

func (s suite) saveRenews() {
	was, v := value("1"), value("2")
	s.mustSaveFor(nil, was, short)
	s.mustSave(was, v)
	s.advance(short + short/2)
	s.wantStored(v)
}

func (s suite) saveShortens() {
	was, v := value("1"), value("2")
	s.mustSave(nil, was)
	s.mustSaveFor(was, v, short)
	s.advance(short + short/2)
	s.wantNothing()
}
