package record

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/object"
	"github.com/sessionkv/session/internal/token"
	"github.com/sessionkv/session/internal/value"
)

// IsUnchanged reports whether a save would send nothing.
func (r *Record) IsUnchanged() bool {
	return !r.renewing && r.destroyed == nil && r.unsure == nil && object.Equal(r.stored.Members, r.members)
}

// Save brings the store up to what the request did to its session. It returns ErrEnded if the session is no more; its
// changes are dropped.
//
// gone is why no token can reach the client any more, nil if one can. A session that would need one is then neither
// begun nor renewed: nobody could use it, and the old token would lead nowhere. The changes are dropped, for they may
// belong to a new privilege, and must not go to the old token.
func (r *Record) Save(ctx context.Context, gone error) error {
	if err := r.deleteDestroyed(ctx); err != nil {
		return err
	}
	if err := r.repeatUnsure(ctx); err != nil {
		return err
	}
	switch {
	case gone != nil && r.needsToken():
		r.Discard()
		return fmt.Errorf("session: neither begun nor renewed, for its client is gone: %w", gone)
	case !r.stored.Exists():
		return r.create(ctx)
	case r.renewing:
		return r.renew(ctx)
	default:
		return r.update(ctx)
	}
}

// needsToken reports whether the next save issues a token.
func (r *Record) needsToken() bool {
	return r.renewing || !r.stored.Exists() && !isEmpty(r.members)
}

func isEmpty(members object.Object) bool { return object.Equal(members, object.Object{}) }

// Take removes the value of a key and saves. Of several requests that do so at once, taken is called last by the one that
// succeeds, with the value that this one alone has removed. It returns an error of taken as it is; then the value stays.
func (r *Record) Take(ctx context.Context, key string, gone error, taken func(raw []byte, ok bool) error) error {
	err := r.Update(key, func(raw []byte, ok bool) ([]byte, error) { return nil, taken(raw, ok) })
	if err != nil {
		return err
	}
	err = r.Save(ctx, gone)
	if err == nil || !r.changes.dropLast() {
		return err
	}
	return errors.Join(err, r.rebase(r.stored))
}

// Touch loads the session anew, which gives it its time to live anew, and makes the changes of this request again on
// what is stored.
func (r *Record) Touch(ctx context.Context) error {
	found, ttl, err := r.keeper.load(ctx, r.ref)
	if errors.Is(err, driver.ErrNotFound) {
		return r.end(ctx)
	}
	if err != nil {
		return err
	}
	r.keptFor(ttl)
	return r.rebase(found)
}

