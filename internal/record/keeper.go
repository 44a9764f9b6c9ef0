package record

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/device"
	"github.com/sessionkv/session/internal/token"
	"github.com/sessionkv/session/internal/value"
)

// A Keeper is the store as a Manager uses it, and the only one that calls it. Its fields do not change; it serves any
// number of records at once.
type Keeper struct {
	Store      driver.Store
	Classes    map[uint8]Lifetimes // has 0
	MaxBytes   int
	Limit      int                                // of the sessions of a user; 0 is any number
	MaxLarge   int                                // bytes of all large values of a session
	Bindings   bool                               // are looked at, also if no session is bound anew
	Bound      bool                               // sessions of users can be bound to a device
	RefuseMore bool                               // than Limit
	Logger     *slog.Logger                       // gets the contexts that the methods get, as Observe does
	Observe    func(ctx context.Context, act Act) // nil: nobody does

	turns turns
	known known
}

// Lifetimes are how long the sessions of a class live.
type Lifetimes struct {
	IdleTimeout time.Duration
	Lifetime    time.Duration
}

// lifetimes returns those of a class. A class that is configured no more has those of class 0.
func (k *Keeper) lifetimes(class uint8) Lifetimes {
	if found, ok := k.Classes[class]; ok {
		return found
	}
	return k.Classes[0]
}

// ttl returns how long a session is kept without use. It is less than a millisecond when the session is over.
func (k *Keeper) ttl(ref token.Reference) time.Duration {
	return min(k.lifetimes(ref.Class).IdleTimeout, time.Until(ref.Deadline))
}

func isOver(ttl time.Duration) bool { return ttl < time.Millisecond }

// newToken makes the token of a session that begins. The user is "" for nobody.
func (k *Keeper) newToken(user string, class uint8) *token.Token {
	now, lifetime := time.Now(), k.lifetimes(class).Lifetime
	if user == "" {
		return token.New(now, lifetime)
	}
	return token.NewOf(tagOf(user), class, now, lifetime)
}

// limit is how many bytes a value can have.
func (k *Keeper) limit() int {
	if k.Bound {
		return k.MaxBytes + boundBytes
	}
	return k.MaxBytes
}

// A fetch gets what is stored, and tells how long it is kept without use.
type fetch func(k *Keeper, ctx context.Context, ref token.Reference) (found, time.Duration, error)

// found is a session, or the mark in its place.
type found struct {
	value   value.Value
	owner   owner           // of the ID of a user
	mark    *mark           // nil for a session
	binding *device.Binding // if it can be bound
}

// load returns what is stored and gives it its time to live anew. A value that is no session is logged, left alone, and
// errInvalid, which is a driver.ErrNotFound.
func (k *Keeper) load(ctx context.Context, ref token.Reference) (found, time.Duration, error) {
	ttl := k.ttl(ref)
	if isOver(ttl) {
		return found{}, 0, driver.ErrNotFound
	}
	store, canLarge := k.Store.(driver.Large)
	if canLarge && k.known.has(ref.ID) {
		return k.loadLarge(ctx, ref, store)
	}
	text, err := k.Store.Load(ctx, ref.ID, ttl)
	f, err := k.found(ctx, ref.ID, text, err)
	if err == nil && canLarge && hasLarge(f.value.Members) {
		k.known.add(ref.ID)
		return k.loadLarge(ctx, ref, store)
	}
	return f, ttl, err
}

// peek is load that gives no more time to live.
func (k *Keeper) peek(ctx context.Context, ref token.Reference) (found, time.Duration, error) {
	if isOver(k.ttl(ref)) {
		return found{}, 0, driver.ErrNotFound
	}
	text, ttl, err := k.Store.Peek(ctx, ref.ID)
	f, err := k.found(ctx, ref.ID, text, err)
	return f, min(ttl, k.ttl(ref)), err
}

// found is what a store returns. An ID that is not one of its user's has its mark at most.
func (k *Keeper) found(ctx context.Context, id string, text []byte, err error) (found, error) {
	removed := errors.Is(err, driver.ErrRemoved)
	switch {
	case removed && text == nil:
		return found{}, driver.ErrNotFound
	case err != nil && !removed:
		if errors.Is(err, driver.ErrNotFound) && err != driver.ErrNotFound {
			k.logInvalid(ctx, id, err)
			err = errInvalid
		}
		return found{}, err
	}
	f, err := k.read(ctx, id, text)
	if err == nil && (removed && f.mark == nil || f.isNothing()) {
		err = driver.ErrNotFound
	}
	return f, err
}

