package record

import (
	"context"
	"errors"

	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/object"
	"github.com/sessionkv/session/internal/value"
)

// update replaces what is stored by the members of this request. When another request was faster, it makes the changes
// again on what that has stored.
func (r *Record) update(ctx context.Context) error {
	r.tries = 0
	if done, err := r.tryUpdate(ctx); done || err != nil {
		return err
	}
	return r.updateInTurn(ctx)
}

// updateInTurn tries until it is faster than others, those of this process one after the other.
func (r *Record) updateInTurn(ctx context.Context) error {
	id := r.ref.ID
	turn, err := r.keeper.turns.take(ctx, id)
	if err != nil {
		return outrun(err)
	}
	defer func() {
		r.stored.LeaveToOthers()
		r.keeper.turns.give(id, turn, r.stored)
	}()
	if turn.latest.Exists() {
		if err := r.rebase(turn.latest); err != nil {
			return err
		}
	}
	for try := 0; ; try++ {
		if done, err := r.tryUpdate(ctx); done || err != nil {
			return err
		}
		if err := pause(ctx, try); err != nil {
			return outrun(err)
		}
	}
}

// tryUpdate is not done when another request was faster. Then it has made the changes again on what that has stored.
func (r *Record) tryUpdate(ctx context.Context) (done bool, err error) {
	if object.Equal(r.stored.Members, r.members) {
		r.changes.drop()
		return true, nil
	}
	next, err := r.encode()
	if err != nil {
		return false, err
	}
	r.tries++
	current, err := r.replace(ctx, &next)
	switch {
	case err == nil:
		r.removeParts(ctx, r.stored.Members, next.Members)
		r.saved(next)
		return true, nil
	case errors.Is(err, driver.ErrConflict):
		return false, r.rebaseOn(ctx, current)
	case !errors.Is(err, ErrEnded):
		sent := next // a copy, so that next is not moved to the heap for every save
		r.unsure = &sent
		r.changes.send()
	}
	return false, err
}

// replace stores next in place of what is stored, if that is what this request knows. ErrEnded says that nothing is.
func (r *Record) replace(ctx context.Context, next *value.Value) (current []byte, err error) {
	parts := r.parts.missing(next.Members)
	current, err = r.keeper.save(ctx, r.ref, r.stored.Bytes, next, parts)
	switch {
	case err == nil:
		r.keptFor(r.keeper.ttl(r.ref))
		return nil, nil
	case errors.Is(err, driver.ErrConflict):
		r.parts.arrived(parts)
		return current, err
	case errors.Is(err, driver.ErrNotFound):
		r.parts.arrived(parts)
		return nil, r.end(ctx, ErrEnded)
	}
	r.stored.LeaveToOthers() // the store may still be sending it
	return nil, err
}

// repeatUnsure finds out about a save that failed earlier, by repeating it as it was.
func (r *Record) repeatUnsure(ctx context.Context) error {
	if r.unsure == nil {
		return nil
	}
	sent, before := *r.unsure, r.stored.Members
	current, err := r.replace(ctx, &sent)
	switch {
	case err == nil:
		current = sent.Bytes
	case errors.Is(err, driver.ErrConflict):
		err = errors.New("session: it is not known whether an earlier save took place, for another request has saved since")
	default:
		return err
	}
	r.unsure = nil
	r.changes.dropSent()
	err = errors.Join(err, r.rebaseOn(ctx, current))
	if r.over == nil {
		r.removeParts(ctx, before, r.stored.Members, r.members)
	}
	return err
}

// removeParts removes the parts that were before, or that a save that failed has left, but for those that are kept. Those
// that are stored are no more the request's.
func (r *Record) removeParts(ctx context.Context, before object.Object, kept ...object.Object) {
	if len(r.parts) == 0 && sameLarge(before, kept[0]) {
		return // as in most saves; to look at each would cost more than all the rest of a save does
	}
	gone := append(largeOf(before).parts(), r.parts.there()...)
	for _, members := range kept {
		names := largeOf(members).parts()
		gone = without(gone, names)
	}
	r.keeper.removeParts(ctx, r.ref.ID, gone)
	r.parts.saved(append(gone, largeOf(kept[0]).parts()...))
}
