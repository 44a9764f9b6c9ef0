package record

import (
	"context"
	"errors"

	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/token"
)

// EndOthers lets the next save end all other sessions of the user, after it has given this one a new token if it does.
func (r *Record) EndOthers(why uint8) { r.others = why }

func (r *Record) endOthers(ctx context.Context) error {
	if r.others == 0 {
		return nil
	}
	w := r.watch(ctx)
	act := Act{Kind: End, Reason: r.others}
	count, err := r.removeOthers(ctx)
	act.Count = count
	r.tell(ctx, w, act, err)
	return err
}

func (r *Record) removeOthers(ctx context.Context) (count int, err error) {
	users, err := r.keeper.Users()
	if err != nil {
		return 0, err
	}
	removed, err := users.RemoveOthers(ctx, r.ref.ID)
	switch {
	case errors.Is(err, driver.ErrRemoved):
		return 0, r.endAs(ctx, r.ref)
	case err != nil:
		return 0, err
	}
	r.keeper.bury(ctx, users, removed, r.others)
	r.others = 0
	return len(removed), nil
}

// endAs ends the session, which is not one of its user's any more, as what is left in its place says.
func (r *Record) endAs(ctx context.Context, ref token.Reference) error {
	found, _, err := r.keeper.peek(ctx, ref)
	switch {
	case err != nil && !errors.Is(err, driver.ErrNotFound):
		return err
	case err == nil && found.mark != nil:
		return r.endAt(ctx, *found.mark)
	}
	return r.end(ctx, ErrEnded)
}
