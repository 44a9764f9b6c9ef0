package record

import (
	"context"
	"errors"

	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/token"
)

// Find looks up what refs refer to. If several of them lead to living sessions, one may be an attacker's, so none is
// used, and the session that begins next ends them. ErrRenewed says that the session of a user has another token by now.
// After an error r is empty.
func (r *Record) Find(ctx context.Context, refs []token.Reference) error {
	return r.find(ctx, refs, Load, (*Keeper).load)
}

// Peek is Find that gives no more time to live.
func (r *Record) Peek(ctx context.Context, refs []token.Reference) error {
	return r.find(ctx, refs, Peek, (*Keeper).peek)
}

func (r *Record) find(ctx context.Context, refs []token.Reference, kind Kind, fetch fetch) error {
	w := r.watch(ctx)
	without, err := r.choose(ctx, refs, fetch)
	if err == nil && kind == Load {
		r.saved(r.confirm(ctx, r.stored))
	}
	act := Act{Kind: kind, Bytes: len(r.stored.Bytes)}
	switch {
	case err != nil || r.stored.Exists():
	case len(refs) == 0:
		act.Outcome = None
	case len(r.rivals) > 0:
		act.Outcome = Ambiguous
	case r.late != nil:
		act.Outcome = Renewed
	case r.why != 0:
		act.Outcome = Ended
	default:
		act.Outcome = without
	}
	r.tell(ctx, w, act, err)
	return err
}

// choose takes the one session that refs lead to. If there is none, without says why.
func (r *Record) choose(ctx context.Context, refs []token.Reference, fetch fetch) (without Outcome, err error) {
	var mark mark
	var askAgain error
	without = Gone
	for _, ref := range refs {
		found, ttl, err := fetch(r.keeper, ctx, ref)
		if err == nil {
			err = r.prove(ctx, found, ref.ID)
		}
		switch {
		case err == errNoProof:
			without = Unproven
		case err == ErrUnproven:
			askAgain = err
		case errors.Is(err, driver.ErrNotFound):
			if err == errInvalid {
				without = Invalid
			}
		case err != nil:
			r.Init(r.keeper)
			return Failed, err
		case found.mark != nil:
			mark = *found.mark
			if mark.marker != nil && driver.UserOf(ref.ID) != "" {
				askAgain = ErrRenewed
			}
		case r.stored.Exists():
			r.rivals = append(r.rivals, rival{ref.ID, found.value.Bytes})
		default:
			r.ref, r.owner = ref, found.owner
			r.saved(found.value)
			r.keptFor(ttl)
		}
	}
	switch {
	case len(r.rivals) > 0:
		r.refuseRivals(ctx)
	case !r.stored.Exists():
		r.late, r.why = mark.marker, mark.why
		return without, askAgain
	}
	return OK, nil
}

func (r *Record) refuseRivals(ctx context.Context) {
	r.rivals, r.ambiguous = append([]rival{{r.ref.ID, r.stored.Bytes}}, r.rivals...), true
	ids := make([]string, len(r.rivals))
	for i, rival := range r.rivals {
		ids[i] = rival.id
	}
	r.keeper.Logger.WarnContext(ctx, "cookies of several living sessions, none is used", "ids", ids)
	r.forget()
}
