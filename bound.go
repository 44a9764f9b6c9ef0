package session

import (
	"context"
	"sync"
	"time"
)

// boundContext is context.WithTimeout(context.WithoutCancel(values), timeout) that starts its timer when somebody first asks
// for Done: a store that sets the deadline on its connection never does, and costs no timer. The cancellation of values
// does not cut it short, so that a client that hangs up does not undo a save that is under way.
type boundContext struct {
	values   context.Context
	deadline time.Time

	mu    sync.Mutex
	timer context.Context
	stop  context.CancelFunc
}

func (b *boundContext) init(values context.Context, timeout time.Duration) {
	b.values, b.deadline = values, time.Now().Add(timeout)
}

// bound limits what is done for ctx to StoreTimeout. The caller releases it.
func (m *Manager) bound(ctx context.Context) *boundContext {
	b := &boundContext{}
	b.init(ctx, m.config.StoreTimeout)
	return b
}

func (b *boundContext) Deadline() (time.Time, bool) { return b.deadline, true }

func (b *boundContext) Value(key any) any { return b.values.Value(key) }

func (b *boundContext) Done() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.timer == nil {
		b.timer, b.stop = context.WithDeadline(context.WithoutCancel(b.values), b.deadline)
	}
	return b.timer.Done()
}

func (b *boundContext) Err() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.timer != nil:
		return b.timer.Err()
	case !time.Now().Before(b.deadline):
		return context.DeadlineExceeded
	}
	return nil
}

// release ends the timer, if there is one.
func (b *boundContext) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stop != nil {
		b.stop()
	}
}
