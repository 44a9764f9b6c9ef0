package goredis

import (
	"cmp"
	"context"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// quickRedirects are followed at once. A call that is sent on more often waits in between, up to its deadline.
	quickRedirects = 4

	// firstPause is before the first repeat that has to wait, and doubles up to longestPause.
	firstPause   = 2 * time.Millisecond
	longestPause = 50 * time.Millisecond
)

// A journey is a call on its way to the node that can execute it.
type journey struct {
	nodes *nodes
	key   string

	node   *redis.Client // where it goes next
	asking bool          // whether that node is about to take over the slot, and has to be told

	tries   int
	pause   time.Duration // before the next repeat that has to wait
	refused error         // why the last try was not executed
	lost    error         // why it is unknown what came of a try
}

// step takes in the outcome of a try, and returns how many of its commands were executed before one was redirected. If
// some were not executed and the call has not failed, it finds out where to go on, and waits until it is time for that.
func (j *journey) step(ctx context.Context, replies []any, err error) (executed int, failure error) {
	asked := j.asking
	j.asking = false
	executed, j.refused = redirected(replies)
	if executed > 0 {
		j.tries, j.pause = 0, firstPause
	}
	j.tries++
	switch {
	case err != nil:
		j.nodes.client.ReloadState(ctx) // the node may be gone for good
		if !broken(err) || j.lost != nil {
			return 0, err
		}
		j.lost = err
		failure = j.toMaster(ctx)
	case j.refused == nil:
		if has(replies, "CLUSTERDOWN") {
			j.nodes.client.ReloadState(ctx)
		}
		if asked {
			failure = j.toMaster(ctx)
		}
		return executed, failure
	case strings.HasPrefix(j.refused.Error(), "TRYAGAIN "):
		j.tries = max(j.tries, quickRedirects)
		failure = j.toMaster(ctx)
	default:
		j.nodes.client.ReloadState(ctx)
		failure = j.follow(ctx)
	}
	if failure != nil || j.asking || j.tries < quickRedirects {
		return executed, failure
	}
	return executed, j.rest(ctx)
}

// redirected returns how many commands were executed before the first that was redirected, and the refusal of that.
func redirected(replies []any) (executed int, refused error) {
	for i := range replies {
		for _, code := range []string{"TRYAGAIN", "MOVED", "ASK", "READONLY"} {
			if refused := find(replies[i:i+1], code); refused != nil {
				return i, refused
			}
		}
	}
	return len(replies), nil
}

// toMaster makes the master of the key the next node.
func (j *journey) toMaster(ctx context.Context) (err error) {
	j.node, err = j.nodes.master(ctx, j.key)
	return err
}

// follow makes the next node the one to which the refusal leads. This is the address in it, or the node that serves the
// slot by now.
func (j *journey) follow(ctx context.Context) error {
	words := strings.Fields(j.refused.Error()) // MOVED 3999 127.0.0.1:6381
	if len(words) < 3 || words[0] == "READONLY" {
		return j.toMaster(ctx)
	}
	j.node, j.asking = j.nodes.node(address(words[2], j.node), j.node), words[0] == "ASK"
	return nil
}

// rest waits for a while, which grows. If there is no time left for that, it returns why the call was not executed.
func (j *journey) rest(ctx context.Context) error {
	if !sleep(ctx, j.pause) {
		return cmp.Or(j.refused, j.lost) // which says more than that the time is over
	}
	j.pause = min(2*j.pause, longestPause)
	return nil
}

// sleep waits, and reports whether there is time left.
func sleep(ctx context.Context, d time.Duration) bool {
	deadline, _ := ctx.Deadline()
	if time.Until(deadline) <= d {
		return false
	}
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
