// Package record is a session as one request knows it, and how it gets into the store. It knows neither HTTP nor locks.
package record

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/object"
	"github.com/sessionkv/session/internal/token"
	"github.com/sessionkv/session/internal/value"
)

// ErrEnded says that the session is no more. It is session.ErrEnded.
var ErrEnded = errors.New("session: ended")

// A Record is one session as one request knows it: what the store has of it, as far as is known, and what the request
// did to it since. It is used by one goroutine at a time.
type Record struct {
	keeper *Keeper

	state
	members object.Object // what is stored, with the changes
	changes changes       // since the last save

	renewing  bool     // the next save gives the session a new token
	destroyed *state   // what Destroy was called on, until it is deleted
	rivals    []string // IDs of living sessions whose tokens came together, so that none of them is used
	ambiguous bool     // there were rivals
	revoked   bool     // the client's token leads nowhere any more, by what this request did
}

// state is which session it is, and how it stands with the store.
type state struct {
	ref    token.Reference // also of a session that has ended; zero until it is stored
	stored value.Value     // what the store has
	unsure *value.Value    // what a save of unknown outcome has sent
	ended  bool            // a save found that the session is no more
	issued *token.Token    // for the client
	idle   time.Time       // until when it is kept without use
}

// Init makes r an empty session of k's store.
func (r *Record) Init(k *Keeper) { *r = Record{keeper: k} }

// Find looks up what refs refer to. If several of them lead to living sessions, one may be an attacker's, so none is
// used, and the session that begins next ends them. After an error r is empty.
func (r *Record) Find(ctx context.Context, refs []token.Reference) error {
	return r.find(ctx, refs, (*Keeper).load)
}

// Peek is Find that gives no more time to live.
func (r *Record) Peek(ctx context.Context, refs []token.Reference) error {
	return r.find(ctx, refs, (*Keeper).peek)
}

func (r *Record) find(ctx context.Context, refs []token.Reference, fetch fetch) error {
	for _, ref := range refs {
		found, ttl, err := fetch(r.keeper, ctx, ref)
		switch {
		case errors.Is(err, driver.ErrNotFound):
		case err != nil:
			r.Init(r.keeper)
			return err
		case r.stored.Exists():
			r.rivals = append(r.rivals, ref.ID)
		default:
			r.ref = ref
			r.saved(found)
			r.keptFor(ttl)
		}
	}
	if len(r.rivals) > 0 {
		r.rivals, r.ambiguous = append([]string{r.ref.ID}, r.rivals...), true
		r.keeper.Logger.WarnContext(ctx, "cookies of several living sessions, none is used", "ids", r.rivals)
		r.forget()
	}
	return nil
}

// Reference returns what the session's token refers to, also when the session has ended; the zero Reference until it is
// stored.
func (r *Record) Reference() token.Reference { return r.ref }

// IdleDeadline returns until when the session is kept without use; the zero Time if it is not stored.
func (r *Record) IdleDeadline() time.Time { return r.idle }

// IsStored reports whether the store has the session, as far as is known.
func (r *Record) IsStored() bool { return r.stored.Exists() }

// HasEnded reports whether a save found that the session is no more.
func (r *Record) HasEnded() bool { return r.ended }

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
	if r.destroyed == nil && (r.stored.Exists() || r.ended || len(r.rivals) > 0) {
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
	r.members, r.unsure, r.renewing = r.stored.Members, nil, false
	r.changes.drop()
}

// Free gives back memory. What is stored is not known any more; the members can still be read.
func (r *Record) Free() { r.stored.Free() }

// forget makes r an empty session that is not stored.
func (r *Record) forget() {
	r.state, r.members, r.renewing = state{}, object.Object{}, false
	r.changes.drop()
}

// end drops everything, for the session is no more. The ID stays, for logs.
func (r *Record) end(ctx context.Context) error {
	id := r.ref.ID
	if !r.changes.areNone() {
		r.keeper.Logger.InfoContext(ctx, "session changes dropped, for it has ended", "id", id)
	}
	r.forget()
	r.ref.ID, r.ended = id, true
	return ErrEnded
}

// keptFor notes how long the session is kept without use.
func (r *Record) keptFor(ttl time.Duration) { r.idle = time.Now().Add(ttl) }

// issue makes the session one whose token the client has to be given.
func (r *Record) issue(fresh *token.Token) {
	r.ref, r.issued, r.renewing = fresh.Reference, fresh, false
	r.keptFor(r.keeper.ttl(r.ref.Deadline))
}

// saved makes current, which holds all changes, what later changes build on.
func (r *Record) saved(current value.Value) {
	r.stored, r.members = current, current.Members
	r.changes.drop()
}
