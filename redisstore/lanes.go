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
	// maxLanes is how many connections the calls of one kind take at most before they share.
	maxLanes = 64

	// maxBatch is how many bytes, of commands and of replies as far as they can be guessed, go through one flush.
	maxBatch = 64 << 10

	// large is the size from which a call counts as large.
	large = maxBatch / 4

	// callOverhead is what a small call takes of maxBatch.
	callOverhead = 256

	// laneFor is the part of a round trip for which small calls have a lane: about what one more flush costs, and the
	// longest that a call should wait for a lane.
	laneFor = 100 * time.Microsecond
)

// lanes let the calls that run at the same time share connections and flushes. A call that finds a lane free runs on its
// caller's goroutine, as if it were alone. The others wait, and as soon as a lane is free, those that have gathered by
// then go out in one flush, again and again until none waits. Each caller goes on when its own reply is there.
//
// For small calls there are as many lanes as processors, and two at least, so that one writes while Redis works for the
// other: with more of them fewer calls gather, and each costs this process and Redis more. Where Redis is far, a lane is
// busy with waiting, and there are as many as it takes for one to be free soon. Large calls gain nothing from company,
// and each keeps a connection busy for long. They have many lanes, and neither kind waits for the other.
type lanes struct {
	small, large group
	least, most  int // lanes for small calls

	reply atomic.Int64 // about the size of a reply: how large the next one will be is not known before
	trip  atomic.Int64 // about the shortest time between a flush and its first reply
}

// newLanes are lanes on at most limit connections, half of them for each kind; 0 is no limit.
func newLanes(limit int, run func(ctx context.Context, calls batch)) *lanes {
	each := maxLanes
	if limit > 0 {
		each = min(each, (limit+1)/2)
	}
	least := min(each, max(2, runtime.GOMAXPROCS(0)))
	return &lanes{
		small: group{limit: least, run: run},
		large: group{limit: each, run: run},
		least: least,
		most:  each,
	}
}

// do runs the commands and returns their outcome, by the deadline of ctx.
func (l *lanes) do(ctx context.Context, commands []Command) (replies []any, lost, err error) {
	c := &call{commands: commands, size: l.size(commands)}
	if !l.kind(c).do(ctx, c) {
		return nil, nil, context.DeadlineExceeded
	}
	l.learn(c)
	if c.trip > 0 && l.kind(c) == &l.small {
		l.measure(c.trip, c.alone)
	}
	return c.replies, c.lost, c.err
}

// size is about what a call of these commands takes of maxBatch.
func (l *lanes) size(commands []Command) int {
	size := callOverhead + int(l.reply.Load())
	for _, command := range commands {
		for _, arg := range command.Args {
			if value, ok := arg.([]byte); ok {
				size += len(value)
			}
		}
	}
	if readsPart(commands) {
		size += large
	}
	return size
}

// readsPart reports whether the reply is a part. It counts as large: parts are kept beside values for their size.
func readsPart(commands []Command) bool { return commands[len(commands)-1].Name == "HGET" }

// kind is the group of lanes for calls such as c.
func (l *lanes) kind(c *call) *group {
	if c.size >= large {
		return &l.large
	}
	return &l.small
}

// learn keeps a moving average of the size of replies, of which that of a part says nothing. That two at once may count as
// one does no harm.
func (l *lanes) learn(c *call) {
	if readsPart(c.commands) {
		return
	}
	size := 0
	for _, reply := range c.replies {
		if value, ok := reply.([]byte); ok {
			size += len(value)
		}
	}
	average := l.reply.Load()
	l.reply.Store(average + (int64(size)-average)/8)
}

// measure makes the number of lanes follow the round trip. What is longer than before may be so because somebody else
// keeps Redis or this process busy, and more lanes would make that worse. So it counts for little, and only that of a
// call that was alone counts. What is shorter shows how near Redis is, whoever it was.
func (l *lanes) measure(trip time.Duration, alone bool) {
	if known := time.Duration(l.trip.Load()); known > 0 {
		if trip >= known && !alone {
			return
		}
		trip = min(trip, known+known/64)
	}
	l.trip.Store(int64(trip))
	l.small.resize(min(l.most, max(l.least, int(trip/laneFor))))
}

// A group is the lanes for calls of one kind.
type group struct {
	run   func(ctx context.Context, calls batch)
	limit int // how many lanes there are

	mu sync.Mutex

	// taken is how many lanes are in use. As long as a call waits, at least one is, and whoever has it runs the calls
	// that wait when its own are done.
	taken int
	queue []*call // that wait
}

// do runs c by the deadline of ctx. It is false if the time is up before; then c belongs to the batch that it is in.
func (g *group) do(ctx context.Context, c *call) bool {
	if g.enter(c) {
		defer g.leave()
		g.run(ctx, c.byItself())
		return true
	}
	c.deadline, _ = ctx.Deadline()
	return g.wait(c)
}

// resize changes how many lanes there are. Those that are too many are given up when their calls are done.
func (g *group) resize(limit int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.limit = limit
}

// enter takes a lane if one is free. A call that finds others waiting joins them all the same: they go out together.
func (g *group) enter(c *call) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.taken >= g.limit || len(g.queue) > 0 {
		return false
	}
	g.taken++
	c.alone = g.taken == 1
	return true
}

// wait queues c and waits for its outcome. It is false if that has not come in time.
func (g *group) wait(c *call) bool {
	w := waiters.Get().(*waiter)
	w.timer.Reset(time.Until(c.deadline))
	c.done = w.done
	g.join(c)
	inTime := <-w.done
	if inTime && w.timer.Stop() {
		waiters.Put(w) // else w.done may still get an element
	}
	return inTime
}

// join queues c, and takes a lane for the queue if one is free.
func (g *group) join(c *call) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.queue = append(g.queue, c)
	if g.taken < g.limit {
		g.taken++
		go g.drain()
	}
}

// leave gives the lane of a call to those that wait, on a goroutine of theirs: the caller has its reply.
func (g *group) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.queue) == 0 || g.taken > g.limit {
		g.taken--
		return
	}
	go g.drain()
}

// drain runs batches on a lane until no call waits. Unless there are more calls than fit in one, those whose callers can
// run now go along: each flush costs as much as several calls.
func (g *group) drain() {
	var calls batch
	full := false
	for {
		if !full {
			runtime.Gosched()
		}
		var deadline time.Time
		if calls, deadline, full = g.take(calls[:0]); len(calls) == 0 {
			return
		}
		ctx, cancel := context.WithDeadline(context.Background(), deadline)
		g.run(ctx, calls)
		cancel()
	}
}

// take moves the calls of the next flush from the queue to calls, and returns the latest of their deadlines, and
// whether others are left. If there are none, or too many lanes, it frees the lane. A call whose deadline has passed is left
// out; its caller has gone.
func (g *group) take(calls batch) (_ batch, deadline time.Time, full bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.taken > g.limit {
		g.taken--
		return calls, deadline, false
	}
	now, room, seen := time.Now(), maxBatch, 0
	for _, c := range g.queue {
		if c.deadline.After(now) {
			room -= c.size
			if len(calls) > 0 && room < 0 {
				break
			}
			calls = append(calls, c)
			if c.deadline.After(deadline) {
				deadline = c.deadline
			}
		}
		seen++
	}
	g.queue = slices.Delete(g.queue, 0, seen)
	if len(calls) == 0 {
		g.taken--
	}
	return calls, deadline, len(g.queue) > 0
}
