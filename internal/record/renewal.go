package record

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/object"
	"github.com/sessionkv/session/internal/token"
	"github.com/sessionkv/session/internal/value"
)

// A renewal gives a session a new token, so that no failure leaves two that somebody can use, and that nothing that
// another request has saved is lost:
//
//  1. The new ID gets the members, whole.
//  2. If the session gets another user, the new ID joins that user's list.
//  3. A marker takes the place of the old value, if that is still the one that this request knows. Otherwise the changes
//     are made again on the newer value, the new ID gets the result, and the marker is tried again.
//  4. If the user stays the same, the new ID takes the place of the old one in the list, in one step.
//
// Until the third step is done, the old session is as it was. The order and its argument: docs/design.md.
type renewal struct {
	*Record
	fresh *token.Token
	user  string // of the new session
	// unsure says that it is not known whether the new session counts, so that it is left where it is.
	unsure bool
	next   value.Value // what is stored under the new ID
}

// finish makes the session the one of a new token.
func (r *Record) finish(fresh *token.Token, stored value.Value) {
	r.ref, r.issued, r.late = fresh.Reference, fresh, nil
	r.renewing, r.signing, r.why = false, nil, 0
	r.owner, _ = ownerOf(stored.Members, fresh.ID)
	r.keptFor(r.keeper.ttl(r.ref))
	r.saved(stored)
}

// begin stores the members under the new ID.
func (n *renewal) begin(ctx context.Context) error {
	if err := n.setMembers(n.members); err != nil {
		return err
	}
	return n.keeper.begin(ctx, n.fresh.Reference, n.next.Bytes)
}

// undo removes the new session, whose token nobody has. If that fails, it expires.
func (n *renewal) undo(ctx context.Context) {
	_, _ = n.keeper.remove(ctx, n.fresh.ID, nil)
	n.keeper.leave(ctx, n.fresh.ID)
}

// setMembers makes members what the new ID gets next, with the user.
func (n *renewal) setMembers(members object.Object) (err error) {
	if n.user != "" {
		raw, _ := json.Marshal(newOwner(n.user, n.SignedIn().UnixMilli(), n.fresh.Reference)) // never fails for this type
		members.Set(ownerKey, raw)
	}
	n.next, err = value.Encode(members, n.keeper.MaxBytes)
	return err
}

// store gives the new ID these members in the place of those that it has.
func (n *renewal) store(ctx context.Context, members object.Object) error {
	was := bytes.Clone(n.next.Bytes)
	n.next.Free()
	if err := n.setMembers(members); err != nil {
		return err
	}
	_, err := n.keeper.save(ctx, n.fresh.Reference, was, n.next.Bytes)
	switch {
	case errors.Is(err, driver.ErrNotFound), errors.Is(err, driver.ErrConflict):
		if n.signing != nil {
			return ErrRevoked // somebody has ended it as one of its user's
		}
		return n.end(ctx, ErrEnded)
	case err != nil:
		return fmt.Errorf("session: renewed session not merged with its last value: %w", err)
	}
	return nil
}

// storeOwn gives the new ID what this request has set, and nothing else.
func (n *renewal) storeOwn(ctx context.Context) error {
	own, err := n.changed(object.Object{})
	if err != nil {
		return err
	}
	if n.signing == nil && isEmpty(own) {
		return n.end(ctx, ErrEnded)
	}
	return n.store(ctx, own)
}
