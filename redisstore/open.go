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
// The host defaults to localhost, the port to 6379, the database to 0. redis://:password@host gives a password without a
// user, and so does redis://word@host, as in redis-cli. Special characters in a password are percent-encoded. Anything
// else in the URL is an error, which never holds any part of it.
//
// With TLS, the certificate is verified against the CAs of the system, or as [Options.TLS] says; options with TLS for
// another URL are an error, for the connection would be in the clear.
//
// Open does not connect; [Store.Ping] does. The pool keeps up to 64 idle connections, each for 4 minutes. Calls that run
// at the same time share a few connections, more of them where Redis is far or values are large: 128 at most, and with
// [Options.NoScripts] one for each save besides. A connection is made, with its TLS handshake, within 1 second, a request
// written within 1 second, and its reply read before the context's deadline. TCP keep-alive is 30 seconds. For anything
// else, use [New]. The caller closes the Store.
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
