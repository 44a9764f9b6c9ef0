package session

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/sessionkv/session/internal/record"
)

// An observer calls Config.Observe.
type observer struct {
	observe func(ctx context.Context, e Event)
	logger  *slog.Logger
	failed  sync.Once
}

// newObserver returns the function that a Keeper tells its Acts. It is nil if nobody observes.
func newObserver(c Config) func(context.Context, record.Act) {
	if c.Observe == nil {
		return nil
	}
	o := &observer{observe: c.Observe, logger: c.Logger}
	return o.tell
}

// tell shows an Act to the function of the application. If that panics, the request does not.
func (o *observer) tell(ctx context.Context, act record.Act) {
	defer func() {
		if v := recover(); v != nil {
			o.failed.Do(func() {
				o.logger.ErrorContext(ctx, "Config.Observe panicked; the events of such calls are lost", "panic", fmt.Sprint(v))
			})
		}
	}()
	o.observe(ctx, Event{
		Kind:       EventKind(act.Kind),
		Outcome:    Outcome(act.Outcome),
		Reason:     Reason(act.Reason),
		ID:         act.ID,
		PreviousID: act.PreviousID,
		User:       act.User,
		Class:      Class(act.Class),
		Count:      act.Count,
		Bytes:      act.Bytes,
		Tries:      act.Tries,
		Repeats:    act.Repeats,
		Duration:   act.Duration,
		Err:        act.Err,
	})
}
