package redisstore

import (
	"context"
	"runtime"
	"sync"
	"time"
)

const (
	// maxLanes is how many connections callers with large values take before they share: company gains them nothing, and
	// each of them keeps a connection busy for long.
	maxLanes = 64

	// maxBatch is how many bytes, of commands and of replies as far as they can be guessed, go through one flush.
	maxBatch = 64 << 10

	// large is the size from which calls take lanes of their own.
	large = maxBatch / 4

	// callOverhead is what a small call takes of maxBatch.
	callOverhead = 256
)

// lanes let the calls that run at the same time share connections and flushes. A call that finds a lane free runs on its
// caller's goroutine, as if it were alone. The others wait, and as soon as a lane is free, those that have gathered by then
// go out in one flush, again and again until none waits.
//
// For small values there are as many lanes as processors, and two at least, so that one writes while Redis works for the
// other: with more of them fewer calls gather, and each costs this process and Redis more.
type lanes struct {
	small, large int // how many lanes there are for values of either kind
	run          func(ctx context.Context, calls *call)

	mu    sync.Mutex
	taken int
	first *call // that waits, with those that came later behind it
	last  *call
	reply int // about the size of a reply
}

// newLanes are lanes on at most limit connections; 0 is no limit.
func newLanes(limit int, run func(ctx context.Context, calls *call)) lanes {
	if limit == 0 || limit > maxLanes {
		limit = maxLanes
	}
	return lanes{small: min(limit, max(2, runtime.GOMAXPROCS(0))), large: limit, run: run}
}

// A call is what one caller wants done: commands that go out together.
type call struct {
	commands []Command
	deadline time.Time
	next     *call // in the queue, then in the batch

	replies []any  // nil until the server has answered
	room    [2]any // for replies: few calls have more commands
	lost    error
	err     error
	sent    int // how often
	done    chan struct{}
}

// A waiter is what a caller in the queue waits with.
type waiter struct {
	done  chan struct{} // gets its one element when the outcome is there
	timer *time.Timer
}

var waiters = sync.Pool{New: func() any {
	return &waiter{make(chan struct{}, 1), time.NewTimer(time.Hour)}
}}

// do runs the commands and returns their outcome, by the deadline of ctx.
func (l *lanes) do(ctx context.Context, commands []Command) (replies []any, lost, err error) {
	c := &call{commands: commands}
	if l.enter(c) {
		defer l.leave(c)
		l.run(ctx, c)
		return c.replies, c.lost, c.err
	}
	c.deadline, _ = ctx.Deadline()
	return l.wait(c)
}

// enter takes a lane if one is free. A small call that finds others waiting joins them all the same: they go out together.
func (l *lanes) enter(c *call) (entered bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.size(c) >= large {
		entered = l.taken < l.large
	} else {
		entered = l.taken < l.small && l.first == nil
	}
	if entered {
		l.taken++
	}
	return entered
}

// wait queues c and waits for its outcome.
func (l *lanes) wait(c *call) (replies []any, lost, err error) {
	w := waiters.Get().(*waiter)
	w.timer.Reset(time.Until(c.deadline))
	c.done = w.done
	l.queue(c)
	select {
	case <-w.done:
		w.timer.Stop()
		waiters.Put(w)
		return c.replies, c.lost, c.err
	case <-w.timer.C:
		return nil, nil, context.DeadlineExceeded // c, and with it w.done, belong to the batch that it is in
	}
}

func (l *lanes) queue(c *call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.first == nil {
		l.first = c
	} else {
		l.last.next = c
	}
	l.last = c
	if l.taken == 0 { // the last lane was left since enter has looked
		l.taken++
		go l.drain()
	}
}

// leave gives the lane of c to those that wait, on a goroutine of theirs: the caller of c has its reply.
func (l *lanes) leave(c *call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.learn(c)
	if l.first == nil {
		l.taken--
		return
	}
	go l.drain()
}

// drain runs batches on a lane until no call waits.
func (l *lanes) drain() {
	for batch, deadline := l.take(); batch != nil; batch, deadline = l.take() {
		ctx, cancel := context.WithDeadline(context.Background(), deadline)
		l.run(ctx, batch)
		cancel()
		l.finish(batch)
	}
}

// take returns the calls of the next flush, linked, and the latest of their deadlines. If there are none, it frees the lane.
// A call whose deadline has passed is left out; its caller has gone.
func (l *lanes) take() (batch *call, deadline time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	var last *call
	for room := maxBatch; l.first != nil; {
		c := l.first
		if c.deadline.After(now) {
			room -= l.size(c)
			if batch != nil && room < 0 {
				return batch, deadline
			}
			if batch == nil {
				batch = c
			} else {
				last.next = c
			}
			last = c
			if c.deadline.After(deadline) {
				deadline = c.deadline
			}
		}
		l.first = c.next
		c.next = nil
	}
	if batch == nil {
		l.taken--
	}
	return batch, deadline
}

func (l *lanes) finish(batch *call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := batch; c != nil; c = c.next {
		l.learn(c)
		c.done <- struct{}{}
	}
}

// size is about what c takes of maxBatch.
func (l *lanes) size(c *call) int {
	size := callOverhead + l.reply
	for _, command := range c.commands {
		for _, arg := range command.Args {
			if value, ok := arg.([]byte); ok {
				size += len(value)
			}
		}
	}
	return size
}

// learn keeps a moving average of the size of replies: how large the next one will be is not known before.
func (l *lanes) learn(c *call) {
	size := 0
	for _, reply := range c.replies {
		if value, ok := reply.([]byte); ok {
			size += len(value)
		}
	}
	l.reply += (size - l.reply) / 8
}
