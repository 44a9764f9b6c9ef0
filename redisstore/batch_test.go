package redisstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"
)

// A scriptedConn answers commands from a list and then breaks, and keeps what it was sent.
type scriptedConn struct {
	redis.Conn
	sent     []string
	replies  int // until it breaks
	readOnly string
	err      error
}

func (c *scriptedConn) Send(name string, args ...any) error {
	c.sent = append(c.sent, args[0].(string))
	return nil
}
func (c *scriptedConn) Flush() error { return nil }
func (c *scriptedConn) Err() error   { return c.err }
func (c *scriptedConn) Close() error { return nil }
func (c *scriptedConn) DoWithTimeout(time.Duration, string, ...any) (any, error) {
	return nil, errors.New("not used")
}
func (c *scriptedConn) Do(string, ...any) (any, error) { return nil, nil }
func (c *scriptedConn) ReceiveWithTimeout(time.Duration) (any, error) {
	if c.err != nil {
		return nil, c.err
	}
	if c.replies == 0 {
		c.err = errors.New("broken")
		return nil, c.err
	}
	c.replies--
	key := c.sent[0]
	c.sent = append(c.sent[1:], key)
	if key == c.readOnly {
		return nil, redis.Error("READONLY You can't write against a read only replica.")
	}
	return []byte("reply to " + key), nil
}

// batchOf makes a batch, and a list of its calls that stays as it is.
func batchOf(keys ...string) (calls batch, all []*call) {
	for _, key := range keys {
		all = append(all, &call{commands: []Command{cmd("GETEX", key)}})
	}
	return slices.Clone(all), all
}

func poolOf(conns ...redis.Conn) *pool {
	return newPool(&redis.Pool{DialContext: func(context.Context) (redis.Conn, error) {
		if len(conns) == 0 {
			return nil, errors.New("no more connections")
		}
		conn := conns[0]
		conns = conns[1:]
		return conn, nil
	}})
}

func TestBrokenConnectionRepeatsJustTheCallsThatHadNoReply(t *testing.T) {
	second := &scriptedConn{replies: 100}
	p := poolOf(&scriptedConn{replies: 2}, second)
	batch, calls := batchOf("a", "b", "c", "d")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	p.runBatch(ctx, batch)
	for i, c := range calls {
		key := string(rune('a' + i))
		if c.err != nil || len(c.replies) != 1 || string(c.replies[0].([]byte)) != "reply to "+key {
			t.Errorf("%s: %q, %v", key, c.replies, c.err)
		}
		if lost := i >= 2; (c.lost != nil) != lost {
			t.Errorf("%s: lost %v", key, c.lost)
		}
	}
	if len(second.sent) != 2 {
		t.Errorf("repeated %q", second.sent)
	}
}

// A pausingConn gives its replies when the test lets it.
type pausingConn struct {
	scriptedConn
	next chan struct{}
}

func (c *pausingConn) ReceiveWithTimeout(timeout time.Duration) (any, error) {
	<-c.next
	return c.scriptedConn.ReceiveWithTimeout(timeout)
}

func TestCallerGoesOnBeforeItsNeighboursHaveTheirReplies(t *testing.T) {
	conn := &pausingConn{scriptedConn{replies: 100}, make(chan struct{}, 2)}
	p := poolOf(conn)
	batch, calls := batchOf("a", "b")
	for _, c := range calls {
		c.done = make(chan bool, 1)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var running sync.WaitGroup
	running.Go(func() { p.runBatch(ctx, batch) })
	for _, c := range calls {
		conn.next <- struct{}{}
		<-c.done
		if c.err != nil || len(c.replies) != 1 {
			t.Errorf("%q, %v", c.replies, c.err)
		}
	}
	running.Wait()
}

func TestConnectionThatBreaksTwiceFailsJustTheCallsThatHadNoReply(t *testing.T) {
	p := poolOf(&scriptedConn{replies: 1}, &scriptedConn{replies: 1})
	batch, calls := batchOf("a", "b", "c")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	p.runBatch(ctx, batch)
	for i, c := range calls {
		if failed := i == 2; (c.err != nil) != failed {
			t.Errorf("call %d: %v", i, c.err)
		}
	}
}

func TestReadOnlyRepeatsJustTheCallsItAnswered(t *testing.T) {
	second := &scriptedConn{replies: 100}
	p := poolOf(&scriptedConn{replies: 100, readOnly: "b"}, second)
	batch, calls := batchOf("a", "b", "c")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	p.runBatch(ctx, batch)
	for i, c := range calls {
		if c.err != nil || c.lost != nil || len(c.replies) != 1 {
			t.Errorf("call %d: %q, %v, %v", i, c.replies, c.lost, c.err)
		}
	}
	if fmt.Sprint(second.sent) != "[b]" {
		t.Errorf("repeated %q", second.sent)
	}
}

func TestDialThatFailsFailsTheWholeBatch(t *testing.T) {
	batch, calls := batchOf("a", "b")
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	poolOf().runBatch(ctx, batch)
	for i, c := range calls {
		if c.err == nil {
			t.Errorf("call %d: %q", i, c.replies)
		}
	}
}
