package redisstore

import "sync"

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

// listName ends the key of a user's list. It stands where the key of a value has the member.
const listName = "user"

// of returns a load of the value of key, and its commands. member is "" if its ID has no user.
func (l *loads) of(key, member string, ttl int64) (*load, []Command) {
	c, ok := l.pool.Get().(*load)
	if !ok {
		c = &load{get: [3]any{1: "PX"}}
		keep, get := Command{"PEXPIRE", c.keep[:]}, Command{"GETEX", c.get[:]}
		c.ofUser = [3]Command{keep, {"ZRANK", c.rank[:]}, get}
		c.ofNobody = [2]Command{keep, get}
	}
	set(&c.get[0], key, "")
	if c.ttl != ttl {
		c.ttl, c.get[2] = ttl, ttl
	}
	if member == "" {
		return c, c.ofNobody[:]
	}
	set(&c.rank[0], key[:len(key)-len(member)], listName)
	set(&c.rank[1], member, "")
	return c, c.ofUser[:]
}

// set makes an argument of a text. It uses the memory of the argument before if the text has the same length.
func set(arg *any, begin, end string) {
	memory, _ := (*arg).([]byte)
	if len(memory) != len(begin)+len(end) || memory == nil {
		memory = make([]byte, len(begin)+len(end))
		*arg = memory
	}
	copy(memory[copy(memory, begin):], end)
}

func (l *loads) put(c *load) { l.pool.Put(c) }
