package goredis

import (
	"context"

	"github.com/sessionkv/session/redisstore"
)

// cluster is a [redisstore.Client] on a Redis Cluster. It takes from go-redis which node serves a slot, and the
// connections to it, and follows redirections itself: the cluster client's own pipeline would send each redirected command
// apart, and repeat commands without saying so.
type cluster struct{ *nodes }

// Do sends the commands to the master of key. If one of them is redirected, which means that it was not executed, all of
// them go to where it leads: what was executed before it is the SET of a staged value, which may be repeated.
//
// While a slot is moved, a save whose session has not been moved yet cannot be executed anywhere (TRYAGAIN). It is
// repeated, with pauses, until it can, or the deadline passes.
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
		replies, err = run(ctx, j.node, commands, j.asking)
		done, err := j.step(ctx, replies, err)
		if err != nil {
			return nil, j.lost, err
		}
		if done {
			return replies, j.lost, nil
		}
	}
}
