package redisstore

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/sessionkv/session/driver"
)

// Load implements [driver.Store] with one GETEX. For the ID of a user, a ZRANK goes ahead of it.
func (s *Store) Load(ctx context.Context, id string, ttl time.Duration) ([]byte, error) {
	load, commands := s.loads.of(s.prefix, id, milliseconds(ttl))
	replies, _, err := s.client.Do(ctx, s.address(id), commands[1:]...)
	if err != nil {
		return nil, s.failed("load", id, err) // load is not used again: the client may still be sending it
	}
	s.loads.put(load)
	value, _, err := found(replies, driver.UserOf(id) != "")
	return value, s.failed("load", id, err)
}

// Peek implements [driver.Store] with GETEX and PTTL in one flush. For the ID of a user, a ZRANK goes ahead of them. A
// GETEX without an option changes nothing. A replica refuses it, and therefore cannot answer with old data.
func (s *Store) Peek(ctx context.Context, id string) ([]byte, time.Duration, error) {
	key, member := s.key(id), member(id)
	commands := []Command{cmd("GETEX", key), cmd("PTTL", key)}
	if member != "" {
		commands = slices.Insert(commands, 0, cmd("ZRANK", s.userOf(id).list, member))
	}
	replies, _, err := s.client.Do(ctx, key, commands...)
	if err != nil {
		return nil, 0, s.failed("peek", id, err)
	}
	value, rest, err := found(replies, member != "")
	if err != nil && value == nil {
		return nil, 0, s.failed("peek", id, err)
	}
	ttl, gone := timeToLive(rest[0])
	if gone != nil {
		return nil, 0, s.failed("peek", id, cmp.Or(err, gone))
	}
	return value, ttl, s.failed("peek", id, err)
}

// found turns the replies to a load into a value, the reply that follows it, and an error. With a user, the first reply
// is that of the list. The value of an ID that is not in the list comes with ErrRemoved.
func found(replies []any, ofUser bool) (value []byte, rest []any, err error) {
	removed := false
	if ofUser {
		if refused, ok := replies[0].(Refusal); ok {
			return nil, nil, refused
		}
		removed, replies = replies[0] == nil, replies[1:]
	}
	value, err = bulk(replies[0], firstRefusal(replies))
	if removed && (err == nil || err == driver.ErrNotFound || err == errWrongType) {
		err = driver.ErrRemoved
	}
	return value, replies[1:], err
}
