package goredis

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sessionkv/session/redisstore"
)

// defaultTimeout bounds a call whose context has no deadline.
const defaultTimeout = 3 * time.Second

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
	var permit redis.Cmder
	if asking {
		permit = once{redis.NewCmd(ctx, "ASKING")}
	}
	sent := make([]redis.Cmder, len(commands))
	for i, c := range commands {
		if asking {
			_ = pipeline.Process(ctx, permit)
		}
		sent[i] = newCommand(ctx, c)
		_ = pipeline.Process(ctx, sent[i])
	}
	_, failure := pipeline.Exec(ctx)
	if asking {
		if text, ok := refusal(permit.Err()); ok {
			return nil, text // more telling than the redirection that follows from it
		}
	}
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

// once is a command that go-redis does not repeat. It does not repeat the other commands of the same flush either.
type once struct{ redis.Cmder }

func (once) NoRetry() bool { return true }

// newCommand makes a command of go-redis. If its reply is a value, it gets the type that hands the value over without a
// copy.
func newCommand(ctx context.Context, c redisstore.Command) redis.Cmder {
	args := make([]any, 0, 1+len(c.Args))
	args = append(append(args, c.Name), c.Args...)
	switch c.Name {
	case "GETEX", "GETDEL", "HGET":
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

// known is err as package redisstore knows it.
func known(err error) error {
	if text, ok := refusal(err); ok {
		return text
	}
	return err
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

// find returns the error of this code among the replies, or nil.
func find(replies []any, code string) error {
	for _, reply := range replies {
		if err, ok := reply.(redisstore.Refusal); ok && strings.HasPrefix(string(err), code+" ") {
			return err
		}
	}
	return nil
}

func has(replies []any, code string) bool { return find(replies, code) != nil }
