package redisstore

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/sessionkv/session/driver"
)

// atOnce is how many values of a user are read or changed in one flush.
const atOnce = 100

// clean takes members without a value from the list before an Add. If there is a limit, it takes all that would count.
// Otherwise it takes some of those that are older than the new one will become. An old member need not be dead: its
// lifetime may be another, and a Replace keeps its place.
func (s *Store) clean(ctx context.Context, u user, e driver.Entry, now time.Time) error {
	which := []any{0, -1}
	if e.Limit == 0 {
		which = []any{"-inf", fmt.Sprintf("(%d", now.Add(-e.Keep).UnixMilli()), "BYSCORE", "LIMIT", 0, atOnce}
	}
	members, err := s.listed(ctx, u, which...)
	if err != nil || len(members) < e.Limit {
		return err
	}
	var dead []any
	for some := range slices.Chunk(members, atOnce) {
		var commands []Command
		for _, member := range some {
			commands = append(commands, cmd("EXISTS", u.key(member)))
		}
		replies, err := s.ask(ctx, u, commands...)
		if err != nil {
			return err
		}
		for i, member := range some {
			if replies[i] == int64(0) {
				dead = append(dead, member)
			}
		}
	}
	return s.drop(ctx, u, dead)
}

// listed are the members of a ZRANGE.
func (s *Store) listed(ctx context.Context, u user, which ...any) ([]string, error) {
	replies, err := s.ask(ctx, u, cmd("ZRANGE", append([]any{u.list}, which...)...))
	if err != nil {
		return nil, err
	}
	return redis.Strings(replies[0], nil)
}

// ask runs commands that only read behind a GETEX. A replica refuses the GETEX, and therefore cannot answer with old
// data.
func (s *Store) ask(ctx context.Context, u user, commands ...Command) ([]any, error) {
	replies, _, err := s.client.Do(ctx, u.stamp, append([]Command{cmd("GETEX", u.stamp)}, commands...)...)
	if err == nil {
		err = firstRefusal(replies)
	}
	if err != nil {
		return nil, err
	}
	return replies[1:], nil
}

// drop takes members from the list that have no value any more. They never get one again.
func (s *Store) drop(ctx context.Context, u user, members []any) error {
	if len(members) == 0 {
		return nil
	}
	_, _, err := s.one(ctx, "ZREM", u.list, members...)
	return err
}
