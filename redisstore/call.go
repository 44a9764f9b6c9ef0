package redisstore

import (
	"sync"
	"time"
)

// A call is what one caller wants done: commands that go out together.
type call struct {
	commands []Command
	size     int // about what it takes of maxBatch
	deadline time.Time
	alone    [1]*call
	done     chan struct{}

	first bool          // no other call of its kind was under way when it got its lane
	trip  time.Duration // if so, the time from its flush to its replies

	sent    bool
	replies []any  // nil until the server has answered
	room    [2]any // for replies: few calls have more commands
	lost    error
	err     error
}

// settle tells the caller that the outcome is there. From then on the call is the caller's again.
func (c *call) settle() {
	if c.done != nil {
		c.done <- struct{}{}
	}
}

// byItself returns the batch of c alone.
func (c *call) byItself() batch {
	c.alone[0] = c
	return c.alone[:]
}

// A batch is the calls that go out in one flush. Those that are settled are nil.
type batch []*call

// A waiter is what a caller in the queue waits with.
type waiter struct {
	done  chan struct{} // gets its one element when the outcome is there
	timer *time.Timer
}

var waiters = sync.Pool{New: func() any {
	return &waiter{make(chan struct{}, 1), time.NewTimer(time.Hour)}
}}
