package campaign

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/testkit"
)

// A gatedStore is the store as one actor has it. Each call waits until the schedule lets the actor go on, and can be where
// the actor crashes, or what fails.
type gatedStore struct {
	testkit.UserStore
	actor *actor
}

// errFault is that of a call whose outcome the caller does not know.
var errFault = errors.New("connection lost")

// crashed is the panic of an actor that goes no further.
type crashed struct{}

// call does one call of the store when it is the turn of the actor.
func call[T any](s gatedStore, what string, do func() (T, error)) (result T, err error) {
	a := s.actor
	a.yield()
	a.calls++
	defer func() { a.world.note(a, "%s: %v", what, err) }()
	if a.calls == a.crashAt {
		a.world.faults = true
		panic(crashed{})
	}
	fails := a.calls == a.failAt
	a.world.faults = a.world.faults || fails
	if fails && a.failsBefore {
		a.faulty = true
		return result, errFault
	}
	result, err = do()
	if fails {
		a.faulty = true
		var none T
		return none, errFault
	}
	return result, err
}

// peeked is what Peek returns.
type peeked struct {
	value []byte
	ttl   time.Duration
}

func (s gatedStore) Load(ctx context.Context, id string, ttl time.Duration) ([]byte, error) {
	return call(s, "Load "+id, func() ([]byte, error) { return s.UserStore.Load(ctx, id, ttl) })
}

func (s gatedStore) Peek(ctx context.Context, id string) ([]byte, time.Duration, error) {
	p, err := call(s, "Peek "+id, func() (p peeked, err error) {
		p.value, p.ttl, err = s.UserStore.Peek(ctx, id)
		return p, err
	})
	return p.value, p.ttl, err
}

func (s gatedStore) Save(ctx context.Context, id string, was, value []byte, ttl time.Duration) ([]byte, error) {
	return s.save("Save ", id, was, func() ([]byte, error) { return s.UserStore.Save(ctx, id, was, value, ttl) })
}

func (s gatedStore) save(what, id string, was []byte, do func() ([]byte, error)) ([]byte, error) {
	return call(s, what+id, func() ([]byte, error) {
		s.actor.world.know(id)
		if was == nil {
			s.actor.fresh[id] = true
		}
		current, err := do()
		if err == nil && !s.actor.fresh[id] {
			s.actor.stored = append(s.actor.stored, id)
		}
		return current, err
	})
}

func (s gatedStore) Delete(ctx context.Context, id string, was []byte) ([]byte, error) {
	return call(s, "Delete "+id, func() ([]byte, error) {
		value, err := s.UserStore.Delete(ctx, id, was)
		if err == nil && !s.actor.fresh[id] {
			s.actor.ended = append(s.actor.ended, id)
			s.actor.world.lost(id)
		}
		return value, err
	})
}

func (s gatedStore) Stamp(ctx context.Context, user string) (string, error) {
	return call(s, "Stamp "+user, func() (string, error) { return s.UserStore.Stamp(ctx, user) })
}

func (s gatedStore) Add(ctx context.Context, entry driver.Entry) ([]string, error) {
	return call(s, "Add "+entry.ID, func() ([]string, error) {
		over, err := s.UserStore.Add(ctx, entry)
		s.actor.world.remove(over)
		return over, err
	})
}

func (s gatedStore) Replace(ctx context.Context, was string, entry driver.Entry) error {
	_, err := call(s, "Replace "+was+" by "+entry.ID, func() (bool, error) { return false, s.UserStore.Replace(ctx, was, entry) })
	return err
}

func (s gatedStore) Remove(ctx context.Context, id string) error {
	_, err := call(s, "Remove "+id, func() (bool, error) {
		err := s.UserStore.Remove(ctx, id)
		if err == nil {
			s.removed(id)
		}
		return false, err
	})
	return err
}

func (s gatedStore) RemoveOthers(ctx context.Context, keep string) ([]string, error) {
	return call(s, "RemoveOthers "+keep, func() ([]string, error) {
		removed, err := s.UserStore.RemoveOthers(ctx, keep)
		s.removed(removed...)
		return removed, err
	})
}

func (s gatedStore) RemoveAll(ctx context.Context, user string) ([]string, error) {
	return call(s, "RemoveAll "+user, func() ([]string, error) {
		removed, err := s.UserStore.RemoveAll(ctx, user)
		s.removed(removed...)
		return removed, err
	})
}

// removed notes what the actor has taken from the list.
func (s gatedStore) removed(ids ...string) {
	s.actor.world.remove(ids)
	for _, id := range ids {
		if !s.actor.fresh[id] {
			s.actor.ended = append(s.actor.ended, id)
		}
	}
}

func (s gatedStore) Bury(ctx context.Context, last []byte, ttl time.Duration, ids ...string) error {
	_, err := call(s, "Bury "+fmt.Sprint(ids), func() (bool, error) { return false, s.UserStore.Bury(ctx, last, ttl, ids...) })
	return err
}

func (s gatedStore) Members(ctx context.Context, user string) ([]driver.Member, error) {
	return call(s, "Members "+user, func() ([]driver.Member, error) { return s.UserStore.Members(ctx, user) })
}
