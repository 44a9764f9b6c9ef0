package redisstore

import "sync"

// loads keeps the commands of loads, the most frequent operation, to be used again: their arguments cost an allocation
// each otherwise.
type loads struct{ pool sync.Pool }

// A load is GETEX key PX ttl.
type load struct {
	key      string
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
	c.key, c.args[0] = key, key
	if c.ttl != ttl {
		c.ttl, c.args[2] = ttl, ttl
	}
	return c
}

func (l *loads) put(c *load) { l.pool.Put(c) }
