package redisstore

import (
	"sync"
)

// loads keeps the commands of loads to use them again, because loads are the most frequent operation. Otherwise the
// arguments of each would cost an allocation.
type loads struct{ pool sync.Pool }

// A load is GETEX key PX ttl. For the ID of a user, ZRANK list member goes ahead of it. The first command is a PEXPIRE of
// the parts, which is only for sessions that have some.
type load struct {
	ttl      int64
	keep     [2]any
	rank     [2]any // bytes in place of strings, which would be allocated anew as arguments
	get      [3]any
	ofUser   [3]Command
	ofNobody [2]Command
}

// of returns a load of the value of an ID, and its commands.
func (l *loads) of(prefix, id string, ttl int64) (*load, []Command) {
	c, ok := l.pool.Get().(*load)
	if !ok {
		c = &load{get: [3]any{1: "PX"}}
		keep, get := Command{"PEXPIRE", c.keep[:]}, Command{"GETEX", c.get[:]}
		c.ofUser = [3]Command{keep, {"ZRANK", c.rank[:]}, get}
		c.ofNobody = [2]Command{keep, get}
	}
	if c.ttl != ttl {
		c.ttl, c.get[2] = ttl, ttl
	}
	slot, user, end, rest := inSlot(id)
	set(&c.get[0], prefix, slot, user, end, rest)
	if user == "" {
		return c, c.ofNobody[:]
	}
	set(&c.rank[0], prefix, slot, user, end, ":", listName)
	set(&c.rank[1], member(id))
	return c, c.ofUser[:]
}

// set makes an argument of a text. It uses the memory of the argument before if the text has the same length.
func set(arg *any, parts ...string) {
	length := 0
	for _, part := range parts {
		length += len(part)
	}
	memory, _ := (*arg).([]byte)
	if len(memory) != length || memory == nil {
		memory = make([]byte, length)
		*arg = memory
	}
	for _, part := range parts {
		memory = memory[copy(memory, part):]
	}
}

func (l *loads) put(c *load) { l.pool.Put(c) }