// deleteDestroyed deletes the session that Destroy was called on. If it is gone already, the client's token is left
// alone: it may by now be that of a new session.
func (r *Record) deleteDestroyed(ctx context.Context) error {
	if r.destroyed == nil {
		return nil
	}
	if r.destroyed.stored.Exists() {
		if err := r.revoke(ctx, r.destroyed.ref.ID); err != nil {
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
		if err := r.revoke(ctx, r.rivals[0]); err != nil {
			return err
		}
	}
	return nil
}

// revoke deletes a session that the client has a token of.
func (r *Record) revoke(ctx context.Context, id string) error {
	_, err := r.keeper.end(ctx, id)
	if errors.Is(err, driver.ErrNotFound) {
		return nil
	}
	r.revoked = r.revoked || err == nil
	return err
}

// repeatUnsure finds out about a save that failed earlier, by repeating it as it was.
func (r *Record) repeatUnsure(ctx context.Context) error {
	if r.unsure == nil {
		return nil
	}
	sent := r.unsure.Bytes
	current, err := r.replace(ctx, sent)
	switch {
	case err == nil:
		current = sent
	case errors.Is(err, driver.ErrConflict):
		err = errors.New("session: it is not known whether an earlier save took place, for another request has saved since")
	default:
		return err
	}
	r.unsure = nil
	r.changes.dropSent()
	return errors.Join(err, r.rebaseOn(ctx, current))
}

// create stores a new session, unless it would be empty.
func (r *Record) create(ctx context.Context) error {
	if isEmpty(r.members) {
		r.changes.drop()
		return nil
	}
	next, err := r.encode()
	if err != nil {
		return err
	}
	if err := r.endRivals(ctx); err != nil {
		return err
	}
	fresh := r.keeper.newToken()
	if err := r.keeper.begin(ctx, fresh.Reference, next.Bytes); err != nil {
		return err
	}
	r.issue(fresh)
	r.saved(next)
	return nil
}

// update replaces what is stored by the members of this request. When another request was faster, it makes the changes
// again on what that has stored.
func (r *Record) update(ctx context.Context) error {
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

func outrun(err error) error {
	return fmt.Errorf("session: not saved, for other requests kept changing it: %w", err)
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
	current, err := r.replace(ctx, next.Bytes)
	switch {
	case err == nil:
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
func (r *Record) replace(ctx context.Context, next []byte) (current []byte, err error) {
	current, err = r.keeper.save(ctx, r.ref, r.stored.Bytes, next)
	switch {
	case err == nil:
		r.keptFor(r.keeper.ttl(r.ref.Deadline))
		return nil, nil
	case errors.Is(err, driver.ErrConflict):
		return current, err
	case errors.Is(err, driver.ErrNotFound):
		return nil, r.end(ctx)
	}
	r.stored.LeaveToOthers() // the store may still be sending it
	return nil, err
}

// renew stores the session under a new token, so that no failure leaves two that somebody can use:
//
//  1. The new ID gets the members.
//  2. The old one is deleted. This shows whether another request has changed or ended it meanwhile.
//  3. If one has, the changes of this request are made again on that last value, and the new ID gets the result.
//
// If the third step fails, the session ends: to put the old value back could undo a Destroy that came in between.
func (r *Record) renew(ctx context.Context) error {
	next, err := r.encode()
	if err != nil {
		return err
	}
	fresh := r.keeper.newToken()
	if err := r.keeper.begin(ctx, fresh.Reference, next.Bytes); err != nil {
		return err
	}
	last, err := r.keeper.end(ctx, r.ref.ID)
	if errors.Is(err, driver.ErrNotFound) {
		last, err = []byte("{}"), nil // the new session has only what this request has set
	}
	if err == nil && !bytes.Equal(last, r.stored.Bytes) {
		next, err = r.renewOnto(ctx, fresh.Reference, next, last)
	}
	if err != nil {
		_, _ = r.keeper.end(ctx, fresh.ID) // nobody has its token; if this fails too, it expires
		return err
	}
	r.issue(fresh)
	r.saved(next)
	return nil
}

// renewOnto replaces what is stored under the new ID by what the changes make of last. No session begins if that is
// nothing.
func (r *Record) renewOnto(ctx context.Context, fresh token.Reference, stored value.Value, last []byte) (merged value.Value, err error) {
	if err := r.rebaseOn(ctx, last); err != nil {
		return value.Value{}, err
	}
	if isEmpty(r.members) {
		return value.Value{}, r.end(ctx)
	}
	if merged, err = r.encode(); err != nil {
		return value.Value{}, err
	}
	_, err = r.keeper.save(ctx, fresh, stored.Bytes, merged.Bytes)
	switch {
	case errors.Is(err, driver.ErrNotFound):
		return value.Value{}, r.end(ctx)
	case err != nil:
		return value.Value{}, fmt.Errorf("session: renewed session not merged with its last value: %w", err)
	}
	return merged, nil
}

// rebaseOn is rebase for a value as it is stored. One that is no session ends this one.
func (r *Record) rebaseOn(ctx context.Context, text []byte) error {
	current, err := r.keeper.parse(ctx, r.ref.ID, text)
	if err != nil {
		return r.end(ctx)
	}
	return r.rebase(current)
}

// rebase makes the changes of this request on current, which is what the store has.
func (r *Record) rebase(current value.Value) error {
	members := current.Members
	if err := r.changes.doAgain(&members); err != nil {
		return err
	}
	r.stored, r.members = current, members
	return nil
}

// encode returns the members with a new revision.
func (r *Record) encode() (value.Value, error) { return value.Encode(r.members, r.keeper.MaxBytes) }
