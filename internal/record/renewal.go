package record

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/device"
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
	source string      // the ID that its large values come from
	copied []string    // the parts that the new ID has
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
	parts, err := n.partsToCopy(ctx)
	if err != nil {
		return err
	}
	return n.keeper.begin(ctx, n.fresh.Reference, &n.next, parts)
}

// undo removes the new session, whose token nobody has. If that fails, it expires.
func (n *renewal) undo(ctx context.Context) {
	_, _ = n.keeper.remove(ctx, n.fresh.ID, nil)
	n.keeper.leave(ctx, n.fresh.ID)
	if len(n.copied) > 0 {
		n.keeper.removeAllParts(ctx, n.fresh.ID)
	}
}

// setMembers makes members what the new ID gets next, with the user.
func (n *renewal) setMembers(members object.Object) (err error) {
	if n.user != "" {
		raw, _ := json.Marshal(newOwner(n.user, n.SignedIn().UnixMilli(), n.fresh.Reference)) // never fails for this type
		members.Set(ownerKey, raw)
	}
	members.Delete(boundKey) // the old device's, which must not have the new session
	if n.user != "" && n.keeper.Bound {
		setBinding(&members, device.New())
	}
	n.next, err = value.Encode(members, n.keeper.limit())
	return err
}

// store gives the new ID these members in the place of those that it has.
func (n *renewal) store(ctx context.Context, members object.Object) error {
	was := bytes.Clone(n.next.Bytes)
	n.next.Free()
	if err := n.setMembers(members); err != nil {
		return err
	}
	parts, err := n.partsToCopy(ctx)
	if err != nil {
		return err
	}
	_, err = n.keeper.save(ctx, n.fresh.Reference, was, &n.next, parts)
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

// partsToCopy returns the parts that the new ID lacks: those that this request has set, and those of the old session. One
// that has gone meanwhile is left out: then the old session has another value, which the marker meets.
func (n *renewal) partsToCopy(ctx context.Context) (missing []driver.Part, err error) {
	for _, name := range without(largeOf(n.next.Members).parts(), n.copied) {
		text, ok := n.parts.text(name)
		if !ok {
			text, err = n.keeper.part(ctx, n.source, name)
		}
		if errors.Is(err, driver.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		missing = append(missing, driver.Part{Name: name, Text: text})
		n.copied = append(n.copied, name)
	}
	return missing, nil
}

// endOldParts removes the parts of the old session, whose marker stands: before, they were still needed. Those of a
// visitor's session stay as long as the marker, for a second renewal can ask for them.
func (n *renewal) endOldParts(ctx context.Context) {
	switch {
	case !hasLarge(n.stored.Members):
	case n.owner.user() == "":
		n.keeper.keepParts(ctx, n.ref.ID, min(n.keeper.ttl(n.ref), markerTTL))
	default:
		n.keeper.removeAllParts(ctx, n.ref.ID)
	}
}

// tidy removes the parts of the new session that were replaced while they were copied.
func (n *renewal) tidy(ctx context.Context) {
	n.keeper.removeParts(ctx, n.fresh.ID, without(n.copied, largeOf(n.next.Members).parts()))
	n.parts = nil
}
