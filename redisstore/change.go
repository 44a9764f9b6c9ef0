package redisstore

import (
	"bytes"
	"slices"

	"github.com/sessionkv/session/driver"
)

// A change is one Save: value is to take the place of was.
type change struct {
	first      []Command // that go out ahead, in the same flush
	key        string
	was, value []byte
	ttl        int64
}

// behind returns the commands of the change, with first ahead of them.
func (c change) behind(commands []Command) []Command {
	if len(c.first) == 0 {
		return commands
	}
	return append(slices.Clip(c.first), commands...)
}

// outcome is that of a Save that did not find was. current is what is there instead. err is why there is no such value.
// lost is why the outcome of a first attempt is unknown. If current is the value of c, that attempt has put it there.
func (c change) outcome(current []byte, lost, err error) ([]byte, error) {
	switch {
	case err != nil:
		return nil, err
	case same(current, c.value):
		return nil, nil
	case lost != nil:
		return nil, lost
	}
	return current, driver.ErrConflict
}

// The answer to a change of what is there is the value that is there instead, nil if none is, or one of these.
const (
	changed = int64(1) // the new value is in its place, or the old one is deleted
	foreign = int64(2) // the key holds another type
	evicted = int64(3) // the staged value has gone
)

// revHead is how a value with a revision begins.
var revHead = []byte(`{"_rev":"`)

// head is the part of a value by which two values of one length are told apart, and the _rev in it: the beginning
// through the end of _rev, or the whole of a value that does not begin with one, as after an edit by hand.
func head(value []byte) (head, rev []byte) {
	if rest, ok := bytes.CutPrefix(value, revHead); ok {
		if n := bytes.IndexByte(rest, '"'); n > 0 && bytes.IndexByte(rest[:n], '\\') < 0 {
			return value[:len(revHead)+n+1], rest[:n]
		}
	}
	return value, nil
}

// span is where in a value its head is, such that a GETRANGE finds it in no value of another length: counted from the end,
// so that it moves with the length, as a value that begins with the head of another does not hold that head again. What
// is a head as a whole is looked for with one byte more.
func span(value []byte) (first, last int, start []byte) {
	start, rev := head(value)
	if rev == nil {
		return 0, len(value), start
	}
	return -len(value), len(start) - len(value) - 1, start
}

// same reports whether a and b are one value of one session.
func same(a, b []byte) bool {
	aHead, _ := head(a)
	bHead, _ := head(b)
	return len(a) == len(b) && bytes.Equal(aHead, bHead)
}
