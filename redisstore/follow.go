package redisstore

import (
	"context"
	"net"
	"strings"
	"time"

	"github.com/gomodule/redigo/redis"
)

// watchPause is between two attempts to follow a sentinel, watchPing between two PINGs to one that is followed, and
// watchSilence is how long it may say nothing.
const (
	watchPause   = 500 * time.Millisecond
	watchPing    = 5 * time.Second
	watchSilence = 2 * watchPing
)

// following is the Client that follows the sentinels until it is closed.
type following struct {
	Client
	master *master
}

func (f following) Close() error {
	f.master.stop()
	f.master.watchers.Wait()
	return f.Client.Close()
}

// follow listens to one sentinel until ctx ends.
func (m *master) follow(ctx context.Context, sentinel string) {
	for ctx.Err() == nil {
		_ = m.listen(ctx, sentinel) // it is one of several, and the calls say what is wrong with all of them
		select {
		case <-ctx.Done():
		case <-time.After(watchPause):
		}
	}
}

// listen learns the master that a sentinel has, and each that it announces. It asks for the master after the
// subscription, so that it misses no switch between the two.
func (m *master) listen(ctx context.Context, sentinel string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conn, err := m.target(sentinel, m.config.SentinelUsername, m.config.SentinelPassword, 0).subscribe(ctx)
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { conn.Close() }) // ends a Receive, as redigo's own ReceiveContext does
	subscription := redis.PubSubConn{Conn: conn}
	if err := subscription.Subscribe("+switch-master"); err != nil {
		return err
	}
	m.watchers.Go(func() { keepAlive(ctx, subscription, m.ping) })
	for {
		switch event := subscription.ReceiveWithTimeout(m.silence).(type) {
		case redis.Subscription:
			addr, err := m.askOne(ctx, sentinel)
			if err != nil {
				return err
			}
			m.learn(addr)
		case redis.Message:
			words := strings.Fields(string(event.Data)) // mymaster 10.0.0.1 6379 10.0.0.2 6379
			if len(words) == 5 && words[0] == m.config.Master {
				m.learn(net.JoinHostPort(words[3], words[4]))
			}
		case error:
			return event
		}
	}
}

// keepAlive sends a sentinel a PING now and then: the replies show that it lives.
func keepAlive(ctx context.Context, subscription redis.PubSubConn, interval time.Duration) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if subscription.Ping("") != nil {
				return
			}
		}
	}
}
