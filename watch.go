package session

import (
	"context"
	"errors"
	"time"

	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/record"
	"github.com/sessionkv/session/internal/token"
)

// Watch returns a context that ends when the session does. [context.Cause] is ErrEnded if somebody has ended the
// session, if it has expired, or if its Lifetime is over. It is ErrRenewed if the session was renewed. The context also
// ends with ctx, and when the handler returns. It is for a stream or a WebSocket. Without it, these go on for as long
// as they are open.
//
// Once in each interval, Watch looks into the store as [Peek] does, which gives the session no more time to live. If a
// message of the client counts as use, call [Session.Sync]. If a look fails, Watch looks again after the interval, so
// that a store that is down ends no connection. Between two looks there is a timer and no goroutine. A session that was
// not yet saved is not watched. Call Watch once for a connection, because what each call needs is kept until the
// handler returns. It panics if the interval is not positive.
func (s *Session) Watch(ctx context.Context, interval time.Duration) context.Context {
	if interval <= 0 {
		panic("session: Session.Watch needs a positive interval")
	}
	ctx, cancel := context.WithCancelCause(ctx)
	s.lock()
	defer s.unlock()
	switch {
	case s.closed != nil:
		cancel(s.closed)
	case s.use.record.Over() != nil:
		cancel(s.use.record.Over())
	default:
		w := &watch{session: s, ctx: ctx, cancel: cancel, interval: interval}
		s.onClose = append(s.onClose, w.stop)
		if s.use.record.IsStored() {
			w.schedule(s.use.record.Reference())
		}
	}
	return ctx
}

// A watch looks whether the session of a connection still lives. The lock of the Session guards its timer. There is one
// look at a time.
type watch struct {
	session  *Session
	ctx      context.Context
	cancel   context.CancelCauseFunc
	interval time.Duration
	timer    *time.Timer
	missed   bool // the last look found nothing, and no reason for it
}

// secondLook is the pause before a second look for a user's session that is gone. The last word, which says why
// somebody has ended the session, comes a moment after the end.
const secondLook = 100 * time.Millisecond

// schedule plans the next look, no later than at the session's Deadline.
func (w *watch) schedule(ref token.Reference) {
	next := min(w.interval, max(time.Until(ref.Deadline), time.Millisecond))
	if w.missed {
		next = min(w.interval, secondLook)
	}
	if w.timer == nil {
		w.timer = time.AfterFunc(next, w.look)
		return
	}
	w.timer.Reset(next)
}

// stop ends the watch with the handler.
func (w *watch) stop(reason error) {
	w.cancel(reason)
	if w.timer != nil {
		w.timer.Stop()
	}
}

// look asks the store, without the lock, so that the handler does not wait for it.
func (w *watch) look() {
	ref, over := w.session.watched()
	if over == nil && w.ctx.Err() == nil {
		over = w.session.lookAt(w.ctx, ref)
	}
	w.missed = over == errUnexplained && !w.missed && driver.UserOf(ref.ID) != ""
	switch {
	case w.missed:
		over = nil
	case over == errUnexplained:
		over = ErrEnded
	}
	if over != nil {
		w.cancel(over)
	}
	w.session.lookLater(w)
}

// watched returns the session to look for, or why it is over.
func (s *Session) watched() (token.Reference, error) {
	s.lock()
	defer s.unlock()
	r := &s.use.record
	if r.Over() == nil && !r.IsStored() {
		return token.Reference{}, ErrEnded // by this request itself
	}
	return r.Reference(), r.Over()
}

// lookAt returns why the session is over. It returns nil if the session lives or if that is not known.
func (s *Session) lookAt(ctx context.Context, ref token.Reference) error {
	var bound boundContext
	bound.init(ctx, s.config.StoreTimeout)
	defer bound.release()
	var r record.Record
	r.Init(s.keeper)
	err := r.Peek(&bound, []token.Reference{ref})
	renewed := errors.Is(err, ErrRenewed) || r.IsLate()
	if !renewed && (err != nil || r.IsStored()) {
		return nil
	}
	s.lock()
	defer s.unlock()
	switch {
	case s.use.record.Reference() != ref:
		return nil // this request itself has renewed or ended it meanwhile: the next look is for what it has now
	case renewed:
		return ErrRenewed
	case r.WhyEnded() == 0:
		return errUnexplained
	}
	s.use.record.SetWhyEnded(r.WhyEnded())
	return ErrEnded
}

// errUnexplained is ErrEnded without a reason.
var errUnexplained = errors.New("session: ended, and nothing says why")

// lookLater plans the next look of a watch that has not ended.
func (s *Session) lookLater(w *watch) {
	s.lock()
	defer s.unlock()
	if s.closed == nil && w.ctx.Err() == nil {
		w.schedule(s.use.record.Reference())
	}
}
