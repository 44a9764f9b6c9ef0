package redisstore

import "sync"

// loads keeps the commands of loads, the most frequent operation, to be used again: their arguments cost an allocation
// each otherwise.
type loads struct{ pool sync.Pool }

// A load is GETEX key PX ttl.
type load struct {
	key      []byte // in place of a string, which would be allocated anew as an argument
	ttl      int64
	args     [3]any
	commands [1]Command
}

func (l *loads) get(key string, ttl int64) *load {
	c, ok := l.pool.Get().(*load)
	if !ok {
		c = &load{args: [3]any{1: "PX"}}
		c.commands[0] = Command{"GETEX", c.args[:]}
	}
	if len(c.key) != len(key) {
		c.key = make([]byte, len(key))
		c.args[0] = c.key
	}
	copy(c.key, key)
	if c.ttl != ttl {
		c.ttl, c.args[2] = ttl, ttl
	}
	return c
}

func (l *loads) put(c *load) { l.pool.Put(c) }
