package redisstore

import (
	"sync"
	"time"
)

// A call is what one caller wants done: commands that go out together.
type call struct {
	commands []Command
	size     int // about what it takes of maxBatch

	// A call that waits with others has a deadline and a channel that tells its caller that it is done. For any other
	// call these fields are memory for a batch of itself.
	deadline time.Time
	done     chan bool
	single   [1]*call

	alone bool          // no other call of its kind was under way when it got its lane
	trip  time.Duration // of the first call in a flush, from that to its replies

	// The outcome.
	sent    bool
	replies []any  // nil until the server has answered
	memory  [2]any // for replies: few calls have more commands
	lost    error  // why it is unknown what came of the first time it was sent
	err     error
}

// wake tells the caller that the outcome is there. From then on the call is the caller's again.
func (c *call) wake() {
	if c.done != nil {
		c.done <- true
	}
}

// byItself returns the batch of c alone.
func (c *call) byItself() batch {
	c.single[0] = c
	return c.single[:]
}

// A batch is the calls that go out in one flush. Those that are done are nil.
type batch []*call

// A waiter is what a caller in the queue waits with. That is one channel, for a select of two costs more.
type waiter struct {
	done  chan bool // gets true when the outcome is there, and false when the time is up
	timer *time.Timer
}

var waiters = sync.Pool{New: func() any {
	w := &waiter{done: make(chan bool, 2)}
	w.timer = time.AfterFunc(time.Hour, func() { w.done <- false })
	return w
}}
