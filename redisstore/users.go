package redisstore

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/sessionkv/session/driver"
)

var _ driver.Users = (*Store)(nil)

// stampTTL is how long, in milliseconds, a stamp lives after it was last asked for.
const stampTTL = 24 * 60 * 60 * 1000

// Stamp implements [driver.Users].
func (s *Store) Stamp(ctx context.Context, user string) (string, error) {
	u := s.user(user)
	replies, _, err := s.client.Do(ctx, u.stamp, cmd("SET", u.stamp, rand.Text(), "NX", "PX", stampTTL),
		cmd("GETEX", u.stamp, "PX", stampTTL))
	if err == nil {
		err = firstRefusal(replies)
	}
	if err != nil {
		return "", s.failed("stamp of", user, err)
	}
	stamp, err := redis.String(replies[1], nil)
	if err == redis.ErrNil {
		err = errEvicted
	}
	return stamp, s.failed("stamp of", user, err)
}

// Add implements [driver.Users].
func (s *Store) Add(ctx context.Context, entry driver.Entry) (over []string, err error) {
	u, now := s.userOf(entry.ID), time.Now()
	if err := s.clean(ctx, u, entry, now); err != nil {
		return nil, s.failed("add", entry.ID, err)
	}
	answer, _, err := s.take(ctx, u, u.add(entry, now))
	over, err = u.outcome(answer, err)
	return over, s.failed("add", entry.ID, err)
}

// Replace implements [driver.Users].
func (s *Store) Replace(ctx context.Context, was string, entry driver.Entry) error {
	u := s.userOf(entry.ID)
	answer, _, err := s.take(ctx, u, u.replace(was, entry))
	_, err = u.outcome(answer, err)
	return s.failed("replace", was, err)
}

// Remove implements [driver.Users].
func (s *Store) Remove(ctx context.Context, id string) error {
	reply, lost, err := s.one(ctx, "ZREM", s.userOf(id).list, member(id))
	if reply == int64(0) {
		err = cmp.Or(lost, driver.ErrRemoved)
	}
	return s.failed("remove", id, err)
}

// RemoveOthers implements [driver.Users].
func (s *Store) RemoveOthers(ctx context.Context, keep string) (removed []string, err error) {
	u := s.userOf(keep)
	answer, lost, err := s.take(ctx, u, u.removeOthers(keep))
	if answer == notListed && lost != nil {
		err = lost
	}
	removed, err = u.outcome(answer, err)
	return removed, s.failed("remove all but", keep, err)
}

// RemoveAll implements [driver.Users]. It does without a transaction, which Redis refuses when it is full.
func (s *Store) RemoveAll(ctx context.Context, user string) (removed []string, err error) {
	u := s.user(user)
	if _, _, err := s.one(ctx, "UNLINK", u.stamp); err != nil {
		return nil, s.failed("remove all of", user, err)
	}
	reply, _, err := s.one(ctx, "ZPOPMIN", u.list, math.MaxInt32)
	if err != nil {
		return nil, s.failed("remove all of", user, err)
	}
	members, err := popped(reply)
	return u.ids(members), s.failed("remove all of", user, err)
}

// popped are the members in the reply to a ZPOPMIN, where each comes with its score: one after the other, or in pairs.
func popped(reply any) (members []string, err error) {
	elements, err := redis.Values(reply, nil)
	for i, element := range elements {
		if pair, ok := element.([]any); ok && len(pair) > 0 {
			element = pair[0]
		} else if i%2 == 1 {
			continue
		}
		member, err := redis.String(element, nil)
		if err != nil {
			return nil, err
		}
		members = append(members, member)
	}
	return members, err
}

// outcome is that of a step.
func (u user) outcome(answer any, err error) (ids []string, _ error) {
	if err != nil {
		return nil, err
	}
	switch answer {
	case changed:
		return nil, nil
	case otherStamp:
		return nil, driver.ErrStamp
	case tooMany:
		return nil, driver.ErrFull
	case notListed:
		return nil, driver.ErrRemoved
	}
	members, ok := answer.([]string)
	if !ok {
		members, err = redis.Strings(answer, nil)
	}
	return u.ids(members), err
}

// Bury implements [driver.Users].
func (s *Store) Bury(ctx context.Context, last []byte, ttl time.Duration, ids ...string) error {
	for some := range slices.Chunk(ids, atOnce) {
		var commands []Command
		for _, id := range some {
			key := s.key(id) // a save that comes in between loses, and removes its own parts
			commands = append(commands, cmd("SET", key, last, "XX", "PX", milliseconds(ttl)), cmd("UNLINK", partsOf(key)))
		}
		replies, _, err := s.client.Do(ctx, s.key(some[0]), commands...)
		if err == nil {
			err = firstRefusal(replies)
		}
		if err != nil {
			return s.failed("bury", some[0], err)
		}
	}
	return nil
}

// Members implements [driver.Users].
func (s *Store) Members(ctx context.Context, user string) ([]driver.Member, error) {
	u := s.user(user)
	members, err := s.members(ctx, u)
	return members, s.failed("members of", user, err)
}

func (s *Store) members(ctx context.Context, u user) (members []driver.Member, err error) {
	listed, err := s.listed(ctx, u, 0, -1)
	if err != nil {
		return nil, err
	}
	var dead []any
	for some := range slices.Chunk(listed, atOnce) {
		var commands []Command
		for _, member := range some {
			commands = append(commands, cmd("GETEX", u.key(member)), cmd("PTTL", u.key(member)))
		}
		replies, _, err := s.client.Do(ctx, u.list, commands...)
		if err != nil {
			return nil, err
		}
		for i, member := range some {
			value, rest, err := found(replies[2*i:2*i+2], false)
			var ttl time.Duration
			if err == nil {
				ttl, err = timeToLive(rest[0])
			}
			if errors.Is(err, driver.ErrNotFound) {
				dead = append(dead, member)
				continue
			}
			if err != nil {
				return nil, err
			}
			members = append(members, driver.Member{ID: u.id(member), Value: value, TTL: ttl})
		}
	}
	return members, s.drop(ctx, u, dead)
}
