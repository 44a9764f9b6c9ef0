package redisstore

import "sync"

// loads keeps the commands of loads, the most frequent operation, to be used again: their arguments cost an allocation
// each otherwise.
type loads struct{ pool sync.Pool }

// A load is GETEX key PX ttl, and ahead of it, for the ID of a user, ZRANK list member.
type load struct {
	ttl      int64
	rank     [2]any // bytes in place of strings, which would be allocated anew as arguments
	get      [3]any
	commands [2]Command
}

// listName is how the key of a user's list ends, in place of the member in that of a value.
const listName = "user"

// of returns a load of the value of key. member is "" if its ID has no user.
func (l *loads) of(key, member string, ttl int64) *load {
	c, ok := l.pool.Get().(*load)
	if !ok {
		c = &load{get: [3]any{1: "PX"}}
		c.commands = [2]Command{{"ZRANK", c.rank[:]}, {"GETEX", c.get[:]}}
	}
	set(&c.get[0], key, "")
	if c.ttl != ttl {
		c.ttl, c.get[2] = ttl, ttl
	}
	if member != "" {
		set(&c.rank[0], key[:len(key)-len(member)], listName)
		set(&c.rank[1], member, "")
	}
	return c
}

// set makes an argument of a text, in the memory of the one before if that has its length.
func set(arg *any, begin, end string) {
	memory, _ := (*arg).([]byte)
	if len(memory) != len(begin)+len(end) || memory == nil {
		memory = make([]byte, len(begin)+len(end))
		*arg = memory
	}
	copy(memory[copy(memory, begin):], end)
}

func (l *loads) put(c *load) { l.pool.Put(c) }
