package redisstore

import (
	"context"
	"time"

	"github.com/sessionkv/session/driver"
)

var _ driver.Large = (*Store)(nil)

// LoadLarge implements [driver.Large]: with the commands of Load, and ahead of them a PEXPIRE of the parts, which must not
// end before the value if the connection breaks in between.
func (s *Store) LoadLarge(ctx context.Context, id string, ttl time.Duration) ([]byte, error) {
	load, commands := s.loads.of(s.prefix, id, milliseconds(ttl))
	copy(load.keep[:], keepParts(s.key(id), ttl).Args)
	replies, _, err := s.client.Do(ctx, s.address(id), commands...)
	if err != nil {
		return nil, s.failed("load", id, err) // load is not used again: the client may still be sending it
	}
	s.loads.put(load)
	if err := firstRefusal(replies[:1]); err != nil {
		return nil, s.failed("load", id, err)
	}
	value, _, err := found(replies[1:], driver.UserOf(id) != "")
	return value, s.failed("load", id, err)
}

// SaveLarge implements [driver.Large]: with a transaction for each part, in two round trips, and then the commands of
// Save with a PEXPIRE of the parts ahead of them. On a [Client], a script takes the place of a transaction.
func (s *Store) SaveLarge(ctx context.Context, id string, was, value []byte, ttl time.Duration, parts ...driver.Part) ([]byte, error) {
	key := s.key(id)
	for _, part := range parts {
		if err := s.storePart(ctx, key, part, ttl); err != nil {
			return nil, s.failed("save part of", id, err)
		}
	}
	first := []Command{keepParts(key, ttl)}
	return s.save(ctx, id, change{first: first, key: key, was: was, value: value, ttl: milliseconds(ttl)})
}

// Part implements [driver.Large] with one HGET, behind a GETEX of nothing: a replica refuses that, so that it does not
// answer with what is out of date.
func (s *Store) Part(ctx context.Context, id, name string) ([]byte, error) {
	key := s.key(id)
	replies, _, err := s.client.Do(ctx, key, cmd("GETEX", besides(key, "none")), cmd("HGET", partsOf(key), name))
	if err == nil {
		err = firstRefusal(replies)
	}
	if err != nil {
		return nil, s.failed("load part of", id, notAHash(err))
	}
	text, err := bulk(replies[1], nil)
	return text, s.failed("load part of", id, err)
}

// RemoveParts implements [driver.Large] with one HDEL, or for all parts with one UNLINK.
func (s *Store) RemoveParts(ctx context.Context, id string, names ...string) error {
	key := s.key(id)
	if len(names) == 0 {
		_, _, err := s.one(ctx, "UNLINK", partsOf(key))
		return s.failed("remove parts of", id, err)
	}
	fields := make([]any, len(names))
	for i, name := range names {
		fields[i] = name
	}
	_, _, err := s.one(ctx, "HDEL", partsOf(key), fields...)
	return s.failed("remove parts of", id, err)
}
