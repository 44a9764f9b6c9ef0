package redisstore_test

import (
	"crypto/tls"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/alicebob/miniredis/v2/server"

	"github.com/sessionkv/session/internal/redistest"
)

// A fakeSentinel answers what a test wants, whatever master it is asked for.
type fakeSentinel struct {
	*server.Server
	master atomic.Value // host:port, or "" for a master that it does not know
	asked  atomic.Int32
	peers  atomic.Int32 // that have subscribed
	events chan string
}

func newFakeSentinel(t *testing.T, master string, config *tls.Config) *fakeSentinel {
	t.Helper()
	s := &fakeSentinel{events: make(chan string)}
	s.master.Store(master)
	var err error
	if s.Server, err = server.NewServer("127.0.0.1:0"); config != nil {
		s.Server, err = server.NewServerTLS("127.0.0.1:0", config)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Server.Close)
	_ = s.Register("SENTINEL", func(c *server.Peer, _ string, _ []string) {
		s.asked.Add(1)
		host, port, _ := net.SplitHostPort(s.master.Load().(string))
		if host == "" {
			c.WriteLen(-1)
			return
		}
		c.WriteStrings([]string{host, port})
	})
	_ = s.Register("SUBSCRIBE", func(c *server.Peer, _ string, args []string) {
		c.Block(func(w *server.Writer) {
			w.WritePushLen(3)
			w.WriteBulk("subscribe")
			w.WriteBulk(args[0])
			w.WriteInt(1)
		})
		s.peers.Add(1)
		go func() {
			for event := range s.events {
				c.Block(func(w *server.Writer) {
					w.WritePushLen(3)
					w.WriteBulk("message")
					w.WriteBulk(args[0])
					w.WriteBulk(event)
				})
				c.Flush()
			}
		}()
	})
	return s
}

// announce says that there is another master.
func (s *fakeSentinel) announce(master string) {
	old := s.master.Swap(master).(string)
	s.events <- "another " + strings.ReplaceAll(old+" "+old, ":", " ")
	s.events <- redistest.MasterName + " " + strings.ReplaceAll(old+" "+master, ":", " ")
}
