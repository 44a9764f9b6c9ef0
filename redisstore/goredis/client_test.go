package goredis

import (
	"context"
	"crypto/tls"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/redistest"
	"github.com/sessionkv/session/redisstore"
)

func increment() redisstore.Command { return redisstore.Command{Name: "INCR", Args: []any{"n"}} }

// clientsOf returns clients as go-redis makes them, whose automatic retries are on, and as the package comment advises.
func clientsOf(addr string) map[string]*redis.Client {
	return map[string]*redis.Client{
		"as it comes": redis.NewClient(&redis.Options{Addr: addr, MaxRetries: 3}),
		"as advised":  redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true, DialerRetries: 1}),
	}
}

// A command whose reply was lost is repeated once, and this is said.
func TestLostReply(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr())
	for name, client := range clientsOf(proxy.Addr()) {
		t.Run(name, func(t *testing.T) {
			s := single{client}
			defer s.Close()
			if _, _, err := s.Do(t.Context(), "n", increment()); err != nil { // so that a connection is open
				t.Fatal(err)
			}
			server.Do(t, "SET", "n", 0)
			proxy.DropReplies(1, 1) // of two commands, the first is answered
			replies, lost, err := s.Do(t.Context(), "n", increment(), increment())
			if err != nil || lost == nil || len(replies) != 2 || replies[1] != int64(4) {
				t.Errorf("replies %v, lost %v, error %v; want 3 and 4, the lost reply, none", replies, lost, err)
			}
			proxy.Refuse()
			proxy.DropReplies(0, 1)
			replies, lost, err = s.Do(t.Context(), "n", increment())
			if err == nil || lost == nil || replies != nil {
				t.Errorf("replies %v, lost %v, error %v; want two errors", replies, lost, err)
			}
			proxy.Accept()
			if got := string(server.Do(t, "GET", "n").([]byte)); got != "5" {
				t.Errorf("n = %s; want 5: the commands were repeated behind the caller's back", got)
			}
		})
	}
}

func TestHung(t *testing.T) {
	t.Parallel()
	const patience = 200 * time.Millisecond
	server := redistest.Start(t, "--cluster-enabled", "no")
	for name, client := range clientsOf(server.Addr()) {
		for _, warm := range []bool{true, false} {
			store := New(client, redisstore.Options{})
			if warm {
				if err := store.Ping(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			server.Stop()
			for range 3 { // on open connections, then on new ones
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				start := time.Now()
				err := store.Ping(ctx)
				cancel()
				timeout := errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)
				if took := time.Since(start); !timeout || took > 3*patience {
					t.Errorf("%s: %v after %v; want a timeout after %v", name, err, took, patience)
				}
			}
			server.Cont()
		}
		client.Close()
	}
}

// A cluster of which nothing is known yet holds nobody beyond the deadline either.
func TestHungCluster(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--cluster-enabled", "yes", "--cluster-port", "0")
	server.Stop()
	store := New(redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{server.Addr()}}), redisstore.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	start := time.Now()
	if err := store.Ping(ctx); err == nil || time.Since(start) > 600*time.Millisecond {
		t.Errorf("%v after %v", err, time.Since(start))
	}
	server.Cont()
	store.Close()
}

// That the password is wrong must not look as if nothing were stored.
func TestPasswords(t *testing.T) {
	server := redistest.Start(t, "--requirepass", "word")
	for _, test := range []struct{ password, want string }{{"", "NOAUTH"}, {"wrong", "WRONGPASS"}, {"word", ""}} {
		for _, protocol := range []int{2, 3} {
			client := redis.NewClient(&redis.Options{Addr: server.Addr(), Password: test.password, Protocol: protocol})
			store := New(client, redisstore.Options{})
			_, err := store.Load(t.Context(), "1", time.Minute)
			if test.want == "" && err == driver.ErrNotFound {
				err = nil
			}
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) || errors.Is(err, driver.ErrNotFound) {
				t.Errorf("password %q, protocol %d: %v; want %q", test.password, protocol, err, test.want)
			}
			store.Close()
		}
	}
}

