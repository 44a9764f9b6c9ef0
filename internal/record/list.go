package record

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/token"
)

// OverLimit is why a session is ended to make room for another of its user.
const OverLimit = 4

// Stamp returns what changes when all sessions of a user, or all others, are ended.
func (k *Keeper) Stamp(ctx context.Context, user string) (string, error) {
	users, err := k.Users()
	if err != nil {
		return "", err
	}
	return users.Stamp(ctx, tagOf(user))
}

// EndAll ends all sessions of a user.
func (k *Keeper) EndAll(ctx context.Context, user string, why uint8) error {
	users, err := k.Users()
	if err != nil {
		return err
	}
	w := k.watch(ctx)
	removed, err := users.RemoveAll(ctx, tagOf(user))
	if err == nil {
		k.bury(ctx, users, removed, why)
	}
	k.tell(ctx, w, Act{Kind: End, User: user, Reason: why, Count: len(removed)}, err)
	return err
}

// End ends a session of a user. ErrEnded says that the user has no such session.
func (k *Keeper) End(ctx context.Context, user, id string, why uint8) error {
	users, err := k.Users()
	if err != nil {
		return err
	}
	if driver.UserOf(id) != tagOf(user) {
		return fmt.Errorf("%w: it is none of this user", ErrEnded)
	}
	w := k.watch(ctx)
	act := Act{Kind: End, ID: id, User: user, Reason: why}
	err = users.Remove(ctx, id)
	switch {
	case errors.Is(err, driver.ErrRemoved):
		err = ErrEnded
	case err == nil:
		k.bury(ctx, users, []string{id}, why)
		act.Count = 1
	}
	k.tell(ctx, w, act, err)
	return err
}

// List returns the living sessions of a user, the latest sign-in first.
func (k *Keeper) List(ctx context.Context, user string) ([]Record, error) {
	users, err := k.Users()
	if err != nil {
		return nil, err
	}
	members, err := users.Members(ctx, tagOf(user))
	if err != nil {
		return nil, err
	}
	var list []Record
	for _, member := range members {
		found, err := k.read(ctx, member.ID, member.Value)
		if err == nil && found.isNothing() {
			k.leave(ctx, member.ID) // a renewal that never came to its end
		}
		if err == nil && found.mark != nil && found.mark.marker != nil {
			found, member.TTL, err = k.renewed(ctx, found.mark.marker.To)
		}
		if err == nil && found.mark == nil && found.owner.user() == user {
			list = append(list, k.listed(member, found))
		}
	}
	slices.Reverse(list) // of two sign-ins in one millisecond too, the latest comes first
	slices.SortStableFunc(list, func(a, b Record) int { return b.SignedIn().Compare(a.SignedIn()) })
	return list, nil
}

// renewed returns the session that is about to take the place of another in the list. Until it does, it goes by the other's
// ID: who ends that one ends the renewal.
func (k *Keeper) renewed(ctx context.Context, id string) (f found, ttl time.Duration, err error) {
	text, ttl, err := k.Store.Peek(ctx, id)
	if errors.Is(err, driver.ErrRemoved) && text != nil {
		err = nil
	}
	if err != nil {
		return found{}, 0, err
	}
	f, err = k.read(ctx, id, text)
	return f, ttl, err
}

func (k *Keeper) listed(member driver.Member, f found) (r Record) {
	r.Init(k)
	r.ref = token.Reference{ID: member.ID, Deadline: time.Unix(f.owner.Deadline, 0), Class: f.owner.Class}
	r.owner = f.owner
	r.saved(f.value)
	r.keptFor(min(member.TTL, k.ttl(r.ref)))
	return r
}
