package redisstore

import (
	"context"

	"github.com/gomodule/redigo/redis"
)

// A Client runs commands on the Redis server that owns a key. [New] makes one of redigo's pool; for another library of
// Redis, implement it and call [NewWithClient]. It is called from many goroutines at once.
type Client interface {
	// Do runs the commands on the server that owns key, in this order, on one connection and in one flush, and returns
	// the reply to each: nil, an int64, a string or []byte, a []any, or a [redis.Error] where the server refused that
	// command. All keys of the commands are in the slot of key. When Do has returned without an error, the arguments are
	// used for something else, so it must not keep them.
	//
	// It obeys the deadline of ctx. If it has repeated the commands, because the connection broke, lost is the error of
	// the first attempt, of which it is unknown whether it was executed. No command may be repeated without saying so.
	// err is the failure of the last attempt; then the replies are not used.
	Do(ctx context.Context, key string, commands ...Command) (replies []any, lost, err error)

	// Close frees what the Client holds.
	Close() error
}

// A Command is the name of a Redis command and its arguments: strings, byte slices and integers.
type Command struct {
	Name string
	Args []any
}

func cmd(name string, args ...any) Command {
	return Command{name, args}
}

// one runs one command and returns its reply. It returns an error of the server as err.
func (s *Store) one(ctx context.Context, name, key string, args ...any) (reply any, lost, err error) {
	replies, lost, err := s.client.Do(ctx, key, Command{name, append([]any{key}, args...)})
	if err != nil {
		return nil, lost, err
	}
	if err, ok := replies[0].(redis.Error); ok {
		return nil, lost, err
	}
	return replies[0], lost, nil
}
