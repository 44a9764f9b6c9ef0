package goredis

import (
	"context"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// nodeIdle is much longer than a call takes. If no call goes to a node for that long, and only a redirection has led to
// it, the node is forgotten.
const nodeIdle = time.Minute

// nodes are the nodes of a Redis Cluster. go-redis knows some of them, and which of them serves a slot. Redirections
// have led to the others.
type nodes struct {
	client *redis.ClusterClient

	known atomic.Bool // whether the cluster client knows who serves which slot

	mu      sync.Mutex
	visited map[string]*visited // by their addresses
}

// A visited node is one that a redirection led to.
type visited struct {
	*redis.Client
	used time.Time // when a call was last sent there
}

func (n *nodes) Close() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.forget(time.Now())
	return n.client.Close()
}

// master returns the client of the node that serves the slot of key. The first time, go-redis has to ask the nodes for
// it, which does not obey ctx.
func (n *nodes) master(ctx context.Context, key string) (*redis.Client, error) {
	if n.known.Load() {
		node, err := n.client.MasterForKey(ctx, key)
		return node, known(err)
	}
	type answer struct {
		node *redis.Client
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		node, err := n.client.MasterForKey(ctx, key)
		answers <- answer{node, err}
	}()
	select {
	case a := <-answers:
		n.known.Store(a.err == nil)
		return a.node, known(a.err)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// node returns the client of an address. The cluster client may not know the address yet, for example that of a new
// node without slots. The settings of the client are those of a node that is known.
func (n *nodes) node(addr string, like *redis.Client) *redis.Client {
	if addr == like.Options().Addr {
		return like
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	v, ok := n.visited[addr]
	if !ok {
		n.forget(now.Add(-nodeIdle))
		options := *like.Options()
		options.Addr, options.NodeAddress, options.MinIdleConns = addr, addr, 0
		v = &visited{Client: redis.NewClient(&options)}
		if n.visited == nil {
			n.visited = make(map[string]*visited)
		}
		n.visited[addr] = v
	}
	v.used = now
	return v.Client
}

// forget closes the nodes that no call was sent to since then. An address may never come back.
func (n *nodes) forget(since time.Time) {
	for addr, v := range n.visited {
		if !v.used.After(since) {
			_ = v.Close()
			delete(n.visited, addr)
		}
	}
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
