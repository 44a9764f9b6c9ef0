package record

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sessionkv/session/driver"
)

// Users returns what the store knows of users, or why it knows nothing.
func (k *Keeper) Users() (driver.Users, error) {
	users, ok := k.Store.(driver.Users)
	if !ok {
		return nil, fmt.Errorf("session: users cannot sign in with a store of the type %T, which does not know them: %w", k.Store, errors.ErrUnsupported)
	}
	return users, nil
}

// entry is what makes an ID one of its user's.
func (k *Keeper) entry(id, stamp string) driver.Entry {
	return driver.Entry{ID: id, Stamp: stamp, Keep: k.longest(), Limit: k.Limit, Refuse: k.RefuseMore}
}

// longest is how long a session can live at most.
func (k *Keeper) longest() (longest time.Duration) {
	for _, class := range k.Classes {
		longest = max(longest, class.Lifetime)
	}
	return longest
}

// leave takes an ID whose session is over from its user's list. If that fails, it stays there without a value, which the
// list forgets by itself.
func (k *Keeper) leave(ctx context.Context, id string) {
	if driver.UserOf(id) == "" {
		return
	}
	if users, err := k.Users(); err == nil {
		_ = users.Remove(ctx, id)
	}
}

// bury leaves a last word in the place of sessions of one user that were removed from the list. If that fails, their
// values stay until they expire, and nobody can be told why they have ended.
func (k *Keeper) bury(ctx context.Context, users driver.Users, ids []string, why uint8) {
	if len(ids) == 0 {
		return
	}
	last := newLastWord(why)
	if err := users.Bury(ctx, last.Bytes, lastWordTTL, ids...); err != nil {
		k.Logger.WarnContext(ctx, "ended sessions not deleted before they expire", "ids", ids, "error", err)
	}
}
