package goredis

import (
	"cmp"
	"context"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sessionkv/session/redisstore"
)

const (
	// quickRedirects are followed at once; a call that is sent on more often waits in between, up to its deadline.
	quickRedirects = 4

	// firstPause is before the first repeat that has to wait, and doubles up to longestPause.
	firstPause   = 2 * time.Millisecond
	longestPause = 50 * time.Millisecond
)

// cluster is a [redisstore.Client] on a Redis Cluster. It takes from go-redis which node serves a slot, and the
// connections to it, and follows redirections itself: the cluster client's own pipeline would send each redirected command
// apart, and repeat commands without saying so.
type cluster struct {
	client *redis.ClusterClient

	known atomic.Bool // whether the cluster client knows who serves which slot

	mu    sync.Mutex
	nodes map[string]*redis.Client // by the addresses that redirections led to
}

func (c *cluster) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for addr, node := range c.nodes {
		_ = node.Close()
		delete(c.nodes, addr)
	}
	return c.client.Close()
}

// Do sends the commands to the master of key. If one of them is redirected, which means that it was not executed, all of
// them go to where it leads: what was executed before it is the SET of a staged value, which may be repeated.
//
// While a slot is moved, a save whose session has not been moved yet cannot be executed anywhere (TRYAGAIN). It is
// repeated, with pauses, until it can, or the deadline passes.
func (c *cluster) Do(ctx context.Context, key string, commands ...redisstore.Command) (replies []any, lost, err error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	node, err := c.master(ctx, key)
	if err != nil {
		return nil, nil, err
	}
	asking, repeated, pause := false, false, firstPause
	var refused error // why the last attempt was not executed
	for tries := 1; ; tries++ {
		replies, err = run(ctx, node, commands, asking)
		asking = false
		switch {
		case err != nil:
			c.client.ReloadState(ctx) // the node may be gone for good
			if !broken(err) || repeated {
				return nil, lost, err
			}
			lost, repeated = err, true
			if node, err = c.master(ctx, key); err != nil {
				return nil, lost, err
			}
		case has(replies, "TRYAGAIN"):
			tries, refused = max(tries, quickRedirects), find(replies, "TRYAGAIN")
			if node, err = c.master(ctx, key); err != nil {
				return nil, lost, err
			}
		case has(replies, "MOVED"), has(replies, "ASK"), has(replies, "READONLY"):
			c.client.ReloadState(ctx)
			refused = cmp.Or(find(replies, "MOVED"), find(replies, "ASK"), find(replies, "READONLY"))
			if node, asking, err = c.follow(ctx, key, node, refused.Error()); err != nil {
				return nil, lost, err
			}
			if asking {
				continue
			}
		default:
			if has(replies, "CLUSTERDOWN") {
				c.client.ReloadState(ctx)
			}
			return replies, lost, nil
		}
		if tries < quickRedirects {
			continue
		}
		if !sleep(ctx, pause) {
			return nil, lost, cmp.Or(refused, err) // which says more than that the time is over
		}
		pause = min(2*pause, longestPause)
	}
}

// master returns the client of the node that serves the slot of key. Only the first time, go-redis has to ask the nodes
// for that, which does not obey ctx.
func (c *cluster) master(ctx context.Context, key string) (*redis.Client, error) {
	if c.known.Load() {
		return c.client.MasterForKey(ctx, key)
	}
	type answer struct {
		node *redis.Client
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		node, err := c.client.MasterForKey(ctx, key)
		answers <- answer{node, err}
	}()
	select {
	case a := <-answers:
		c.known.Store(a.err == nil)
		return a.node, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// follow returns where a refusal leads: to the address in it, or to whoever serves the slot by now.
func (c *cluster) follow(ctx context.Context, key string, from *redis.Client, refused string) (to *redis.Client, asking bool, err error) {
	words := strings.Fields(refused) // MOVED 3999 127.0.0.1:6381
	if len(words) >= 3 && words[0] != "READONLY" {
		return c.node(address(words[2], from), from), words[0] == "ASK", nil
	}
	to, err = c.master(ctx, key)
	return to, false, err
}

// node returns the client of an address that the cluster client may not know yet, as that of a new node, which has no
// slots. Its settings are those of a node that is known.
func (c *cluster) node(addr string, like *redis.Client) *redis.Client {
	if addr == like.Options().Addr {
		return like
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if node, ok := c.nodes[addr]; ok {
		return node
	}
	options := *like.Options()
	options.Addr, options.NodeAddress, options.MinIdleConns = addr, addr, 0
	node := redis.NewClient(&options)
	if c.nodes == nil {
		c.nodes = make(map[string]*redis.Client)
	}
	c.nodes[addr] = node
	return node
}

// address is the host and port of a redirection. Without a host, it is that of the node that sent it.
func address(text string, from *redis.Client) string {
	colon := strings.LastIndexByte(text, ':')
	host, port := text[:max(colon, 0)], text[colon+1:]
	if host == "" {
		host, _, _ = net.SplitHostPort(from.Options().Addr)
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), port)
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
