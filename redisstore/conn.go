package redisstore

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/gomodule/redigo/redis"
)

// defaultTimeout bounds a call whose context has no deadline.
const defaultTimeout = 3 * time.Second

// A command is one Redis command.
type command struct {
	name string
	args []any
}

func cmd(name string, args ...any) command {
	return command{name, args}
}

// A link is a connection, and the time by which it must have answered.
type link struct {
	conn     redis.Conn
	deadline time.Time
}

// do sends the commands in one flush and returns the reply to each: a redis.Error where the server refused that one. Its
// own error is a failure of the connection, or that of READONLY, which is one of the server.
func (l link) do(commands ...command) ([]any, error) {
	left := time.Until(l.deadline)
	if left <= 0 {
		return nil, context.DeadlineExceeded
	}
	for _, c := range commands {
		if err := l.conn.Send(c.name, c.args...); err != nil {
			return nil, err
		}
	}
	replies, err := redis.Values(redis.DoWithTimeout(l.conn, left, ""))
	if err != nil {
		return nil, err
	}
	for _, reply := range replies {
		if err, _ := reply.(redis.Error); refusal(err, "READONLY") {
			return nil, err
		}
	}
	return replies, nil
}

// one runs one command and returns its reply. It returns an error of the server as err. For lost, see attempt.
func (s *Store) one(ctx context.Context, name string, args ...any) (reply any, lost, err error) {
	replies, lost, err := s.run(ctx, cmd(name, args...))
	if err != nil {
		return nil, lost, err
	}
	if err, ok := replies[0].(redis.Error); ok {
		return nil, lost, err
	}
	return replies[0], lost, nil
}

// run runs the commands in one flush on one connection, as link.do does. For lost, see attempt.
func (s *Store) run(ctx context.Context, commands ...command) (replies []any, lost, err error) {
	lost, err = s.attempt(ctx, func(l link) (err error) {
		replies, err = l.do(commands...)
		return err
	})
	return replies, lost, err
}

// attempt runs fn on a connection of the pool. If that connection turns out to be broken, or to lead to what has become
// a replica, fn runs once more, on a connection dialled for it: the pool may hold more of the same. lost is then the
// failure of the first run if it is unknown what Redis did of it.
func (s *Store) attempt(ctx context.Context, fn func(link) error) (lost, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(defaultTimeout)
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline)
		defer cancel()
	}
	conn, err := s.pool.GetContext(ctx)
	if err != nil {
		return nil, err
	}
	err = fn(link{conn, deadline})
	switch {
	case refusal(err, "READONLY"):
		spoil(conn)
		conn.Close()
	case conn.Err() != nil && !timeout(err) && !refusal(err, ""):
		conn.Close()
		lost = err
	default:
		conn.Close()
		return nil, err
	}
	if conn, err = s.dial(ctx); err != nil {
		return lost, err
	}
	defer conn.Close()
	return lost, fn(link{conn, deadline})
}

// dial opens a connection that does not go into the pool.
func (s *Store) dial(ctx context.Context) (redis.Conn, error) {
	if s.pool.DialContext != nil {
		return s.pool.DialContext(ctx)
	}
	return s.pool.Dial()
}

// spoil makes a connection unusable, so that the pool does not keep it: the read fails at once.
func spoil(conn redis.Conn) {
	_, _ = redis.ReceiveWithTimeout(conn, time.Nanosecond)
}

// timeout reports whether err is that of a deadline.
func timeout(err error) bool {
	var netErr net.Error
	return errors.As(err, &netErr) && netErr.Timeout()
}
