package redisstore_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/gomodule/redigo/redis"

	"github.com/sessionkv/session/redisstore"
)

// A gate holds what is written to connections, if holds says so, until it is opened.
type gate struct {
	holds func(p []byte) bool
	held  chan struct{} // gets an element for each write that is held
	open  chan struct{} // closed when the gate opens
}

func newGate(holds func(p []byte) bool) *gate {
	return &gate{holds, make(chan struct{}, 1000), make(chan struct{})}
}

// pool returns a pool of connections to addr through the gate.
func (g *gate) pool(addr string) *redis.Pool {
	return newPool(addr, redis.DialNetDial(func(network, addr string) (net.Conn, error) {
		conn, err := net.Dial(network, addr)
		return gatedConn{conn, g}, err
	}))
}

type gatedConn struct {
	net.Conn
	gate *gate
}

func (c gatedConn) Write(p []byte) (int, error) {
	if c.gate.holds(p) {
		c.gate.held <- struct{}{}
		<-c.gate.open
	}
	return c.Conn.Write(p)
}

// With MaxActive, calls that need a connection of their own wait for one, as those on lanes do.
func TestCallsWaitForAConnection(t *testing.T) {
	eachMode(t, func(t *testing.T, options redisstore.Options) {
		g := newGate(func(p []byte) bool { return bytes.Contains(p, []byte("slow")) })
		pool := g.pool(miniredis.RunT(t).Addr())
		pool.MaxActive = 1
		store := openPool(t, pool, options)
		was := mustSave(t, store, "other", nil, value("1"))
		var saves sync.WaitGroup
		saves.Go(func() { _, _ = store.Save(t.Context(), "slow", value("1"), value("2"), time.Minute) })
		<-g.held
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := store.Save(ctx, "other", was, value("2"), time.Minute); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a save while the only connection is in use: %v; want its deadline", err)
		}
		close(g.open)
		mustSave(t, store, "other", was, value("2"))
		saves.Wait()
	})
}
