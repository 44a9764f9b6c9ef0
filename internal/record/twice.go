package record

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/object"
	"github.com/sessionkv/session/internal/token"
)

// second goes on where another renewal of the same session was first, which has left this marker. A second click on
// "sign in" gets what the visitor had; whatever else meets a marker does nothing.
func (n *renewal) second(ctx context.Context, first *marker) error {
	n.source = first.from
	of, own := driver.UserOf(first.To), driver.UserOf(n.fresh.ID)
	switch {
	case n.owner.user() != "", n.signing == nil && of != "":
		return n.end(ctx, ErrRenewed)
	case of != "" && of != own:
		return n.storeOwn(ctx)
	}
	if err := n.storeAlso(ctx, first); err != nil {
		return err
	}
	// This comes after the values are stored, so that none comes back once the session of the first was ended.
	lives, renewed, err := n.keeper.lives(ctx, first.To)
	switch {
	case err != nil:
		return err
	case lives:
		return nil
	case renewed && n.signing == nil:
		return n.end(ctx, ErrRenewed)
	}
	return n.storeOwn(ctx)
}

// storeAlso gives the new ID the values of a marker and the changes of this request.
func (n *renewal) storeAlso(ctx context.Context, first *marker) error {
	values, err := object.Parse(first.Values)
	if err != nil {
		return fmt.Errorf("session: marker of a renewal not understood: %w", err)
	}
	members, err := n.changed(values)
	if err != nil {
		return err
	}
	return n.store(ctx, members)
}

// lives reports whether an ID is that of a session, or of one that was renewed in turn.
func (k *Keeper) lives(ctx context.Context, id string) (lives, renewed bool, err error) {
	far := token.Reference{ID: id, Deadline: time.Unix(math.MaxUint32, 0)}
	found, _, err := k.peek(ctx, far)
	switch {
	case errors.Is(err, driver.ErrNotFound):
		return false, false, nil
	case err != nil:
		return false, false, err
	case found.mark != nil:
		return false, found.mark.marker != nil, nil
	}
	return true, false, nil
}
