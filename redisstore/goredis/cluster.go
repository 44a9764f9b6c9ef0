package goredis

import (
	"context"

	"github.com/sessionkv/session/redisstore"
)

// cluster is a [redisstore.Client] on a Redis Cluster. go-redis tells it which node serves a slot, and gives it the
// connections. It follows redirections itself, because the pipeline of the cluster client would send each redirected
// command apart, and repeat commands without saying so.
type cluster struct{ *nodes }

// Do sends the commands to the master of key. One that is redirected was not executed. It goes alone to the node that is
// about to take over the slot (ASK), for the others may still have their keys where it came from, or with those behind it
// to the new master (MOVED). Those behind it are sent again after it, also if they were executed: so the order holds,
// and of what stands behind a command on another key, everything may be repeated, or needs that key too.
//
// While a slot is moved, a script of which one key has been moved and another has not cannot be executed anywhere
// (TRYAGAIN). It is repeated, with pauses, until it can, or the deadline passes.
func (c cluster) Do(ctx context.Context, key string, commands ...redisstore.Command) (replies []any, lost, err error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	j := journey{nodes: c.nodes, key: key, pause: firstPause}
	if err := j.toMaster(ctx); err != nil {
		return nil, nil, err
	}
	for {
		next := commands[len(replies):]
		if j.asking {
			next = next[:1]
		}
		answers, err := run(ctx, j.node, next, j.asking)
		executed, err := j.step(ctx, answers, err)
		if err != nil {
			return nil, j.lost, err
		}
		if replies = append(replies, answers[:executed]...); len(replies) == len(commands) {
			return replies, j.lost, nil
		}
	}
}
