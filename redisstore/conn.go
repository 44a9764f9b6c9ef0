package redisstore

import (
	"time"

	"github.com/gomodule/redigo/redis"
)

// A task is what needs a connection, and perhaps a second one.
type task interface{ runOn(lease) error }

// A lease is a connection for one task, and the time by which it must have answered. lost is why the connection before
// it was given up, if the outcome of the task on that one is unknown.
type lease struct {
	conn     redis.Conn
	deadline time.Time
	lost     error
}

// runOn sends the commands of the calls that are not done, in one flush, and wakes each caller when its replies are
// there. It returns a failure of the connection. If the connection is outdated and answers a call with a refusal that
// says so, it returns the refusal, and that call is not done.
func (calls batch) runOn(l lease) error {
	for _, c := range calls {
		if c == nil {
			continue
		}
		if c.sent {
			c.lost = l.lost
		}
		c.sent = true
		if err := l.send(c.commands); err != nil {
			return err
		}
	}
	flushed := time.Now()
	if err := l.conn.Flush(); err != nil {
		return err
	}
	var refused error
	for i, c := range calls {
		if c == nil {
			continue
		}
		replies, err := l.receive(c.memory[:0], len(c.commands))
		switch {
		case outdated(err):
			refused = err
		case err != nil:
			return err
		default:
			calls[i] = nil
			c.replies = replies
			if i == 0 {
				c.trip = time.Since(flushed)
			}
			c.wake()
		}
	}
	return refused
}

// do is runOn for commands that belong to no call.
func (l lease) do(commands ...Command) ([]any, error) {
	c := call{commands: commands}
	err := batch{&c}.runOn(l)
	return c.replies, err
}

func (l lease) send(commands []Command) error {
	for _, c := range commands {
		if err := l.conn.Send(c.Name, c.Args...); err != nil {
			return err
		}
	}
	return nil
}

// receive appends the next n replies. If some of them say that the connection is outdated, it returns the last of these
// as an error.
func (l lease) receive(replies []any, n int) (_ []any, refused error) {
	for range n {
		left := time.Until(l.deadline)
		if left <= 0 {
			left = time.Nanosecond // so that the connection, which owes replies, is given up
		}
		reply, err := redis.ReceiveWithTimeout(l.conn, left)
		if err = known(err); outdated(err) {
			refused = err
		}
		if refusedWith(err, "") {
			reply = err
		} else if err != nil {
			return nil, err
		}
		replies = append(replies, reply)
	}
	return replies, refused
}

// spoil makes a connection unusable, so that the pool does not keep it: the read fails at once.
func spoil(conn redis.Conn) {
	_, _ = redis.ReceiveWithTimeout(conn, time.Nanosecond)
}
