package record

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/sessionkv/session/internal/repeats"
)

// A watch measures an Act, and remembers of whose session it is. The zero watch is that of a Keeper that nobody observes.
type watch struct {
	id, user string
	class    uint8
	start    time.Time
	counter  *repeats.Counter
	before   int32
}

func (k *Keeper) watch(ctx context.Context) watch {
	if k.Observe == nil {
		return watch{}
	}
	w := watch{start: time.Now(), counter: repeats.Of(ctx)}
	if w.counter != nil {
		w.before = w.counter.Load()
	}
	return w
}

func (r *Record) watch(ctx context.Context) watch {
	w := r.keeper.watch(ctx)
	if r.keeper.Observe != nil {
		w.id, w.user, w.class = r.ref.ID, r.User(), r.Class()
	}
	return w
}

// tell is that of the Keeper, for what was done with the session of the Record.
func (r *Record) tell(ctx context.Context, w watch, act Act, err error) {
	if r.keeper.Observe == nil {
		return
	}
	r.told++
	if r.refused != nil && errors.Is(err, r.refused) {
		return
	}
	act.ID, act.User, act.Class = cmp.Or(w.id, r.ref.ID), cmp.Or(w.user, r.User()), w.class
	if r.stored.Exists() {
		act.Class = r.Class()
	}
	if act.Outcome == Ended || errors.Is(err, ErrEnded) {
		act.Reason = cmp.Or(act.Reason, r.why)
	}
	r.keeper.tell(ctx, w, act, err)
}

// tell hands an Act to who observes the Keeper. Its Outcome, if it has none, follows from err.
func (k *Keeper) tell(ctx context.Context, w watch, act Act, err error) {
	if k.Observe == nil {
		return
	}
	act.Duration = time.Since(w.start)
	if w.counter != nil {
		act.Repeats = int(w.counter.Load() - w.before)
	}
	if act.Outcome == OK && err != nil {
		act.Outcome = outcomeOf(err)
	}
	if act.Outcome == Gone && act.Reason != 0 && act.Kind != End {
		act.Outcome = Ended
	}
	if act.Outcome == Failed {
		act.Err = err
	}
	k.Observe(ctx, act)
}

// Refuse tells of what was not done, for the reason that its Outcome says.
func (k *Keeper) Refuse(ctx context.Context, act Act) {
	if k.Observe != nil {
		k.Observe(ctx, act)
	}
}
