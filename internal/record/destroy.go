package record

import (
	"context"
	"errors"

	"github.com/sessionkv/session/driver"
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
		if err := r.revoke(ctx, r.destroyed.ref.ID, stored.Bytes); err != nil {
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
		if err := r.revoke(ctx, r.rivals[0].id, r.rivals[0].stored); err != nil {
			return err
		}
	}
	return nil
}

// revoke deletes a session that the client has a token of. The value goes first, and only then the ID from its user's
// list: a marker, which says ErrRenewed, leaves both as they are. The token of a session that somebody has ended is taken
// from the client too.
func (r *Record) revoke(ctx context.Context, id string, stored []byte) error {
	for {
		current, err := r.keeper.remove(ctx, id, stored)
		switch {
		case err == nil:
			r.revoked = true
			r.keeper.leave(ctx, id)
			return nil
		case errors.Is(err, driver.ErrNotFound):
			return nil
		case !errors.Is(err, driver.ErrConflict):
			return err
		}
		if found, err := r.keeper.read(ctx, id, current); err == nil && found.mark != nil {
			if found.mark.marker != nil {
				return ErrRenewed
			}
			r.revoked = true
			return nil
		}
		if err := ctx.Err(); err != nil {
			return outrun(err)
		}
		stored = current
	}
}
