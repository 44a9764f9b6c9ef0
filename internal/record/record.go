// Package record is a session as one request knows it, and how it gets into the store. It knows neither HTTP nor locks.
package record

import (
	"context"
	"errors"
	"fmt"

	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/object"
	"github.com/sessionkv/session/internal/token"
	"github.com/sessionkv/session/internal/value"
)

// ErrEnded says that the session is no more. It is session.ErrEnded.
var ErrEnded = errors.New("session: ended")

// A Record is one session as one request knows it: what the store has of it, as far as is known, and what the request did to
// it since. It is used by one goroutine at a time.
type Record struct {
	keeper *Keeper

	ref     token.Reference // of the session, also when it has ended; zero until it is stored
	stored  value.Value     // what the store has
	members object.Object   // what is stored, with the changes
	changes changes         // since the last save
	unsure  *value.Value    // what a save of unknown outcome has sent

	renewing bool   // the next save gives the session a new token
	doomed   string // ID of the session that the next save deletes
	ended    bool   // a save found that the session is no more

	issued  *token.Token // for the client
	revoked bool         // the client's token leads nowhere any more, by what this request did
}

// Init makes r an empty session of k's store.
func (r *Record) Init(k *Keeper) { *r = Record{keeper: k} }

// Find looks up what refs refer to. If two of them lead to living sessions, one may be an attacker's, so neither is used.
// After an error r is empty.
func (r *Record) Find(ctx context.Context, refs []token.Reference) error {
	for _, ref := range refs {
		found, err := r.keeper.load(ctx, ref)
		switch {
		case errors.Is(err, driver.ErrNotFound):
		case err != nil:
			r.forget()
			return err
		case r.stored.Exists():
			r.keeper.Logger.WarnContext(ctx, "cookies of two living sessions, neither is used", "id", r.ref.ID, "other", ref.ID)
			r.forget()
			return nil
		default:
			r.ref = ref
			r.saved(found)
		}
	}
	return nil
}

// Reference returns what the session's token refers to, also when the session has ended; the zero Reference until it is
// stored.
func (r *Record) Reference() token.Reference { return r.ref }

// IsStored reports whether the store has the session, as far as is known.
func (r *Record) IsStored() bool { return r.stored.Exists() }

// HasEnded reports whether a save found that the session is no more.
func (r *Record) HasEnded() bool { return r.ended }

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

// Update replaces the value of a key by what update makes of it, and again when a save meets a newer value.
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
	if size := value.Size(&members); size > r.keeper.MaxBytes && size > value.Size(&r.members) {
		return fmt.Errorf("%w: %d bytes with key %q, at most %d", value.ErrTooLarge, size, c.key, r.keeper.MaxBytes)
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

// Destroy lets the next save delete the session. What is set afterwards begins a new one.
func (r *Record) Destroy() {
	if r.stored.Exists() {
		r.doomed = r.ref.ID
	}
	r.forget()
	r.ended = false
}

// Free gives back memory. What is stored is not known any more; the members can still be read.
func (r *Record) Free() { r.stored.Free() }

// forget makes r an empty session that is not stored.
func (r *Record) forget() {
	r.ref, r.stored, r.members, r.unsure = token.Reference{}, value.Value{}, object.Object{}, nil
	r.changes.drop()
	r.renewing, r.issued = false, nil
}

// Discard drops what was changed and not saved.
func (r *Record) Discard() {
	r.members, r.renewing = r.stored.Members, false
	r.changes.drop()
}

// end drops everything, for the session is no more. The reference stays, for logs.
func (r *Record) end() error {
	ref := r.ref
	r.forget()
	r.ref.ID, r.ended = ref.ID, true
	return ErrEnded
}

// issue makes the session one whose token the client has to be given.
func (r *Record) issue(fresh *token.Token) {
	r.ref, r.issued, r.renewing = fresh.Reference, fresh, false
}

// saved makes current, which holds all changes, what later changes build on.
func (r *Record) saved(current value.Value) {
	r.stored, r.members = current, current.Members
	r.changes.drop()
}
