package record

import (
	"reflect"
	"runtime"
	"slices"

	"github.com/sessionkv/session/internal/object"
	"github.com/sessionkv/session/internal/value"
)

// A change is one thing that the request did to the members, kept to be done again on a newer value.
type change struct {
	kind   changeKind
	key    string                                    // of all kinds but clearing
	raw    []byte                                    // of setting, and a large of settingLarge
	update func(raw []byte, ok bool) ([]byte, error) // of updating
}

type changeKind uint8

const (
	setting changeKind = iota
	updating
	deleting
	clearing
	settingLarge
	deletingLarge
)

// isLarge reports whether its key is that of a large value.
func (c *change) isLarge() bool { return c.kind == settingLarge || c.kind == deletingLarge }

func (c *change) do(members *object.Object) error {
	switch c.kind {
	case setting:
		members.Set(c.key, c.raw)
	case updating:
		old, ok := members.Get(c.key)
		raw, err := runUpdate(c.update, old, ok)
		if err != nil {
			return err
		}
		if raw == nil {
			members.Delete(c.key)
		} else {
			members.Set(c.key, raw)
		}
	case deleting:
		members.Delete(c.key)
	case clearing:
		value.DeleteVisible(members)
		members.Delete(largeKey)
	case settingLarge, deletingLarge:
		return changeLarge(members, c.key, c.raw)
	}
	return nil
}

// runUpdate stands on the stack of a goroutine as long as it is in a function that was given to Update, and for no other
// reason. So InUpdate tells it from one that merely waits for such a function of another goroutine.
//
//go:noinline
func runUpdate(update func(raw []byte, ok bool) ([]byte, error), raw []byte, ok bool) ([]byte, error) {
	return update(raw, ok)
}

var updateEntry = reflect.ValueOf(runUpdate).Pointer()

// InUpdate reports whether the calling goroutine is in a function that was given to Update.
func InUpdate() bool {
	callers := make([]uintptr, 64)
	n := runtime.Callers(1, callers)
	for n == len(callers) {
		callers = make([]uintptr, 2*n)
		n = runtime.Callers(1, callers)
	}
	frames := runtime.CallersFrames(callers[:n])
	for {
		frame, more := frames.Next()
		if frame.Entry == updateEntry {
			return true
		}
		if !more {
			return false
		}
	}
}

// changes are those since the last save, in order.
type changes struct {
	list  []change
	sent  int // how many at the front are in a save of unknown outcome, which is going to be repeated as it was
	limit int // the length at which list is compacted next
}

// minCompact is the shortest list that is worth compacting.
const minCompact = 64

func (c *changes) add(next change) {
	if len(c.list) >= max(c.limit, minCompact) {
		c.compact()
		c.limit = 2 * len(c.list)
	}
	c.list = append(c.list, next)
}

// compact drops changes that later ones make pointless: what was done to a key before it was set or deleted, or before
// all were cleared. So a stream that sets the same keys for hours keeps no more than one change for each.
func (c *changes) compact() {
	type name struct {
		key   string
		large bool
	}
	replaced, cleared := make(map[name]bool), false
	kept := c.list[:0:0]
	for _, change := range slices.Backward(c.list[c.sent:]) {
		what := name{change.key, change.isLarge()}
		if cleared || replaced[what] && change.kind != clearing {
			continue
		}
		kept = append(kept, change)
		switch change.kind {
		case setting, deleting, settingLarge, deletingLarge:
			replaced[what] = true
		case clearing:
			cleared = true
		}
	}
	slices.Reverse(kept)
	c.list = append(c.list[:c.sent:c.sent], kept...)
}

// doAgain makes the changes on members.
func (c *changes) doAgain(members *object.Object) error {
	for i := range c.list {
		if err := c.list[i].do(members); err != nil {
			return err
		}
	}
	return nil
}

// send marks all changes as those of a save of unknown outcome.
func (c *changes) send() { c.sent = len(c.list) }

// dropSent forgets the changes of the save that was of unknown outcome.
func (c *changes) dropSent() {
	c.list = slices.Clone(c.list[c.sent:])
	c.sent = 0
}

// dropLast forgets the latest change. It is false if that is in a save of unknown outcome, or if there is none.
func (c *changes) dropLast() bool {
	if len(c.list) == c.sent {
		return false
	}
	c.list = c.list[:len(c.list)-1]
	return true
}

func (c *changes) drop() { *c = changes{} }

func (c *changes) areNone() bool { return len(c.list) == 0 }

// removeTouched removes from members what any of the changes concerns.
func (c *changes) removeTouched(members *object.Object) {
	for i := range c.list {
		switch change := &c.list[i]; {
		case change.kind == clearing:
			*members = object.Object{}
			return
		case change.isLarge():
			_ = changeLarge(members, change.key, nil) // cannot fail, for it removes
		default:
			members.Delete(change.key)
		}
	}
}