func TestReadOnlyIsRepeatedOnce(t *testing.T) {
	server := redistest.Start(t)
	replica := redistest.Start(t, "--replicaof", "127.0.0.1 "+strings.TrimPrefix(server.Addr(), "127.0.0.1:"))
	store := New(redis.NewClient(&redis.Options{Addr: replica.Addr()}), redisstore.Options{})
	defer store.Close()
	if err := store.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "READONLY") {
		t.Errorf("a replica: %v", err)
	}
	stats := string(replica.Do(t, "INFO", "commandstats").([]byte))
	if _, getex, _ := strings.Cut(stats, "cmdstat_getex"); !strings.Contains(strings.SplitN(getex, "\n", 2)[0], "rejected_calls=2,") {
		t.Errorf("statistics of GETEX: %.100s; want two calls", getex)
	}
	replica.Do(t, "REPLICAOF", "NO", "ONE")
	if err := store.Ping(t.Context()); err != nil {
		t.Errorf("after its promotion: %v", err)
	}
}

func TestDownAndClosed(t *testing.T) {
	server := redistest.Start(t)
	store := New(redis.NewClient(&redis.Options{Addr: server.Addr(), DialerRetries: 1}), redisstore.Options{})
	if err := store.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	server.Kill()
	if err := store.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "check that it runs") {
		t.Errorf("down: %v", err)
	}
	server.Restart()
	redistest.Eventually(t, func() error { return store.Ping(t.Context()) })
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := store.Ping(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context: %v", err)
	}
	store.Close()
	if err := store.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("closed: %v", err)
	}
}

func TestAddressOfARedirection(t *testing.T) {
	from := redis.NewClient(&redis.Options{Addr: "10.0.0.1:6379"})
	defer from.Close()
	for text, want := range map[string]string{
		"10.0.0.2:7000": "10.0.0.2:7000", "node:7000": "node:7000", ":7000": "10.0.0.1:7000", "::1:7000": "[::1]:7000", "[::1]:7000": "[::1]:7000",
	} {
		if got := address(text, from); got != want {
			t.Errorf("%q leads to %q; want %q", text, got, want)
		}
	}
}

func TestNewPanics(t *testing.T) {
	var nobody *redis.Client
	for name, open := range map[string]func(){
		"nil":        func() { New(nil, redisstore.Options{}) },
		"nil client": func() { New(nobody, redisstore.Options{}) },
		"ring":       func() { New(redis.NewRing(&redis.RingOptions{}), redisstore.Options{}) },
		"no scripts": func() { New(redis.NewClient(&redis.Options{}), redisstore.Options{NoScripts: true}) },
		"TLS":        func() { New(redis.NewClient(&redis.Options{}), redisstore.Options{TLS: &tls.Config{}}) },
		"brace":      func() { New(redis.NewClient(&redis.Options{}), redisstore.Options{Prefix: "{"}) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("New does not panic")
				}
			}()
			open()
		})
	}
}

// Addresses that never come back, such as those of pods, do not pile up.
func TestNodesOfOldRedirectionsAreForgotten(t *testing.T) {
	c := &nodes{client: redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"127.0.0.1:1"}})}
	like := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	defer like.Close()
	old, recent := c.node("127.0.0.1:2", like), c.node("127.0.0.1:3", like)
	if again := c.node("127.0.0.1:2", like); again != old {
		t.Error("a node that is known has another client")
	}
	c.visited["127.0.0.1:2"].used = time.Now().Add(-nodeIdle)
	c.node("127.0.0.1:4", like)
	if _, ok := c.visited["127.0.0.1:2"]; ok || len(c.visited) != 2 {
		t.Errorf("%d nodes are kept; want the two that were used", len(c.visited))
	}
	if err := old.Ping(t.Context()).Err(); err != redis.ErrClosed {
		t.Errorf("the client of an old node: %v; want that it is closed", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := recent.Ping(t.Context()).Err(); err != redis.ErrClosed || len(c.visited) > 0 {
		t.Errorf("after Close there are %d nodes: %v", len(c.visited), err)
	}
}
