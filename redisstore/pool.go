package redisstore

import (
	"context"
	"time"

	"github.com/gomodule/redigo/redis"
	"github.com/sessionkv/session/driver"
)

// defaultTimeout bounds a call whose context has no deadline.
const defaultTimeout = 3 * time.Second

// pool is the Client on a pool of redigo. The calls that run at the same time share its connections.
type pool struct {
	redis *redis.Pool
	lanes *lanes
	slots chan struct{} // holds an element for each connection in use; nil without MaxActive
}

func newPool(p *redis.Pool) *pool {
	shared := &pool{redis: p}
	shared.lanes = newLanes(p.MaxActive, shared.runBatch)
	if p.MaxActive > 0 {
		shared.slots = make(chan struct{}, p.MaxActive)
	}
	return shared
}

// enter waits until one more connection may be in use. The pool of redigo does so only if its Wait is set, and
// otherwise fails.
func (p *pool) enter(ctx context.Context) error {
	if p.slots == nil {
		return nil
	}
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *pool) leave() {
	if p.slots != nil {
		<-p.slots
	}
}

func (p *pool) Close() error { return p.redis.Close() }

// Do does not need the key: the pool knows one server.
func (p *pool) Do(ctx context.Context, _ string, commands ...Command) (replies []any, lost, err error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	return p.lanes.do(ctx, commands)
}

func withDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, defaultTimeout)
}

// runBatch sends the calls in one flush on one connection, and gives each its outcome.
func (p *pool) runBatch(ctx context.Context, calls batch) {
	_, err := run(ctx, p, calls)
	for _, c := range calls {
		if c != nil {
			c.err = err
			c.wake()
		}
	}
}

// runAlone runs a task that shares its connection with nothing.
func (p *pool) runAlone(ctx context.Context, t task) (lost, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	lost, err = run(ctx, p, t)
	if lost != nil {
		driver.Repeated(ctx)
	}
	return lost, err
}

// run runs t on a connection of the pool. If that connection turns out to be broken or outdated, t runs once more on a
// connection dialled for it, because the pool may hold more of the same. lost is then the failure of the first time, if
// it is unknown what Redis did.
//
// It is generic so that a batch becomes a task without an allocation.
func run[T task](ctx context.Context, p *pool, t T) (lost, err error) {
	if err := p.enter(ctx); err != nil {
		return nil, err
	}
	defer p.leave()
	deadline, _ := ctx.Deadline()
	conn, err := p.redis.GetContext(ctx)
	if err != nil {
		return nil, known(err)
	}
	err = t.runOn(lease{conn, deadline, nil})
	again, lost := verdict(conn, err)
	conn.Close()
	p.distrust(err)
	if !again {
		return nil, err
	}
	if conn, err = p.dial(ctx); err != nil {
		return lost, known(err)
	}
	defer conn.Close()
	err = t.runOn(lease{conn, deadline, lost})
	p.distrust(err)
	return lost, err
}

// verdict says whether a task that ended with err on conn is to run again on another connection. If so, it also says
// why it is unknown whether Redis has done it. A timeout is no reason to run again, because the time is used up.
func verdict(conn redis.Conn, err error) (again bool, lost error) {
	switch {
	case outdated(err):
		spoil(conn)
		return true, nil
	case conn.Err() != nil && !timeout(err) && !refusedWith(err, ""):
		return true, err
	}
	return false, nil
}

// distrust closes the idle connections of the pool if err is that of a timeout. A firewall or a failover may have cut
// off one connection without a word. Then it has probably cut off all that were idle, and each would cost a timeout.
func (p *pool) distrust(err error) {
	if !timeout(err) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel() // only a pool whose last idle connection another call takes in between may need the time
	for n := p.redis.IdleCount(); n > 0 && p.redis.IdleCount() > 0; n-- {
		conn, err := p.redis.GetContext(ctx)
		if err != nil {
			return
		}
		spoil(conn)
		conn.Close()
	}
}

// dial opens a connection that does not go into the pool.
func (p *pool) dial(ctx context.Context) (redis.Conn, error) {
	if p.redis.DialContext != nil {
		return p.redis.DialContext(ctx)
	}
	return p.redis.Dial()
}
