package redisstore

import (
	"context"
	"crypto/tls"
	"net"
	"time"

	"github.com/gomodule/redigo/redis"
)

// A target is what a URL says.
type target struct {
	network, address string
	tls              *tls.Config
	user, password   string
	database         int
}

// dial opens a connection for calls.
func (t target) dial(ctx context.Context) (redis.Conn, error) {
	return t.connect(ctx, func(conn net.Conn) net.Conn { return newBufferedConn(conn) })
}

// subscribe opens a connection that one goroutine may write to while another reads.
func (t target) subscribe(ctx context.Context) (redis.Conn, error) {
	return t.connect(ctx, func(conn net.Conn) net.Conn { return conn })
}

// connect opens a connection, and puts wrap around that of the network. The timeouts of the net.Dialer hold for the TLS
// handshake too. Those of redigo ignore ctx.
func (t target) connect(ctx context.Context, wrap func(net.Conn) net.Conn) (redis.Conn, error) {
	tcp := &net.Dialer{Timeout: time.Second, KeepAlive: 30 * time.Second}
	open := tcp.DialContext
	if t.tls != nil {
		open = (&tls.Dialer{NetDialer: tcp, Config: t.tls}).DialContext
	}
	wrapped := func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := open(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return wrap(conn), nil
	}
	conn, err := redis.DialContext(ctx, t.network, t.address,
		redis.DialContextFunc(wrapped),
		redis.DialReadTimeout(remaining(ctx, time.Second)), // of AUTH and SELECT
		redis.DialWriteTimeout(time.Second),
		redis.DialUsername(t.user),
		redis.DialPassword(t.password),
		redis.DialDatabase(t.database))
	return conn, known(err)
}

// remaining is how long a step may take: limit, or less if ctx ends before.
func remaining(ctx context.Context, limit time.Duration) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(deadline))
	}
	return max(limit, time.Nanosecond)
}
