package goredis

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/sessionkv/session/redisstore"
)

// single is a [redisstore.Client] on one server, or on the master that go-redis finds through Sentinel.
type single struct {
	client *redis.Client
}

func (s single) Close() error { return s.client.Close() }

// Do does not need the key. It repeats the commands as redisstore's own pool does: once, after a broken connection or a
// READONLY.
func (s single) Do(ctx context.Context, _ string, commands ...redisstore.Command) (replies []any, lost, err error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	replies, err = run(ctx, s.client, commands, false)
	switch {
	case broken(err):
		lost = err
	case err != nil || !has(replies, "READONLY"):
		return replies, nil, err
	}
	replies, err = run(ctx, s.client, commands, false)
	return replies, lost, err
}
