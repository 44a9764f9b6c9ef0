package redisstore

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2/server"

	"github.com/sessionkv/session/internal/redistest"
)

// A quietSentinel announces nothing, and counts what it gets.
type quietSentinel struct {
	*server.Server
	subscriptions, pings atomic.Int32
}

// newQuietSentinel answers PING only if it is alive.
func newQuietSentinel(t *testing.T, alive bool) *quietSentinel {
	t.Helper()
	s := &quietSentinel{}
	var err error
	if s.Server, err = server.NewServer("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Server.Close)
	_ = s.Register("SENTINEL", func(c *server.Peer, _ string, _ []string) { c.WriteStrings([]string{"127.0.0.1", "1"}) })
	_ = s.Register("SUBSCRIBE", func(c *server.Peer, _ string, args []string) {
		c.Block(func(w *server.Writer) {
			w.WritePushLen(3)
			w.WriteBulk("subscribe")
			w.WriteBulk(args[0])
			w.WriteInt(1)
		})
		s.subscriptions.Add(1)
	})
	_ = s.Register("PING", func(c *server.Peer, _ string, _ []string) {
		if alive {
			c.WriteStrings([]string{"pong", ""})
		}
		s.pings.Add(1)
	})
	return s
}

// watch follows a sentinel until the test ends.
func watch(t *testing.T, s *quietSentinel, ping, silence time.Duration) {
	t.Helper()
	m := &master{config: SentinelConfig{Master: redistest.MasterName}, ping: ping, silence: silence}
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(func() { stop(); m.watchers.Wait() })
	m.watchers.Go(func() { m.follow(ctx, s.Addr().String()) })
}

func TestSentinelThatAnswersIsFollowedOnOneConnection(t *testing.T) {
	t.Parallel()
	s := newQuietSentinel(t, true)
	watch(t, s, 5*time.Millisecond, time.Second)
	redistest.Eventually(t, func() error {
		if n := s.pings.Load(); n < 20 && s.subscriptions.Load() < 2 {
			return fmt.Errorf("the sentinel has got %d PINGs", n)
		}
		return nil
	})
	if n := s.subscriptions.Load(); n != 1 {
		t.Errorf("%d connections have followed it; want one", n)
	}
}

func TestSentinelThatDoesNotAnswerIsFollowedAnew(t *testing.T) {
	t.Parallel()
	s := newQuietSentinel(t, false)
	watch(t, s, 5*time.Millisecond, 20*time.Millisecond)
	redistest.Eventually(t, func() error {
		if n := s.subscriptions.Load(); n < 2 {
			return fmt.Errorf("%d connections have followed it", n)
		}
		return nil
	})
}
