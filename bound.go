package session

import (
	"context"
	"sync"
	"time"

	"github.com/sessionkv/session/internal/repeats"
)

// contextKey is the key of a request's exchange in its context.
type contextKey struct{}

// boundContext is the context that a store gets. It has the values of another context, but not its end, and has a
// deadline of its own. A client that hangs up does not undo a save that is under way.
//
// It leads to no Session. The store, and the logger that gets the context too, are called while the Session is locked.
// If they asked a Session for something, they would wait for ever.
//
// Its timer starts when somebody first asks for Done. A store that sets the deadline on its connection never does that,
// and costs no timer.
type boundContext struct {
	values   context.Context
	deadline time.Time

	repeats repeats.Counter

	mu    sync.Mutex
	timer context.Context
	stop  context.CancelFunc
}

// withoutSession returns a context with the values of ctx that leads to no Session.
func withoutSession(ctx context.Context) context.Context {
	return context.WithValue(ctx, contextKey{}, nil)
}

// init limits the work for ctx to timeout. The caller releases b.
func (b *boundContext) init(ctx context.Context, timeout time.Duration) {
	b.values, b.deadline = ctx, time.Now().Add(timeout)
}

// obey makes b end no later than the deadline of ctx.
func (b *boundContext) obey(ctx context.Context) {
	if sooner, ok := ctx.Deadline(); ok && sooner.Before(b.deadline) {
		b.deadline = sooner
	}
}

func (b *boundContext) Deadline() (time.Time, bool) { return b.deadline, true }

func (b *boundContext) Value(key any) any {
	switch key {
	case contextKey{}, causeKey:
		return nil
	case repeats.Key{}:
		return &b.repeats
	}
	return b.values.Value(key)
}

// causeKey is the key by which context.Cause asks a context. A boundContext does not answer with the end of its values,
// because that is not its own end. This is context.WithoutCancel without its allocation.
var causeKey = func() any {
	var asked keyRecorder
	_ = context.Cause(&asked)
	return asked.key
}()

// A keyRecorder notes which key it was asked for last.
type keyRecorder struct {
	boundContext
	key any
}

func (r *keyRecorder) Value(key any) any {
	r.key = key
	return nil
}

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
