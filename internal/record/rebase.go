package record

import (
	"context"

	"github.com/sessionkv/session/internal/object"
	"github.com/sessionkv/session/internal/value"
)

// rebaseOn is rebase for what is stored. A mark, and what is no session, end this one.
func (r *Record) rebaseOn(ctx context.Context, text []byte) error {
	found, err := r.keeper.read(ctx, r.ref.ID, text)
	if err != nil {
		return r.end(ctx, ErrEnded)
	}
	if found.mark != nil {
		return r.endAt(ctx, *found.mark)
	}
	return r.rebase(found.value)
}

// endAt ends the session, which has a mark in its place.
func (r *Record) endAt(ctx context.Context, mark mark) error {
	if mark.marker != nil {
		r.parts.saved(mark.marker.parts()) // a save of unknown outcome took place, if they are this request's
		return r.end(ctx, ErrRenewed)
	}
	err := r.end(ctx, ErrEnded)
	r.why = mark.why
	return err
}

// rebase makes the changes of this request on current, which is what the store has; on nothing if another user signs in.
func (r *Record) rebase(current value.Value) error {
	base := current.Members
	if !r.carries() {
		base = object.Object{}
	}
	members, err := r.changed(base)
	if err != nil {
		return err
	}
	r.stored, r.members = current, members
	return nil
}

// carries reports whether the old values go along when the session gets a new token.
func (r *Record) carries() bool {
	return r.signing == nil || r.owner.user() == "" || r.owner.user() == r.signing.User
}

// changed returns members with the changes of this request.
func (r *Record) changed(members object.Object) (object.Object, error) {
	err := r.changes.doAgain(&members)
	return members, err
}

// encode returns the members with a new revision.
func (r *Record) encode() (value.Value, error) { return value.Encode(r.members, r.keeper.limit()) }

func isEmpty(members object.Object) bool { return object.Equal(members, object.Object{}) }
