package redisstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/gomodule/redigo/redis"
)

// sentinelTimeout bounds the answer of one sentinel, so that a hung one leaves time for the others.
const sentinelTimeout = 500 * time.Millisecond

// A master is the Redis that the sentinels call the master. It may become another one at any time.
type master struct {
	config   SentinelConfig
	options  Options
	stop     context.CancelFunc
	watchers sync.WaitGroup

	ping, silence time.Duration // of the watchers

	mu       sync.Mutex
	addr     string // "" until a sentinel has said it
	switches int    // how often addr has changed
}

// A masterConn is a connection to the Redis that was the master when addr had changed switches times.
type masterConn struct {
	redis.ConnWithTimeout
	switches int
}

var errOldMaster = errors.New("the sentinels have announced another master since")

// test keeps the pool from lending a connection to an old master.
func (m *master) test(conn redis.Conn, _ time.Time) error {
	if _, switches := m.current(); conn.(masterConn).switches != switches {
		return errOldMaster
	}
	return nil
}

func (m *master) current() (addr string, switches int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.addr, m.switches
}

// learn takes note of what a sentinel says.
func (m *master) learn(addr string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if addr != m.addr {
		m.addr = addr
		m.switches++
	}
}

// dial connects to the master. It goes where the sentinels said last, which needs no sentinel. It asks them only if
// nothing is known yet or if that is not the master.
func (m *master) dial(ctx context.Context) (conn redis.Conn, failure error) {
	known, switches := m.current()
	if known != "" {
		if conn, failure = m.connect(ctx, known, switches); failure == nil {
			return conn, nil
		}
	}
	addr, err := m.ask(ctx)
	if failure != nil && (err != nil || addr == known) {
		return nil, failure // the sentinels know nothing better
	}
	if err != nil {
		return nil, err
	}
	m.learn(addr)
	addr, switches = m.current() // who follows the sentinels may know better by now
	return m.connect(ctx, addr, switches)
}

// connect dials the Redis that should be the master, and makes sure that it is.
func (m *master) connect(ctx context.Context, addr string, switches int) (redis.Conn, error) {
	c := &m.config
	t, err := m.options.signIn(ctx, m.target(addr, c.Username, c.Password, c.Database))
	if err != nil {
		return nil, err
	}
	conn, err := t.dial(ctx)
	if err != nil {
		return nil, err
	}
	role, err := redis.Values(redis.DoWithTimeout(conn, remaining(ctx, time.Second), "ROLE"))
	switch {
	case err == nil && len(role) > 0 && !isMaster(role[0]):
		conn.Close()
		return nil, fmt.Errorf("%s is a replica, while the sentinels call it the master; in a failover this passes", addr)
	case err != nil && conn.Err() != nil:
		conn.Close()
		return nil, err
	}
	return masterConn{conn.(redis.ConnWithTimeout), switches}, nil // what ROLE was refused for, the command says
}

func isMaster(role any) bool {
	name, _ := redis.String(role, nil)
	return name == "master"
}

// target is one server with the TLS of all.
func (m *master) target(addr, user, password string, database int) target {
	return target{network: "tcp", address: addr, tls: m.options.TLS, user: user, password: password, database: database}
}

// ask returns what the first sentinel that knows the master says.
func (m *master) ask(ctx context.Context) (addr string, err error) {
	var failures []string
	for _, sentinel := range m.config.Addrs {
		addr, failure := m.askOne(ctx, sentinel)
		if failure == nil {
			return addr, nil
		}
		failures, err = append(failures, failure.Error()), failure
	}
	if len(failures) == 1 {
		return "", fmt.Errorf("the sentinel does not name a master: %w", err)
	}
	return "", fmt.Errorf("no sentinel names a master: %s; %w", strings.Join(failures[:len(failures)-1], "; "), err)
}

// askOne asks one sentinel for the master.
func (m *master) askOne(ctx context.Context, sentinel string) (addr string, err error) {
	ctx, cancel := context.WithTimeout(ctx, sentinelTimeout)
	defer cancel()
	conn, err := m.target(sentinel, m.config.SentinelUsername, m.config.SentinelPassword, 0).dial(ctx)
	if err != nil {
		return "", fmt.Errorf("sentinel %s: %w", sentinel, err)
	}
	defer conn.Close()
	reply, err := redis.Strings(redis.DoWithTimeout(conn, remaining(ctx, sentinelTimeout),
		"SENTINEL", "get-master-addr-by-name", m.config.Master))
	switch {
	case err == redis.ErrNil:
		return "", fmt.Errorf("sentinel %s knows no master %q", sentinel, m.config.Master)
	case err != nil:
		return "", fmt.Errorf("sentinel %s: %w", sentinel, known(err))
	case len(reply) != 2:
		return "", fmt.Errorf("sentinel %s answers with %d words instead of host and port", sentinel, len(reply))
	}
	return net.JoinHostPort(reply[0], reply[1]), nil
}
