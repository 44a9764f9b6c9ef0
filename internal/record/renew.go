package record

import (
	"context"
	"errors"

	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/value"
)

// renew does what Renew and SignIn ask for, and begins a session.
func (r *Record) renew(ctx context.Context) error {
	w := r.watch(ctx)
	act := Act{Kind: Create, PreviousID: r.ref.ID}
	switch {
	case r.signing != nil:
		act.Kind = SigningIn
	case r.renewing:
		act.Kind = Renew
	}
	w.user = r.User()
	err := r.replaceToken(ctx)
	if err == nil {
		w.id, act.Bytes = r.ref.ID, len(r.stored.Bytes)
	}
	r.tell(ctx, w, act, err)
	return err
}

func (r *Record) replaceToken(ctx context.Context) error {
	if err := r.endRivals(ctx); err != nil {
		return err
	}
	n := &renewal{Record: r, user: r.User(), source: r.ref.ID}
	n.fresh = r.keeper.newToken(n.user, r.Class())
	if err := n.begin(ctx); err != nil {
		return err
	}
	err := n.run(ctx)
	if err == nil {
		n.tidy(ctx)
		r.finish(n.fresh, n.next)
		return nil
	}
	if !n.unsure {
		n.undo(ctx)
	}
	if errors.Is(err, ErrRevoked) || errors.Is(err, ErrLimit) {
		r.Discard()
	}
	return err
}

func (n *renewal) run(ctx context.Context) error {
	if n.user != "" && n.user != n.owner.user() {
		if err := n.join(ctx); err != nil {
			return err
		}
	}
	switch {
	case n.stored.Exists():
		return n.replaceOld(ctx)
	case n.late != nil:
		return n.second(ctx, n.late)
	}
	return nil
}

// join makes the new ID one of its user's.
func (n *renewal) join(ctx context.Context) error {
	users, err := n.keeper.Users()
	if err != nil {
		return err
	}
	w := n.keeper.watch(ctx)
	over, err := users.Add(ctx, n.keeper.entry(n.fresh.ID, n.stamp()))
	switch {
	case errors.Is(err, driver.ErrStamp):
		return ErrRevoked
	case errors.Is(err, driver.ErrFull):
		return ErrLimit
	case err != nil:
		return err
	}
	n.keeper.bury(ctx, users, over, OverLimit)
	if len(over) > 0 {
		n.keeper.tell(ctx, w, Act{Kind: End, User: n.user, Reason: OverLimit, Count: len(over)}, nil)
	}
	return nil
}

func (n *renewal) stamp() string {
	if n.signing == nil {
		return ""
	}
	return n.signing.Stamp
}

// replaceOld puts the marker in the place of the old value and lets the old ID leave its list.
func (n *renewal) replaceOld(ctx context.Context) error {
	old := n.ref.ID
	if err := n.mark(ctx); err != nil {
		return err
	}
	switch n.owner.user() {
	case "":
		return nil
	case n.user:
		return n.swap(ctx, old)
	}
	n.keeper.leave(ctx, old)
	return nil
}

// mark puts the marker in the place of the old value.
func (n *renewal) mark(ctx context.Context) error {
	for try := 0; ; try++ {
		current, err := n.keeper.mark(ctx, n.ref, n.stored.Bytes, n.marker())
		switch {
		case err == nil:
			n.endOldParts(ctx)
			return nil
		case errors.Is(err, driver.ErrNotFound):
			return n.withoutOld(ctx)
		case !errors.Is(err, driver.ErrConflict):
			n.stored.LeaveToOthers() // the store may still be sending it
			n.unsure = true          // the marker may stand
			return err
		}
		found, err := n.keeper.read(ctx, n.ref.ID, current)
		switch {
		case err != nil || found.isNothing():
			return n.withoutOld(ctx)
		case found.mark != nil && found.mark.marker != nil:
			return n.second(ctx, found.mark.marker)
		case found.mark != nil:
			n.state.why = found.mark.why
			return n.withoutOld(ctx)
		}
		if err := n.follow(ctx, found.value); err != nil {
			return err
		}
		if err := pause(ctx, try); err != nil {
			return outrun(err)
		}
	}
}

// marker returns the marker as it is stored. What this request has set or deleted is not among its values, so that a
// second renewal brings nothing back.
func (n *renewal) marker() []byte {
	if n.owner.user() != "" {
		m := newMarker(n.fresh.ID, nil)
		return m.Bytes
	}
	values := value.Visible(n.stored.Members)
	if raw, ok := n.stored.Members.Get(largeKey); ok {
		values.Set(largeKey, raw)
	}
	n.changes.removeTouched(&values)
	m := newMarker(n.fresh.ID, &values)
	return m.Bytes
}

// follow makes the changes again on the newer value that was met in the place of the old one.
func (n *renewal) follow(ctx context.Context, current value.Value) error {
	if !n.carries() {
		n.stored = current
		return nil
	}
	if err := n.rebase(current); err != nil {
		return err
	}
	return n.store(ctx, n.members)
}

// withoutOld goes on where the old session is no more. Its values do not come back.
func (n *renewal) withoutOld(ctx context.Context) error {
	why := n.why
	if n.owner.user() != "" && n.owner.user() == n.user {
		err := n.end(ctx, ErrEnded)
		n.why = why
		return err
	}
	if !n.carries() {
		return nil // there are none of them
	}
	return n.storeOwn(ctx)
}

// swap puts the new ID in the place of the old one in the list of its user.
func (n *renewal) swap(ctx context.Context, old string) error {
	users, err := n.keeper.Users()
	if err != nil {
		return err
	}
	err = users.Replace(ctx, old, n.keeper.entry(n.fresh.ID, n.stamp()))
	switch {
	case errors.Is(err, driver.ErrStamp):
		return ErrRevoked
	case errors.Is(err, driver.ErrRemoved):
		return n.end(ctx, ErrEnded)
	}
	n.unsure = err != nil
	return err
}
