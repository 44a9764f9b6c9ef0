// Package goredis keeps sessions in Redis through go-redis: in a Redis Cluster, or with a client that an application
// already has. It is a module of its own, so that package redisstore does not need go-redis.
//
//	client := redis.NewClusterClient(&redis.ClusterOptions{
//		Addrs:                 []string{"n1:6379", "n2:6379", "n3:6379"},
//		ContextTimeoutEnabled: true,
//	})
//	store := goredis.New(client, redisstore.Options{})
//	...
//	err := store.Ping(ctx)
//
// The store promises what package redisstore says, on every kind of Redis. What belongs to one session is in one slot,
// and a save goes to the node of that slot, on one connection and in order. MOVED and ASK are followed, so that slots can
// be moved while requests run.
//
// go-redis's automatic retries, which would repeat a save without saying so, do not apply to the store's commands,
// whatever the client's MaxRetries. A command whose connection broke is repeated once, as package redisstore does it.
// The deadline of the context holds even without ContextTimeoutEnabled, which saves an allocation.
//
// go-redis prints failed dials to stderr; [redis.SetLogger] takes them elsewhere. It dials up to five times before a call
// fails, with pauses of 100 ms: set DialerRetries to 1 where errors should come at once during an outage.
package goredis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sessionkv/session/redisstore"
)

// defaultTimeout bounds a call whose context has no deadline.
const defaultTimeout = 3 * time.Second

// New returns a Store on a client of go-redis. [redisstore.Store.Close] closes the client.
//
// client is a [*redis.Client], from redis.NewClient or redis.NewFailoverClient (Sentinel), or a [*redis.ClusterClient].
// New panics if it is something else, as a [*redis.Ring], which loses sessions when a shard is down, and where
// [redisstore.NewWithClient] does: Options.NoScripts does not work here.
func New(client redis.UniversalClient, options redisstore.Options) *redisstore.Store {
	switch client := client.(type) {
	case *redis.ClusterClient:
		if client != nil {
			return redisstore.NewWithClient(&cluster{client: client}, options)
		}
	case *redis.Client:
		if client != nil {
			return redisstore.NewWithClient(single{client}, options)
		}
	}
	panic(fmt.Sprintf("goredis: New needs a *redis.Client or *redis.ClusterClient, not %T", client))
}

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

func withDeadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, defaultTimeout)
}

// run sends the commands to one server in one flush, each behind an ASKING if the server is to import their slot.
func run(ctx context.Context, client *redis.Client, commands []redisstore.Command, asking bool) ([]any, error) {
	if !client.Options().ContextTimeoutEnabled {
		deadline, _ := ctx.Deadline()
		client = client.WithTimeout(max(time.Until(deadline), time.Millisecond))
	}
	pipeline := client.Pipeline()
	sent := make([]redis.Cmder, len(commands))
	for i, c := range commands {
		if asking {
			_ = pipeline.Process(ctx, once{redis.NewCmd(ctx, "ASKING")})
		}
		sent[i] = newCommand(ctx, c)
		_ = pipeline.Process(ctx, sent[i])
	}
	_, failure := pipeline.Exec(ctx)
	replies := make([]any, len(sent))
	refused := false
	for i, c := range sent {
		reply, err := result(c)
		if err != nil {
			return nil, err
		}
		_, isError := reply.(redisstore.Refusal)
		refused = refused || isError
		replies[i] = reply
	}
	if text, ok := refusal(failure); ok && !refused {
		return nil, text // of the HELLO or AUTH of a new connection: then the commands were not sent, and have no errors
	}
	if failure != nil && failure != redis.Nil && !refused {
		return nil, failure
	}
	return replies, nil
}

// once is a command that go-redis does not repeat, and with it nothing that goes out in the same flush.
type once struct{ redis.Cmder }

func (once) NoRetry() bool { return true }

// newCommand makes a command of go-redis. One whose reply is a value gets the type that hands it over without a copy.
func newCommand(ctx context.Context, c redisstore.Command) redis.Cmder {
	args := make([]any, 0, 1+len(c.Args))
	args = append(append(args, c.Name), c.Args...)
	switch c.Name {
	case "GETEX", "GETDEL":
		return once{redis.NewStringCmd(ctx, args...)}
	}
	return once{redis.NewCmd(ctx, args...)}
}

// result is the reply to a command as a [redisstore.Client] returns it, or the failure of the connection.
func result(c redis.Cmder) (reply any, err error) {
	err = c.Err()
	if err == redis.Nil {
		return nil, nil
	}
	if text, ok := refusal(err); ok {
		return text, nil
	}
	if err != nil {
		return nil, err
	}
	switch c := c.(once).Cmder.(type) {
	case *redis.StringCmd:
		return c.Bytes()
	case *redis.Cmd:
		return c.Val(), nil
	}
	return nil, nil
}

// refusal returns an error of the server as package redisstore knows it.
func refusal(err error) (text redisstore.Refusal, ok bool) {
	var refused redis.Error
	if err == nil || err == redis.Nil || !errors.As(err, &refused) {
		return "", false
	}
	return redisstore.Refusal(refused.Error()), true
}

// broken reports whether err is that of a connection that was open and broke, so that it is unknown what the server did.
func broken(err error) bool {
	var network *net.OpError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return true
	case errors.As(err, &network):
		return network.Op != "dial" && !network.Timeout()
	}
	return false
}
