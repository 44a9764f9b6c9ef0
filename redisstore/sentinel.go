package redisstore

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gomodule/redigo/redis"
)

// Sentinel says which Redis [OpenSentinel] connects to. Addrs and Master are required.
type Sentinel struct {
	_ [0]func() // literals name their fields, so that one can be added

	// Addrs are the sentinels, each host:port. Name them all: one that can be reached is enough.
	Addrs []string

	// Master is the name by which the sentinels know the Redis: the second word of "sentinel monitor" in their
	// configuration.
	Master string

	// Username and Password sign in to Redis, Database is selected. "" and 0 are left out. The ACL user needs +role
	// besides what the package comment lists; without it, see [OpenSentinel].
	Username, Password string
	Database           int

	// SentinelUsername and SentinelPassword sign in to the sentinels, which have users of their own. The ACL user needs
	// +sentinel|get-master-addr-by-name, +subscribe, +ping and &+switch-master.
	SentinelUsername, SentinelPassword string

	// TLS, unless nil, is for the connections to Redis and to the sentinels. An empty ServerName means the host that is
	// dialled, so the certificates must name what the sentinels announce. It must not be changed afterwards.
	TLS *tls.Config

	// Options are those of the Store.
	Options Options

	// Replicas, unless 0, is how many replicas must have taken over each save and each delete before it counts as done.
	// Redis sends a WAIT with it. If they have not after ReplicaTimeout, 0 meaning 500 ms, the call fails, and it is
	// unknown whether the change will last: it is on the master. It must be well below the StoreTimeout of the session
	// package.
	//
	// The price is a round trip from the master to a replica on every save, a connection for each save that runs at the
	// same time, and 503 for every save while there are too few replicas. It makes the loss of an acknowledged save in a
	// failover improbable, not impossible: the replica that is promoted may be another than the one that had it. That a
	// repeated delete finds nothing does not say that replicas have taken over the first. It does not work with
	// Options.NoScripts. The ACL user needs +wait.
	Replicas       int
	ReplicaTimeout time.Duration
}

// String names the master and the sentinels, and no password.
func (s Sentinel) String() string {
	return fmt.Sprintf("redisstore.Sentinel(%s at %q)", s.Master, s.Addrs)
}

// Format prints String for every verb of package fmt.
func (s Sentinel) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue logs String.
func (s Sentinel) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON encodes String.
func (s Sentinel) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

const (
	sentinelPort = "26379"

	// sentinelTimeout bounds what one sentinel may take to answer, so that a hung one leaves time for the others.
	sentinelTimeout = 500 * time.Millisecond

	// watchPause is between two attempts to follow a sentinel, watchPing between two signs of life of one that is
	// followed.
	watchPause = 500 * time.Millisecond
	watchPing  = 5 * time.Second

	defaultReplicaTimeout = 500 * time.Millisecond
)

// OpenSentinel returns a Store on the Redis that sentinels watch over:
//
//	store, err := redisstore.OpenSentinel(redisstore.Sentinel{
//		Addrs:    []string{"s1:26379", "s2:26379", "s3:26379"},
//		Master:   "mymaster",
//		Password: os.Getenv("REDIS_PASSWORD"),
//	})
//
// It starts to follow every sentinel in the background, until [Store.Close]. The first that answers names the master.
// When one announces another (+switch-master), no call uses a connection to the old one any more: an old master that
// still lives would go on to acknowledge writes that are then lost. A new connection is asked for its ROLE, and refused
// if that is not master. Where the ACL forbids ROLE, a replica is recognised by the READONLY that it answers with.
//
// During a failover calls fail, at once if the old master is gone and by their deadline if it hangs; there is no waiting
// for a new one within a call. Redis replicates asynchronously: what a master has acknowledged and not yet sent on is
// lost with it, also the delete of a session, which then is back. See Replicas, and min-replicas-to-write in
// docs/operations.md.
//
// The settings of the pool are those of [Open]. OpenSentinel returns an error if a field is missing or wrong.
func OpenSentinel(config Sentinel) (*Store, error) {
	if err := config.complete(); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	m := &master{config: config, stop: stop}
	store := New(&redis.Pool{
		DialContext:  m.dial,
		TestOnBorrow: m.test,
		MaxIdle:      64,
		IdleTimeout:  4 * time.Minute,
	}, config.Options)
	own := store.client.(*pool)
	store.client = following{own, m}
	if config.Replicas > 0 {
		store.client = waiting{store.client, own, config.Replicas, config.ReplicaTimeout}
	}
	for _, addr := range config.Addrs {
		m.watchers.Go(func() { m.follow(ctx, addr) })
	}
	return store, nil
}

