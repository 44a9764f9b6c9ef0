// Package record is a session as one request knows it, and how it gets into the store. It knows neither HTTP nor locks.
package record

import (
	"context"
	"fmt"
	"time"

	"github.com/sessionkv/session/internal/device"
	"github.com/sessionkv/session/internal/object"
	"github.com/sessionkv/session/internal/token"
	"github.com/sessionkv/session/internal/value"
)

// A Record is one session as one request knows it: what the store has of it, as far as is known, and what the request
// did to it since. It is used by one goroutine at a time.
type Record struct {
	keeper *Keeper

	// Prove tells whether the request has proved that it comes from the device of a session. If it has to and has not, that
	// is ErrUnproven where its browser says that it could not, else any other error. Nil: that is not asked.
	Prove func(b *device.Binding) (proved bool, err error)

	state
	members object.Object // what is stored, with the changes
	changes changes       // since the last save
	parts   parts         // set by the changes, and what is left of failed saves
	todo

	proved    *device.Binding // of the session that Prove has found proved
	destroyed *state          // what Destroy was called on, until it is deleted
	rivals    []rival         // living sessions whose tokens came together, so that none of them is used
	ambiguous bool            // there were rivals
	revoked   bool            // the client's token leads nowhere any more, by what this request did
	tries     int             // of the last update
	told      int             // Acts
	refused   error           // why Take does not take, which is no failure
}

// state is which session it is, and how it stands with the store.
type state struct {
	ref    token.Reference // also of a session that is over; zero until it is stored
	owner  owner           // of the session of a user
	stored value.Value     // what the store has
	unsure *value.Value    // what a save of unknown outcome has sent
	late   *marker         // in the place of the session that the client's token led to, which was nobody's
	over   error           // why nothing more can be saved
	why    uint8           // somebody has ended it
	issued *token.Token    // for the client
	idle   time.Time       // until when it is kept without use
}

// todo is what the next save does besides the changes.
type todo struct {
	renewing bool    // it gives the session a new token
	signing  *SignIn // and a user
	others   uint8   // it ends the user's other sessions, for this reason
}

// A SignIn says who signs in.
type SignIn struct {
	User  string
	Class uint8
	Stamp string // that must still hold; "" for any
	at    int64  // in Unix milliseconds
}

// A rival is a living session and what the store has of it.
type rival struct {
	id     string
	stored []byte
}

// Init makes r an empty session of k's store.
func (r *Record) Init(k *Keeper) { *r = Record{keeper: k} }

// Reference returns what the session's token refers to, also when the session is over; the zero Reference until it is
// stored.
func (r *Record) Reference() token.Reference { return r.ref }

// IdleDeadline returns until when the session is kept without use; the zero Time if it is not stored.
func (r *Record) IdleDeadline() time.Time { return r.idle }

// IsStored reports whether the store has the session, as far as is known.
func (r *Record) IsStored() bool { return r.stored.Exists() }

// IsLate reports whether the client's token led to a session of nobody that has another token by now. Then there is
// nothing to see, and nothing to change but by a SignIn.
func (r *Record) IsLate() bool { return r.late != nil && r.signing == nil }

// Over returns why nothing more can be saved: ErrEnded or ErrRenewed; nil if something can.
func (r *Record) Over() error { return r.over }

// WhyEnded returns why somebody has ended the session, 0 if that is not known.
func (r *Record) WhyEnded() uint8 { return r.why }

// SetWhyEnded notes why somebody has ended the session, as another Record has found out.
func (r *Record) SetWhyEnded(why uint8) { r.why = why }

// HadRivals reports whether Find came upon several living sessions.
func (r *Record) HadRivals() bool { return r.ambiguous }

// Issued returns the token that the client has to be given, or nil.
func (r *Record) Issued() *token.Token { return r.issued }

// IsRevoked reports whether the client has to drop its token.
func (r *Record) IsRevoked() bool { return r.revoked }

// Get returns the raw value of a key.
func (r *Record) Get(key string) (raw []byte, ok bool) { return r.members.Get(key) }

// Visible returns the members that handlers see.
func (r *Record) Visible() object.Object { return value.Visible(r.members) }

// Set stores a value, which must be valid JSON without white space around it.
func (r *Record) Set(key string, raw []byte) error {
	return r.change(change{kind: setting, key: key, raw: raw})
}

// Update replaces the value of a key by what update makes of it, and again when a save meets a newer value. Nil removes
// it.
func (r *Record) Update(key string, update func(raw []byte, ok bool) ([]byte, error)) error {
	return r.change(change{kind: updating, key: key, update: update})
}

// Delete removes the value of a key.
func (r *Record) Delete(key string) { r.remove(change{kind: deleting, key: key}) }

// Clear removes all values that handlers see.
func (r *Record) Clear() { r.remove(change{kind: clearing}) }

func (r *Record) change(c change) error {
	members := r.members
	if err := c.do(&members); err != nil {
		return err
	}
	if size := value.Size(&members); size > r.keeper.limit() && size > value.Size(&r.members) {
		return fmt.Errorf("%w: %d bytes with key %q, at most %d", value.ErrTooLarge, size, c.key, r.keeper.limit())
	}
	r.members = members
	r.changes.add(c)
	return nil
}

// remove makes a change that cannot fail.
func (r *Record) remove(c change) {
	_ = c.do(&r.members)
	r.changes.add(c)
}

// Renew lets the next save give the session a new token. It does nothing if there is no session.
func (r *Record) Renew() { r.renewing = r.stored.Exists() }

// Destroy lets the next save delete the session. What is set afterwards begins a new one. It drops what was changed and
// does no more where the client has another token by now.
func (r *Record) Destroy() {
	if r.late != nil {
		r.Discard()
		return
	}
	if r.destroyed == nil && (r.stored.Exists() || r.over != nil || len(r.rivals) > 0) {
		before := r.state
		r.destroyed = &before
	}
	r.forget()
}

// Discard drops what was changed since the last save.
func (r *Record) Discard() {
	if r.destroyed != nil {
		r.state, r.destroyed = *r.destroyed, nil
	}
	r.members, r.unsure, r.todo = r.stored.Members, nil, todo{}
	r.changes.drop()
	r.parts = nil
}

// Free gives back memory. What is stored is not known any more; the members can still be read.
func (r *Record) Free() {
	r.stored.Free()
	r.parts = nil
}

// forget makes r an empty session that is not stored.
func (r *Record) forget() {
	r.state, r.members, r.todo, r.parts = state{}, object.Object{}, todo{}, nil
	r.changes.drop()
}

// end drops everything, for the session is over. The ID stays, for logs.
func (r *Record) end(ctx context.Context, over error) error {
	id := r.ref.ID
	if over == ErrEnded && !r.changes.areNone() {
		r.keeper.Logger.InfoContext(ctx, "session changes dropped, for it has ended", "id", id)
	}
	r.forget()
	r.ref.ID, r.over = id, over
	return over
}

// keptFor notes how long the session is kept without use.
func (r *Record) keptFor(ttl time.Duration) { r.idle = time.Now().Add(ttl) }

// saved makes current, which holds all changes, what later changes build on.
func (r *Record) saved(current value.Value) {
	r.stored, r.members = current, current.Members
	r.changes.drop()
}
