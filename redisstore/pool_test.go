package redisstore_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/gomodule/redigo/redis"

	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/redistest"
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

// smallLanes is how many lanes there are for small calls.
var smallLanes = max(2, runtime.GOMAXPROCS(0))

func TestSmallCallsDoNotWaitForLargeOnes(t *testing.T) {
	g := newGate(func(p []byte) bool { return len(p) > 1<<19 })
	store := openPool(t, g.pool(miniredis.RunT(t).Addr()), redisstore.Options{})
	var saves sync.WaitGroup
	for i := range smallLanes + 1 {
		saves.Go(func() {
			if _, err := store.Save(t.Context(), fmt.Sprint(i), nil, value(strings.Repeat("x", 1<<20)), time.Minute); err != nil {
				t.Error(err)
			}
		})
	}
	for range smallLanes + 1 {
		<-g.held
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := store.Load(ctx, "small", time.Minute); err != driver.ErrNotFound {
		t.Errorf("a load while large saves are under way: %v", err)
	}
	close(g.open)
	saves.Wait()
}

func TestLargeCallsDoNotWaitForSmallOnes(t *testing.T) {
	g := newGate(func(p []byte) bool { return bytes.Contains(p, []byte("slow")) })
	store := openPool(t, g.pool(miniredis.RunT(t).Addr()), redisstore.Options{})
	var loads sync.WaitGroup
	for range smallLanes {
		loads.Go(func() { _, _ = store.Load(t.Context(), "slow", time.Minute) })
		<-g.held
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := store.Save(ctx, "large", nil, value(strings.Repeat("x", 1<<20)), time.Minute); err != nil {
		t.Errorf("a large save while small calls are under way: %v", err)
	}
	close(g.open)
	loads.Wait()
}

// farPool returns a pool of connections to addr whose round trips take the delay longer.
func farPool(addr string, delay time.Duration) *redis.Pool {
	return newPool(addr, redis.DialNetDial(func(network, addr string) (net.Conn, error) {
		conn, err := net.Dial(network, addr)
		return farConn{conn, delay}, err
	}))
}

// A farConn delays what is written. As nobody writes before the reply is there, this is the same as a long way.
type farConn struct {
	net.Conn
	delay time.Duration
}

func (c farConn) Write(p []byte) (int, error) {
	time.Sleep(c.delay)
	return c.Conn.Write(p)
}

// Near a Redis, many calls share few connections. Where it is far, they do not wait for each other.
func TestConnectionsByDistance(t *testing.T) {
	for _, test := range []struct {
		delay       time.Duration
		least, most int
	}{
		{0, 1, smallLanes},
		{20 * time.Millisecond, smallLanes + 1, 64},
	} {
		pool := farPool(redistest.Start(t).Addr(), test.delay)
		dials := countDials(pool)
		store := openPool(t, pool, redisstore.Options{})
		for calls := 0; calls < 100 && test.delay == 0 || calls < 3; calls++ {
			if err := store.Ping(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		var loads sync.WaitGroup
		for range 100 {
			loads.Go(func() { _, _ = store.Load(t.Context(), "1", time.Minute) })
		}
		loads.Wait()
		if n := int(dials.Load()); n < test.least || n > test.most {
			t.Errorf("at a distance of %v, 100 loads used %d connections; want %d to %d", test.delay, n, test.least, test.most)
		}
	}
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

// A firewall that forgets connections lets one call fail, not one for each of them.
func TestConnectionsThatAreCutOffSilently(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr())
	sentinel := newFakeSentinel(t, proxy.Addr(), nil)
	open := func(store *redisstore.Store, err error) *redisstore.Store {
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { store.Close() })
		return store
	}
	limited := newPool(proxy.Addr())
	limited.MaxActive, limited.Wait = 20, true
	for _, test := range []struct {
		name  string
		store *redisstore.Store
	}{
		{"New with MaxActive and Wait", open(redisstore.New(limited, redisstore.Options{}), nil)},
		{"Open", open(redisstore.Open(proxy.URL(), redisstore.Options{}))},
		{"New", open(redisstore.New(newPool(proxy.Addr()), redisstore.Options{}), nil)},
		{"NoScripts", open(redisstore.New(newPool(proxy.Addr()), redisstore.Options{NoScripts: true}), nil)},
		{"OpenSentinel", openSentinel(t, redisstore.SentinelConfig{Addrs: []string{sentinel.Addr().String()}})},
		{"Replicas", openSentinel(t, redisstore.SentinelConfig{
			Addrs: []string{sentinel.Addr().String()}, Replicas: 1, ReplicaTimeout: time.Millisecond, // there is none
		})},
	} {
		t.Run(test.name, func(t *testing.T) {
			keepIdle(t, test.store, server, proxy, 8)
			proxy.CutAll()
			timeouts, patience := 0, 100*time.Millisecond
			if test.name == "Replicas" {
				patience *= 5 // Redis looks at the time of a WAIT ten times a second
			}
			for ; ; timeouts++ {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				_, err := test.store.Save(ctx, "1", value("1"), value("2"), time.Minute)
				cancel()
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					break
				}
			}
			if timeouts != 1 {
				t.Errorf("%d calls have met a connection that is cut off; want one", timeouts)
			}
		})
	}
}

// keepIdle leaves n idle connections in the pool of a store: large calls that run at the same time have one each.
func keepIdle(t *testing.T, store *redisstore.Store, server *redistest.Server, proxy *redistest.Proxy, n int) {
	t.Helper()
	server.Stop()
	before := proxy.Connections()
	var saves sync.WaitGroup
	for range n {
		saves.Go(func() {
			_, _ = store.Save(t.Context(), rand.Text(), nil, value(strings.Repeat("x", 1<<15)), time.Minute)
		})
	}
	redistest.Eventually(t, func() error {
		if opened := proxy.Connections() - before; opened < n {
			return fmt.Errorf("%d connections", opened)
		}
		return nil
	})
	server.Cont()
	saves.Wait()
}