// isNothing reports whether it is a mark that is over.
func (f *found) isNothing() bool { return f.mark != nil && *f.mark == mark{} }

// read returns what text is. What is neither a session nor a mark is logged, and errInvalid.
func (k *Keeper) read(ctx context.Context, id string, text []byte) (found, error) {
	v, err := value.Parse(text)
	if err != nil {
		k.logInvalid(ctx, id, err)
		return found{}, errInvalid
	}
	f := found{value: v, mark: markOf(v.Members)}
	if f.mark != nil && f.mark.marker != nil {
		f.mark.marker.from = id
	}
	if f.mark == nil && driver.UserOf(id) != "" {
		var ok bool
		if f.owner, ok = ownerOf(v.Members, id); !ok {
			k.logInvalid(ctx, id, errNotOfUser)
			return found{}, errInvalid
		}
		if k.Bindings {
			f.binding = bindingOf(v.Members, id)
		}
	}
	return f, nil
}

// errInvalid says that what is stored is no session.
var errInvalid = fmt.Errorf("session: no session is stored: %w", driver.ErrNotFound)

var errNotOfUser = errors.New("it does not name the user that its ID belongs to")

func (k *Keeper) logInvalid(ctx context.Context, id string, err error) {
	k.Logger.WarnContext(ctx, "stored value is not a session", "id", id, "error", err)
}

// begin stores the first value of a session, under an ID that is not in use.
func (k *Keeper) begin(ctx context.Context, ref token.Reference, first *value.Value, parts []driver.Part) error {
	_, err := k.put(ctx, ref.ID, nil, first.Bytes, k.ttl(ref), hasLarge(first.Members), parts)
	if errors.Is(err, driver.ErrConflict) || errors.Is(err, driver.ErrNotFound) {
		return fmt.Errorf("session: the store refused the new ID %s: %v", ref.ID, err)
	}
	return err
}

// save stores next, with parts, in place of was; see driver.Store for the errors.
func (k *Keeper) save(ctx context.Context, ref token.Reference, was []byte, next *value.Value, parts []driver.Part) (current []byte, err error) {
	ttl := k.ttl(ref)
	if isOver(ttl) {
		return nil, driver.ErrNotFound
	}
	return k.put(ctx, ref.ID, was, next.Bytes, ttl, hasLarge(next.Members), parts)
}

// mark is save of a marker. It leaves the parts as they are: it may be refused, and then the session needs them.
func (k *Keeper) mark(ctx context.Context, ref token.Reference, was, marker []byte) (current []byte, err error) {
	ttl := min(k.ttl(ref), markerTTL)
	if isOver(ttl) {
		return nil, driver.ErrNotFound
	}
	return k.Store.Save(ctx, ref.ID, was, marker, ttl)
}

// remove deletes a session whose value has not changed; see driver.Store for the errors.
func (k *Keeper) remove(ctx context.Context, id string, was []byte) (current []byte, err error) {
	return k.Store.Delete(ctx, id, was)
}

// large returns the store as one of large values, or why it has none.
func (k *Keeper) large() (driver.Large, error) {
	store, ok := k.Store.(driver.Large)
	if !ok {
		return nil, fmt.Errorf("session: no large values with a store of the type %T: %w", k.Store, errors.ErrUnsupported)
	}
	return store, nil
}

// loadLarge is load of a session that has large values, which live as long.
func (k *Keeper) loadLarge(ctx context.Context, ref token.Reference, store driver.Large) (found, time.Duration, error) {
	ttl := k.ttl(ref)
	text, err := store.LoadLarge(ctx, ref.ID, ttl)
	f, err := k.found(ctx, ref.ID, text, err)
	if err == nil && !hasLarge(f.value.Members) {
		k.known.remove(ref.ID)
	}
	return f, ttl, err
}

// put stores next in the place of was. withParts says that the session has large values, or had some, which are to live as
// long.
func (k *Keeper) put(ctx context.Context, id string, was, next []byte, ttl time.Duration, withParts bool, parts []driver.Part) ([]byte, error) {
	if withParts {
		if store, err := k.large(); err == nil {
			return store.SaveLarge(ctx, id, was, next, ttl, parts...)
		}
	}
	return k.Store.Save(ctx, id, was, next, ttl)
}
