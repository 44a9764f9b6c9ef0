package record

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/device"
	"github.com/sessionkv/session/internal/token"
	"github.com/sessionkv/session/internal/value"
)

// errNoProof says that a session is bound to a device, and that the request does not come from that.
var errNoProof = errors.New("session: bound to a device, and not proved")

// prove returns ErrUnproven or errNoProof if a session is bound to a device that the request does not come from. The
// session is not deleted: whoever has the token alone could sign its owner out.
func (r *Record) prove(ctx context.Context, f found, id string) error {
	if r.Prove == nil || !f.binding.HasKey() {
		return nil
	}
	proved, err := r.Prove(f.binding)
	if proved {
		r.proved = f.binding
	}
	if err == nil || err == ErrUnproven {
		return err
	}
	r.keeper.Logger.WarnContext(ctx, "bound session without proof: its cookie may be stolen", "id", id)
	return errNoProof
}

// IsProved reports whether the session is bound to a device that the request comes from.
func (r *Record) IsProved() bool {
	return r.proved != nil && r.over == nil && r.proved.Session == r.ref.ID
}

// confirm notes, in what was just loaded, that the device has shown its cookie, and returns what is stored then. From now
// on the session is not to be used without. Until then it is, for the response with the cookie may have been lost, and a
// browser asks for no other. A failure is none of the request: the next one tries again.
func (r *Record) confirm(ctx context.Context, current value.Value) value.Value {
	if !r.IsProved() || r.proved.IsConfirmed() {
		return current
	}
	confirmed := r.proved.Confirm(time.Now())
	members := current.Members
	setBinding(&members, confirmed)
	next, err := value.Encode(members, math.MaxInt)
	if err != nil {
		return current
	}
	if _, err := r.keeper.save(ctx, r.ref, current.Bytes, &next, nil); err != nil {
		return current
	}
	r.proved = confirmed
	return next
}

// Binding returns that of the session, nil if there is none.
func (r *Record) Binding() *device.Binding {
	if !r.keeper.Bound {
		return nil
	}
	return bindingOf(r.stored.Members, r.ref.ID)
}

// ErrRefused says that a device has not proved its key, or has another than the session.
var ErrRefused = errors.New("session: the device has not proved the key of the session")

// A bound is a session as its device asks for it, without its token.
type bound struct {
	*device.Binding
	ref    token.Reference
	user   string
	stored value.Value
	ttl    time.Duration
}

// bound returns the session of a user that has this ID, and gives it no more time to live. It is ErrEnded if there is
// none. Anybody may ask for any ID, so that the store is asked for those alone that a token can lead to.
func (k *Keeper) bound(ctx context.Context, id string) (*bound, error) {
	if !token.IsOfUser(id) {
		return nil, ErrEnded
	}
	text, ttl, err := k.Store.Peek(ctx, id)
	f, err := k.found(ctx, id, text, err)
	switch {
	case errors.Is(err, driver.ErrNotFound):
		return nil, ErrEnded
	case err != nil:
		return nil, err
	case f.binding == nil:
		return nil, ErrEnded
	}
	ref := token.Reference{ID: id, Deadline: time.Unix(f.owner.Deadline, 0), Class: f.owner.Class}
	if ttl = min(ttl, k.ttl(ref)); isOver(ttl) {
		return nil, ErrEnded
	}
	return &bound{f.binding, ref, f.owner.user(), f.value, ttl}, nil
}

// Register stores the key of a proof in the session of this ID, which has made its challenge. It is ErrRefused if it has
// not, or if the session has another key, and ErrEnded if the session is over. The same key once more is no failure.
func (k *Keeper) Register(ctx context.Context, id string, proof *device.Proof) (*device.Binding, error) {
	w := k.watch(ctx)
	registered, user, err := k.register(ctx, id, proof)
	k.tell(ctx, w, Act{Kind: Register, ID: id, User: user, Outcome: refusedIs(err)}, err)
	return registered, err
}

func (k *Keeper) register(ctx context.Context, id string, proof *device.Proof) (registered *device.Binding, user string, err error) {
	for {
		b, err := k.bound(ctx, id)
		if err != nil {
			return nil, "", err
		}
		if !b.HasMade(proof.Challenge, device.Registration, time.Now()) || b.HasKey() && !proof.Key.Equal(b.Key()) {
			return nil, b.user, ErrRefused
		}
		if b.HasKey() {
			return b.Binding, b.user, nil
		}
		registered, err := b.Register(proof.Key)
		if err != nil {
			return nil, b.user, ErrRefused
		}
		err = k.bind(ctx, b, registered)
		if err == nil || !errors.Is(err, driver.ErrConflict) {
			return registered, b.user, err
		}
		if err := ctx.Err(); err != nil {
			return nil, b.user, outrun(err)
		}
	}
}

// bind stores the Binding of a session, which has as long to live as before.
func (k *Keeper) bind(ctx context.Context, b *bound, registered *device.Binding) error {
	members := b.stored.Members
	setBinding(&members, registered)
	next, err := value.Encode(members, math.MaxInt)
	if err != nil {
		return err
	}
	_, err = k.put(ctx, b.ref.ID, b.stored.Bytes, next.Bytes, b.ttl, hasLarge(next.Members), nil)
	if errors.Is(err, driver.ErrNotFound) {
		return ErrEnded
	}
	return err
}

// Refresh returns the Binding of a session if text proves its key, and with ErrRefused if it does not. It is ErrEnded if
// there is no session of this ID that has a key.
func (k *Keeper) Refresh(ctx context.Context, id, text string) (*device.Binding, error) {
	w := k.watch(ctx)
	b, err := k.bound(ctx, id)
	if err == nil && !b.HasKey() {
		err = ErrEnded
	}
	if err != nil {
		k.tell(ctx, w, Act{Kind: Refresh, ID: id}, err)
		return nil, err
	}
	proof, invalid := device.ParseProof(text)
	if invalid != nil || !b.HasMade(proof.Challenge, device.Refresh, time.Now()) || !proof.IsSignedBy(b.Key()) {
		err = ErrRefused
	}
	if text != "" || err == nil { // else it asks for its challenge
		k.tell(ctx, w, Act{Kind: Refresh, ID: id, User: b.user, Class: b.ref.Class, Outcome: refusedIs(err)}, err)
	}
	return b.Binding, err
}

func refusedIs(err error) Outcome {
	if err == ErrRefused {
		return Unproven
	}
	return OK
}