// complete checks the settings and puts in the defaults.
func (s *Sentinel) complete() error {
	var errs []error
	fault := func(is bool, format string, args ...any) {
		if is {
			errs = append(errs, fmt.Errorf("redisstore: Sentinel."+format, args...))
		}
	}
	fault(len(s.Addrs) == 0, "Addrs is missing: the sentinels, each host:port")
	s.Addrs = slices.Clone(s.Addrs)
	for i, addr := range s.Addrs {
		if !strings.Contains(addr, ":") {
			addr = net.JoinHostPort(addr, sentinelPort)
		}
		host, port, err := net.SplitHostPort(addr)
		fault(err != nil || host == "" || port == "", "Addrs[%d] is not host:port", i)
		s.Addrs[i] = addr
	}
	fault(s.Master == "", "Master is missing: the name in the sentinels' configuration")
	fault(s.Username != "" && s.Password == "", "Password is missing: is a variable unset?")
	fault(s.SentinelUsername != "" && s.SentinelPassword == "", "SentinelPassword is missing: is a variable unset?")
	fault(s.Database < 0, "Database is negative")
	fault(s.Replicas < 0, "Replicas is negative")
	fault(s.Replicas > 0 && s.Options.NoScripts, "Replicas does not work with Options.NoScripts")
	fault(s.ReplicaTimeout < 0, "ReplicaTimeout is negative")
	fault(strings.ContainsAny(s.Options.Prefix, "{}"), "Options.Prefix must not contain a brace")
	if s.ReplicaTimeout == 0 {
		s.ReplicaTimeout = defaultReplicaTimeout
	}
	return errors.Join(errs...)
}

// A master is the Redis that the sentinels say is the master, and may be another one any time.
type master struct {
	config   Sentinel
	stop     context.CancelFunc
	watchers sync.WaitGroup

	mu       sync.Mutex
	addr     string // "" until a sentinel has said it
	switches int    // how often addr has changed
}

// A masterConn is a connection to what was the master when addr had changed switches times.
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

// dial connects to the master. It goes where the sentinels said last, which needs no sentinel, and asks them only if
// nothing is known yet or that is not the master.
func (m *master) dial(ctx context.Context) (redis.Conn, error) {
	known, switches := m.current()
	var failure error
	if known != "" {
		conn, err := m.connect(ctx, known, switches)
		if err == nil {
			return conn, nil
		}
		failure = err
	}
	addr, err := m.ask(ctx)
	if err == nil && addr == known || err != nil && failure != nil {
		return nil, failure
	}
	if err != nil {
		return nil, err
	}
	m.learn(addr)
	addr, switches = m.current() // a watcher may know better by now
	return m.connect(ctx, addr, switches)
}

// connect dials what should be the master, and makes sure that it is.
func (m *master) connect(ctx context.Context, addr string, switches int) (redis.Conn, error) {
	c := &m.config
	conn, err := m.target(addr, c.Username, c.Password, c.Database).dial(ctx)
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
	t := target{network: "tcp", address: addr, user: user, password: password, database: database}
	if m.config.TLS != nil {
		t.tls = m.config.TLS
	}
	return t
}

// remaining is how long a step may take: limit, or less if ctx ends before.
func remaining(ctx context.Context, limit time.Duration) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(deadline))
	}
	return max(limit, time.Nanosecond)
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
		return "", fmt.Errorf("sentinel %s: %w", sentinel, err)
	case len(reply) != 2:
		return "", fmt.Errorf("sentinel %s answers with %d words instead of host and port", sentinel, len(reply))
	}
	return net.JoinHostPort(reply[0], reply[1]), nil
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

// listen takes note of the master that a sentinel has, and of each that it announces. The master is asked for after the
// subscription, so that no switch is missed between the two.
func (m *master) listen(ctx context.Context, sentinel string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	conn, err := m.target(sentinel, m.config.SentinelUsername, m.config.SentinelPassword, 0).dial(ctx)
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { conn.Close() }) // ends a Receive, as redigo's own ReceiveContext does
	subscription := redis.PubSubConn{Conn: conn}
	if err := subscription.Subscribe("+switch-master"); err != nil {
		return err
	}
	m.watchers.Go(func() { keepAlive(ctx, subscription) })
	for {
		switch event := subscription.ReceiveWithTimeout(2 * watchPing).(type) {
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
func keepAlive(ctx context.Context, subscription redis.PubSubConn) {
	ticker := time.NewTicker(watchPing)
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

// waiting is a Client whose changes count as done when replicas have them. Each change has a connection to itself: a WAIT
// would hold up what others send behind it.
type waiting struct {
	Client
	pool     *pool
	replicas int
	timeout  time.Duration
}

// Do sends WAIT behind commands that change something. A refusal among the replies is more telling than too few replicas.
func (w waiting) Do(ctx context.Context, key string, commands ...Command) (replies []any, lost, err error) {
	if commands[0].Name == "GETEX" {
		return w.Client.Do(ctx, key, commands...)
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	ctx, cancel := withDeadline(ctx)
	defer cancel()
	patience := remaining(ctx, w.timeout)
	c := &call{commands: append(slices.Clip(commands), cmd("WAIT", w.replicas, milliseconds(patience)))}
	w.pool.run(ctx, c.byItself())
	replies, lost, err = c.replies, c.lost, c.err
	if err != nil {
		return nil, lost, err
	}
	last := len(replies) - 1
	replies, acknowledged := replies[:last], replies[last]
	if refused(replies) != nil {
		return replies, lost, nil
	}
	if refusal, ok := acknowledged.(redis.Error); ok {
		return nil, lost, fmt.Errorf("WAIT: %w", refusal)
	}
	if n, _ := acknowledged.(int64); n < int64(w.replicas) {
		return nil, lost, fmt.Errorf("%d of %d replicas have taken over the change within %v; the master has it, "+
			"and loses it if it fails now", n, w.replicas, patience)
	}
	return replies, lost, nil
}
