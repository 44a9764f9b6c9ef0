package redisstore

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// waiting is a Client whose changes count as done when replicas have them. Each change has a connection to itself,
// because a WAIT would hold up what others send behind it.
type waiting struct {
	Client
	pool     *pool
	replicas int
	timeout  time.Duration
}

// Do sends WAIT behind commands that change something. A refusal among the replies is more telling than too few replicas.
func (w waiting) Do(ctx context.Context, key string, commands ...Command) (replies []any, lost, err error) {
	if !slices.ContainsFunc(commands, changes) {
		return w.Client.Do(ctx, key, commands...)
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	patience := remaining(ctx, w.timeout)
	c := &call{commands: append(slices.Clip(commands), cmd("WAIT", w.replicas, milliseconds(patience)))}
	w.pool.runBatch(ctx, c.byItself())
	replies, lost, err = c.replies, c.lost, c.err
	if err != nil {
		return nil, lost, err
	}
	last := len(replies) - 1
	replies, acknowledged := replies[:last], replies[last]
	if firstRefusal(replies) != nil {
		return replies, lost, nil
	}
	if refused, ok := acknowledged.(Refusal); ok {
		return nil, lost, fmt.Errorf("WAIT: %w", refused)
	}
	if n, _ := acknowledged.(int64); n < int64(w.replicas) {
		return nil, lost, fmt.Errorf("%d of %d replicas have taken over the change within %v; the master has it, "+
			"and loses it if it fails now", n, w.replicas, patience)
	}
	return replies, lost, nil
}

// changes reports whether a command changes something that must not be lost. A GETEX or a PEXPIRE only changes a time to
// live.
func changes(c Command) bool {
	switch c.Name {
	case "GETEX", "PEXPIRE", "PTTL", "ZRANK", "ZRANGE", "EXISTS", "HGET":
		return false
	}
	return true
}
