package record

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/token"
	"github.com/sessionkv/session/internal/value"
)

// A Keeper is the store as a Manager uses it, and the only one that calls it. Its fields do not change; it serves any
// number of records at once.
type Keeper struct {
	Store       driver.Store
	IdleTimeout time.Duration
	Lifetime    time.Duration
	MaxBytes    int
	Logger      *slog.Logger // gets the contexts that the methods get

	turns turns
}

// ttl returns how long a session with this deadline is kept without use. It is less than a millisecond when the session
// is over.
func (k *Keeper) ttl(deadline time.Time) time.Duration {
	return min(k.IdleTimeout, time.Until(deadline))
}

func isOver(ttl time.Duration) bool { return ttl < time.Millisecond }

// newToken makes the token of a session that begins.
func (k *Keeper) newToken() *token.Token { return token.New(time.Now(), k.Lifetime) }

// A fetch gets what is stored, and tells how long it is kept without use.
type fetch func(k *Keeper, ctx context.Context, ref token.Reference) (value.Value, time.Duration, error)

// load returns what is stored and gives it its time to live anew. A value that is no session is logged, left alone, and
// driver.ErrNotFound.
func (k *Keeper) load(ctx context.Context, ref token.Reference) (value.Value, time.Duration, error) {
	ttl := k.ttl(ref.Deadline)
	if isOver(ttl) {
		return value.Value{}, 0, driver.ErrNotFound
	}
	text, err := k.Store.Load(ctx, ref.ID, ttl)
	v, err := k.parsed(ctx, ref.ID, text, err)
	return v, ttl, err
}

// peek is load that gives no more time to live.
func (k *Keeper) peek(ctx context.Context, ref token.Reference) (value.Value, time.Duration, error) {
	if isOver(k.ttl(ref.Deadline)) {
		return value.Value{}, 0, driver.ErrNotFound
	}
	text, ttl, err := k.Store.Peek(ctx, ref.ID)
	v, err := k.parsed(ctx, ref.ID, text, err)
	return v, min(ttl, k.ttl(ref.Deadline)), err
}

// parsed is parse of what a store returns.
func (k *Keeper) parsed(ctx context.Context, id string, text []byte, err error) (value.Value, error) {
	if errors.Is(err, driver.ErrNotFound) && err != driver.ErrNotFound {
		k.logInvalid(ctx, id, err)
	}
	if err != nil {
		return value.Value{}, err
	}
	return k.parse(ctx, id, text)
}

// parse returns text as a Value. What is no session is logged, and driver.ErrNotFound.
func (k *Keeper) parse(ctx context.Context, id string, text []byte) (value.Value, error) {
	v, err := value.Parse(text)
	if err != nil {
		k.logInvalid(ctx, id, err)
		return value.Value{}, driver.ErrNotFound
	}
	return v, nil
}

func (k *Keeper) logInvalid(ctx context.Context, id string, err error) {
	k.Logger.WarnContext(ctx, "stored value is not a session", "id", id, "error", err)
}

// begin stores the first value of a session, under an ID that is not in use.
func (k *Keeper) begin(ctx context.Context, ref token.Reference, first []byte) error {
	_, err := k.Store.Save(ctx, ref.ID, nil, first, k.ttl(ref.Deadline))
	if errors.Is(err, driver.ErrConflict) || errors.Is(err, driver.ErrNotFound) {
		return fmt.Errorf("session: the store refused the new ID %s: %v", ref.ID, err)
	}
	return err
}

// save stores next in place of was; see driver.Store for the errors.
func (k *Keeper) save(ctx context.Context, ref token.Reference, was, next []byte) (current []byte, err error) {
	ttl := k.ttl(ref.Deadline)
	if isOver(ttl) {
		return nil, driver.ErrNotFound
	}
	return k.Store.Save(ctx, ref.ID, was, next, ttl)
}

// end deletes a session and returns its last value.
func (k *Keeper) end(ctx context.Context, id string) (last []byte, err error) {
	return k.Store.Delete(ctx, id, nil)
}
