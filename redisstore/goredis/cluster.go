package goredis

import (
	"context"

	"github.com/sessionkv/session/redisstore"
)

// cluster is a [redisstore.Client] on a Redis Cluster. go-redis tells it which node serves a slot, and gives it the
// connections. It follows redirections itself, because the pipeline of the cluster client would send each redirected
// command apart, and repeat commands without saying so.
type cluster struct{ *nodes }

// Do sends the commands to the master of key. A command that is redirected was not executed. With ASK, it goes alone to
// the node that is about to take over the slot, because the keys of the others may still be where it came from. With
// MOVED, it goes to the new master with the commands behind it. The commands behind it are sent again after it, also if
// they were executed. Therefore the order holds. If a command stands behind one on another key, it must be one that may
// be repeated, or one that needs that key too.
//
// While a slot is moved, a script cannot be executed anywhere (TRYAGAIN) if one of its keys has been moved and another
// has not. It is repeated, with pauses, until it can be executed or the deadline passes.
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
