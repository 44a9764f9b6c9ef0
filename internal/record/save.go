package record

import (
	"context"
	"errors"
	"fmt"

	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/object"
)

// IsUnchanged reports whether a save would send nothing.
func (r *Record) IsUnchanged() bool {
	return r.todo == todo{} && r.destroyed == nil && r.unsure == nil && object.Equal(r.stored.Members, r.members)
}

// IsPromising reports whether the next save signs somebody in or ends other sessions. A response that goes on although
// that was not done would be taken for a promise.
func (r *Record) IsPromising() bool { return r.signing != nil || r.others != 0 }

// Save brings the store up to what the request did to its session. It returns ErrEnded or ErrRenewed if the session is
// over; its changes are dropped. So they are after ErrRevoked and ErrLimit, which refuse a sign-in.
//
// gone is why no token can reach the client any more, nil if one can. A session that would need one is then neither
// begun nor renewed: nobody could use it, and the old token would lead nowhere. The changes are dropped, for they may
// belong to a new privilege, and must not go to the old token.
func (r *Record) Save(ctx context.Context, gone error) error {
	w, told := r.watch(ctx), r.told
	id, parts := r.ref.ID, r.parts
	parts.sendAgain()
	err := r.save(ctx, gone)
	if r.over != nil {
		r.keeper.removeParts(ctx, id, parts.there())
	}
	if err != nil && r.told == told {
		r.tell(ctx, w, Act{Kind: Update}, err) // so that every save that fails is told
	}
	return err
}

func (r *Record) save(ctx context.Context, gone error) error {
	if err := r.deleteDestroyed(ctx); err != nil {
		return err
	}
	if err := r.repeatUnsure(ctx); err != nil {
		return err
	}
	if gone != nil && r.needsToken() {
		r.Discard()
		return fmt.Errorf("session: neither begun nor renewed, for its client is gone: %w", gone)
	}
	if !r.needsToken() {
		// This can be ErrRenewed, and then nothing else is done. To do it twice does no harm.
		if err := r.endOthers(ctx); err != nil {
			return err
		}
	}
	if err := r.store(ctx); err != nil {
		return err
	}
	return r.endOthers(ctx)
}

func (r *Record) store(ctx context.Context) error {
	switch {
	case r.needsToken():
		return r.renew(ctx)
	case r.stored.Exists():
		w := r.watch(ctx)
		err := r.update(ctx)
		if r.tries > 0 {
			r.tell(ctx, w, Act{Kind: Update, Tries: r.tries, Bytes: len(r.stored.Bytes)}, err)
		}
		return err
	}
	r.changes.drop() // which have come to nothing
	return nil
}

// needsToken reports whether the next save issues a token.
func (r *Record) needsToken() bool {
	return r.renewing || r.signing != nil || !r.stored.Exists() && !isEmpty(r.members)
}

// Take removes the value of a key and saves. Of several requests that do so at once, taken is called last by the one that
// succeeds, with the value that this one alone has removed. It returns an error of taken as it is; then the value stays.
func (r *Record) Take(ctx context.Context, key string, gone error, taken func(raw []byte, ok bool) error) error {
	defer func() { r.refused = nil }()
	err := r.Update(key, func(raw []byte, ok bool) ([]byte, error) {
		r.refused = taken(raw, ok)
		return nil, r.refused
	})
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
	w := r.watch(ctx)
	err := r.touch(ctx)
	r.tell(ctx, w, Act{Kind: Touch, Bytes: len(r.stored.Bytes)}, err)
	return err
}

func (r *Record) touch(ctx context.Context) error { return r.reload(ctx, (*Keeper).load) }

func (r *Record) reload(ctx context.Context, fetch fetch) error {
	found, ttl, err := fetch(r.keeper, ctx, r.ref)
	switch {
	case errors.Is(err, driver.ErrNotFound):
		return r.end(ctx, ErrEnded)
	case err != nil:
		return err
	case found.mark != nil:
		return r.endAt(ctx, *found.mark)
	}
	r.keptFor(ttl)
	if r.unsure != nil {
		return nil // the repeat of that save must still find what it was made from, or fail
	}
	if r.IsProved() {
		r.proved = found.binding
	}
	return r.rebase(r.confirm(ctx, found.value))
}
