package redisstore

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
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
// go out in one flush, again and again until none waits. Each caller goes on when its own reply is there.
//
// For small values there are as many lanes as processors, and two at least, so that one writes while Redis works for the
// other: with more of them fewer calls gather, and each costs this process and Redis more.
type lanes struct {
	small, large int // how many lanes there are for values of either kind
	run          func(ctx context.Context, calls batch)

	reply atomic.Int64 // about the size of a reply: how large the next one will be is not known before

	mu    sync.Mutex
	taken int
	queue []*call // that wait
}

// newLanes are lanes on at most limit connections; 0 is no limit.
func newLanes(limit int, run func(ctx context.Context, calls batch)) *lanes {
	if limit == 0 || limit > maxLanes {
		limit = maxLanes
	}
	return &lanes{small: min(limit, max(2, runtime.GOMAXPROCS(0))), large: limit, run: run}
}

// A call is what one caller wants done: commands that go out together.
type call struct {
	commands []Command
	deadline time.Time
	alone    [1]*call
	done     chan struct{}

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

// do runs the commands and returns their outcome, by the deadline of ctx.
func (l *lanes) do(ctx context.Context, commands []Command) (replies []any, lost, err error) {
	c := &call{commands: commands}
	if l.enter(c) {
		defer l.leave()
		l.run(ctx, c.byItself())
	} else if c.deadline, _ = ctx.Deadline(); !l.wait(c) {
		return nil, nil, context.DeadlineExceeded
	}
	l.learn(c)
	return c.replies, c.lost, c.err
}

// enter takes a lane if one is free. A small call that finds others waiting joins them all the same: they go out together.
func (l *lanes) enter(c *call) (entered bool) {
	size := l.size(c)
	l.mu.Lock()
	defer l.mu.Unlock()
	if size >= large {
		entered = l.taken < l.large
	} else {
		entered = l.taken < l.small && len(l.queue) == 0
	}
	if entered {
		l.taken++
	}
	return entered
}

// wait queues c and waits for its outcome. It is false if that has not come in time; then c belongs to the batch that it is in.
func (l *lanes) wait(c *call) bool {
	w := waiters.Get().(*waiter)
	w.timer.Reset(time.Until(c.deadline))
	c.done = w.done
	l.join(c)
	select {
	case <-w.done:
		w.timer.Stop()
		waiters.Put(w)
		return true
	case <-w.timer.C:
		return false // w.done may still get its element, so w is not used again
	}
}

func (l *lanes) join(c *call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue = append(l.queue, c)
	if l.taken == 0 { // the last lane was left since enter has looked
		l.taken++
		go l.drain()
	}
}

// leave gives the lane of a call to those that wait, on a goroutine of theirs: the caller has its reply.
func (l *lanes) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) == 0 {
		l.taken--
		return
	}
	go l.drain()
}

// drain runs batches on a lane until no call waits.
func (l *lanes) drain() {
	var calls batch
	for {
		var deadline time.Time
		if calls, deadline = l.take(calls[:0]); len(calls) == 0 {
			return
		}
		ctx, cancel := context.WithDeadline(context.Background(), deadline)
		l.run(ctx, calls)
		cancel()
	}
}

// take moves the calls of the next flush from the queue to calls, and returns the latest of their deadlines. If there are
// none, it frees the lane. A call whose deadline has passed is left out; its caller has gone.
func (l *lanes) take(calls batch) (_ batch, deadline time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, room, taken := time.Now(), maxBatch, 0
	for _, c := range l.queue {
		if c.deadline.After(now) {
			room -= l.size(c)
			if len(calls) > 0 && room < 0 {
				break
			}
			calls = append(calls, c)
			if c.deadline.After(deadline) {
				deadline = c.deadline
			}
		}
		taken++
	}
	l.queue = slices.Delete(l.queue, 0, taken)
	if len(calls) == 0 {
		l.taken--
	}
	return calls, deadline
}

// size is about what c takes of maxBatch.
func (l *lanes) size(c *call) int {
	size := callOverhead + int(l.reply.Load())
	for _, command := range c.commands {
		for _, arg := range command.Args {
			if value, ok := arg.([]byte); ok {
				size += len(value)
			}
		}
	}
	return size
}

// learn keeps a moving average of the size of replies. That two at once may count as one does no harm.
func (l *lanes) learn(c *call) {
	size := 0
	for _, reply := range c.replies {
		if value, ok := reply.([]byte); ok {
			size += len(value)
		}
	}
	average := l.reply.Load()
	l.reply.Store(average + (int64(size)-average)/8)
}
