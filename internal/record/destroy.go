package record

import (
	"context"
	"errors"

	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/value"
)

// deleteDestroyed deletes the session that Destroy was called on. If it is gone already, the client's token is left
// alone: it may by now be that of a new session.
func (r *Record) deleteDestroyed(ctx context.Context) error {
	if r.destroyed == nil {
		return nil
	}
	if r.destroyed.over == ErrRenewed {
		return ErrRenewed
	}
	if stored := r.destroyed.stored; stored.Exists() {
		if err := r.revoke(ctx, r.destroyed.ref.ID, r.destroyed.owner.user(), stored.Bytes); err != nil {
			return err
		}
	}
	if err := r.endRivals(ctx); err != nil {
		return err
	}
	r.destroyed = nil
	return nil
}

// endRivals deletes the sessions that Find could not choose from.
func (r *Record) endRivals(ctx context.Context) error {
	for ; len(r.rivals) > 0; r.rivals = r.rivals[1:] {
		if err := r.revoke(ctx, r.rivals[0].id, "", r.rivals[0].stored); err != nil {
			return err
		}
	}
	return nil
}

// revoke deletes a session that the client has a token of. That of a session that somebody has ended is taken from the
// client too.
func (r *Record) revoke(ctx context.Context, id, user string, stored []byte) error {
	w := r.keeper.watch(ctx)
	found, err := r.keeper.destroy(ctx, id, stored)
	act := Act{Kind: Destroy, ID: id, User: user}
	switch {
	case err != nil:
	case found.mark != nil:
		r.revoked = r.revoked || !found.isNothing()
		act.Outcome, act.Reason = Gone, found.mark.why
	case found.value.Exists():
		r.revoked = true
	default:
		act.Outcome = Gone
	}
	r.told++
	r.keeper.tell(ctx, w, act, err)
	return err
}

// destroy deletes a session, and returns what was there: nothing, the session, or the last word in its place. The value
// goes first, and only then the ID from its user's list: a marker, which says ErrRenewed, leaves both as they are.
func (k *Keeper) destroy(ctx context.Context, id string, stored []byte) (found, error) {
	for {
		current, err := k.remove(ctx, id, stored)
		switch {
		case err == nil:
			k.leave(ctx, id)
			if v, err := value.Parse(stored); err == nil && hasLarge(v.Members) {
				k.removeAllParts(ctx, id)
			}
			return found{value: value.Value{Bytes: stored}}, nil
		case errors.Is(err, driver.ErrNotFound):
			return found{}, nil
		case !errors.Is(err, driver.ErrConflict):
			return found{}, err
		}
		if f, err := k.read(ctx, id, current); err == nil && f.mark != nil {
			if f.mark.marker != nil {
				return found{}, ErrRenewed
			}
			return f, nil
		}
		if err := ctx.Err(); err != nil {
			return found{}, outrun(err)
		}
		stored = current
	}
}
