package redisstore

import (
	"context"
	"time"

	"github.com/gomodule/redigo/redis"
)

// Open returns a Store on the Redis that url names:
//
//	redis://[user:password@]host[:port][/database]    also valkey://
//	rediss://[user:password@]host[:port][/database]   TLS; also valkeys://
//	unix://[user:password@]/path/to/socket[?db=database]
//	host:port
//
// The host defaults to localhost, the port to 6379, the database to 0. redis://:password@host gives a password without
// a user, and so does redis://word@host, as in redis-cli. Special characters in a password are percent-encoded.
// Anything else in the URL is an error. The error never holds any part of the URL.
//
// With TLS, the certificate is verified against the CAs of the system, or as [Options.TLS] says. If options has TLS and
// the URL is another one, that is an error, because the connection would be in the clear.
//
// Open does not connect; [Store.Ping] does. The pool keeps up to 64 idle connections, each for 4 minutes. Calls that
// run at the same time share a few connections. They use more of them where Redis is far or values are large. There are
// at most 128, and with [Options.NoScripts] one more for each save. A connection is made, with its TLS handshake,
// within 1 second. A request is written within 1 second, and its reply is read before the context's deadline. TCP
// keep-alive is 30 seconds. For anything else, use [New]. The caller closes the Store.
func Open(url string, options Options) (*Store, error) {
	t, err := parse(url)
	if err != nil {
		return nil, err
	}
	if err := options.complete(); err != nil {
		return nil, err
	}
	if options.TLS != nil {
		if t.tls == nil {
			return nil, errPlain
		}
		t.tls = options.TLS
	}
	dial := func(ctx context.Context) (redis.Conn, error) {
		t, err := options.signIn(ctx, t)
		if err != nil {
			return nil, err
		}
		return t.dial(ctx)
	}
	return onPool(&redis.Pool{DialContext: dial, MaxIdle: 64, IdleTimeout: 4 * time.Minute}, options), nil
}

// OpenSentinel returns a Store on the Redis that sentinels watch over:
//
//	store, err := redisstore.OpenSentinel(redisstore.SentinelConfig{
//		Addrs:    []string{"s1:26379", "s2:26379", "s3:26379"},
//		Master:   "mymaster",
//		Password: os.Getenv("REDIS_PASSWORD"),
//	}, redisstore.Options{})
//
// It starts to follow every sentinel in the background, until [Store.Close]. The first that answers names the master.
// When one announces another master (+switch-master), no call uses a connection to the old one any more. An old master
// that still lives would go on to acknowledge writes that are then lost. A new connection is asked for its ROLE, and is
// refused if that is not master. If the ACL forbids ROLE, a replica is recognised by the READONLY that it answers with.
//
// During a failover calls fail. They fail at once if the old master is gone, and by their deadline if it hangs. No call
// waits for a new master. Redis replicates asynchronously. If a master has acknowledged a write and not yet sent it on,
// the write is lost with the master. If it was the delete of a session, the session is then back. See Replicas, and
// min-replicas-to-write in docs/operations.md.
//
// The settings of the pool are those of [Open]. OpenSentinel returns an error if a field is missing or wrong.
func OpenSentinel(config SentinelConfig, options Options) (*Store, error) {
	if err := config.complete(&options); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	m := &master{config: config, options: options, stop: stop, ping: watchPing, silence: watchSilence}
	shared := newPool(&redis.Pool{
		DialContext:  m.dial,
		TestOnBorrow: m.test,
		MaxIdle:      64,
		IdleTimeout:  4 * time.Minute,
	})
	var client Client = following{shared, m}
	if config.Replicas > 0 {
		client = waiting{client, shared, config.Replicas, config.ReplicaTimeout}
	}
	for _, addr := range config.Addrs {
		m.watchers.Go(func() { m.follow(ctx, addr) })
	}
	return newStore(client, shared, options), nil
}
