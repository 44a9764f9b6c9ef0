package redisstore

import (
	"context"
	"time"
)

// A Client runs commands on the Redis server that owns a key. [New] makes one of redigo's pool. For another library of
// Redis, implement it and call [NewWithClient]. It is called from many goroutines at once.
type Client interface {
	// Do runs the commands on the server that owns key, in this order, on one connection and in one flush. It returns
	// the reply to each: nil, an int64, a string or []byte, a []any, or a [Refusal] if the server refused that command.
	// All keys of the commands are in the slot of key. If a command is sent elsewhere because that slot is being moved,
	// those behind it are executed after it, once more if necessary. When Do has returned without an error, the
	// arguments are used for something else. Therefore it must not keep them.
	//
	// It obeys the deadline of ctx. If the connection broke and Do has repeated the commands, lost is the error of the
	// first attempt. It is unknown whether that attempt was executed. No command may be repeated without saying so. err
	// is the failure of the last attempt. If err is not nil, the replies are not used.
	Do(ctx context.Context, key string, commands ...Command) (replies []any, lost, err error)

	// Close frees what the Client holds.
	Close() error
}

// A Command is the name of a Redis command and its arguments: strings, byte slices and integers.
type Command struct {
	Name string
	Args []any
}

// A Refusal is an error that Redis answered with in place of a result. It is a text that begins with a code, such as
// OOM or NOAUTH. Errors of a [Store] wrap it.
type Refusal string

// Error returns the text.
func (r Refusal) Error() string { return string(r) }

func cmd(name string, args ...any) Command {
	return Command{name, args}
}

// milliseconds is ttl in the form that Redis accepts. Redis refuses 0, so that a value with no time left gets one
// millisecond.
func milliseconds(ttl time.Duration) int64 {
	return max(ttl.Milliseconds(), 1)
}
