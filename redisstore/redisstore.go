// Package redisstore keeps sessions in Redis, through redigo. It needs Redis 6.2 or Valkey 7.2, or later.
//
//	store, err := redisstore.Open("redis://:password@localhost:6379/0", redisstore.Options{})
//	...
//	err = store.Ping(ctx) // at start-up: is Redis there, and would it serve a session?
//	...
//	sessions, err := session.New(session.Config{Store: store})
//
// A session is one string under one key, session:<ID>, with a time to live. Loading it is one GETEX, peeking at it a GETEX
// and a PTTL, storing a new one one SET, deleting it one GETDEL. Storing a new value over an old one is a compare-and-set
// in one round trip: SET puts the value aside under {session:<ID>}:<rev> for at most 10 seconds, then a script compares
// the length and the _rev of what is stored with those of what was loaded, and renames the new value over it. Where the
// server's SET has IFEQ, as from Valkey 8.1 and Redis 8.4 on, and the old value has at most 8 kB, it is one SET IFEQ, which
// compares the whole value, and behind it a GETEX if that finds another one. The store sends the first IFEQ to find out; a
// server that refuses it is asked again after 10 minutes. Deleting one value and no other is a script.
//
// What belongs to a user is in one slot of a cluster: an ID <user>:<rest> is stored under session:{<user>}:<rest>. The
// rests are the members of a sorted set, session:{<user>}:user, scored by the milliseconds of their sign-in, and each
// load sends a ZRANK ahead of its GETEX. The user's stamp is session:{<user>}:stamp. Changes of both are scripts.
//
// Where scripts are not allowed, [Options.NoScripts] does the same with WATCH and MULTI in two round trips, and with IFEQ
// in one.
//
// The least that an ACL user needs is
//
//	~session:* ~{session:* +getex +pttl +getdel +set +evalsha +eval +strlen +getrange +rename +pexpire +unlink +type +get
//	+exists +zrank +zscore +zadd +zrem +zrange +zcard +zpopmin +zremrangebyrank
//
// or, with NoScripts,
//
//	~session:* +getex +pttl +getdel +set +watch +strlen +getrange +multi +exec +discard +pexpire +unlink
//	+exists +zrank +zadd +zrem +zrange +zpopmin +zremrangebyrank
//
// and +select in both for a database other than 0. [SentinelConfig] and package redisstore/goredis say what they need
// besides.
package redisstore

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/gomodule/redigo/redis"

	"github.com/sessionkv/session/driver"
)

var _ driver.Store = (*Store)(nil)

// Store is a [driver.Store] on Redis, with [driver.Users]. It is safe for concurrent use. Make one with [Open],
// [OpenSentinel], [New] or [NewWithClient].
//
// Every method obeys the deadline of its context, or takes at most 3 seconds for each flush where the context has none;
// only writing a large value to a server that hangs may take up to the pool's write timeout longer. Cancellation counts
// when the method is called; what has begun goes on until the deadline. A command whose connection broke is repeated once
// on a new connection, so that a restart of Redis fails no request; one that timed out is not. After a READONLY, the sign
// of a failover, and after a NOAUTH or WRONGPASS, the sign of a password that was changed, the connection is closed and
// the command repeated once on a new one.
//
// Errors say what failed and what to do, and hold neither a password nor a session's values. Other than those of package
// driver, they wrap a [Refusal] of the server, or what redigo, [Options.Credentials] or the [Client] returned.
type Store struct {
	client  Client
	watcher *pool // for NoScripts, else nil
	prefix  string
	loads   loads
	ifEqual ifEqual
}

// New returns a Store on the caller's own pool, for what [Open] and [OpenSentinel] cannot express, such as other limits
// or timeouts. [Store.Close] closes the pool.
//
// The pool's MaxIdle should not be 0 (that is no pooling), and its Dial or DialContext should set
// [redis.DialConnectTimeout], [redis.DialReadTimeout] and [redis.DialWriteTimeout]: redigo's defaults are 30 seconds and
// none, and a hung server would hold a dial, or the write of a large value, beyond the context's deadline.
//
// New panics if pool is nil, or without Dial and DialContext, if the Prefix contains a brace, which would send the two
// keys of a save to different slots, or if options has TLS or Credentials, which are the pool's.
func New(pool *redis.Pool, options Options) *Store {
	if pool == nil || pool.Dial == nil && pool.DialContext == nil {
		panic("redisstore: New needs a pool with Dial or DialContext")
	}
	options.mustComplete()
	return onPool(pool, options)
}

// onPool is New with options that are complete.
func onPool(pool *redis.Pool, options Options) *Store {
	shared := newPool(pool)
	return newStore(shared, shared, options)
}

// newStore returns a Store on a client, whose pool is nil if it is not one of this package.
func newStore(client Client, pool *pool, options Options) *Store {
	store := &Store{client: telling{client}, prefix: options.Prefix}
	if options.NoScripts {
		store.watcher = pool
	}
	return store
}

// NewWithClient returns a Store on a Client, for other libraries of Redis than redigo. [Store.Close] closes the client.
//
// It panics if client is nil, if the Prefix contains a brace, or if options has NoScripts, for a Client has no WATCH, or
// TLS or Credentials, which are the client's.
func NewWithClient(client Client, options Options) *Store {
	if client == nil {
		panic("redisstore: NewWithClient needs a Client")
	}
	if options.NoScripts {
		panic("redisstore: Options.NoScripts needs a Store made by Open, OpenSentinel or New")
	}
	options.mustComplete()
	return newStore(client, nil, options)
}

// Format prints no more than what it is, for every verb of package fmt: the pool's settings may hold a password.
func (s *Store) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "redisstore.Store") }

// Ping reports whether Redis can be reached and would serve a session. It sends what every request sends, a GETEX (of
// the bare prefix, which is no session's key), so it also finds a wrong password, a missing permission, a read-only
// replica and a server that is too old. Call it at start-up: Open and New do not connect.
func (s *Store) Ping(ctx context.Context) error {
	reply, _, err := s.one(ctx, "GETEX", s.prefix)
	if _, err := bulk(reply, err); err != nil && err != driver.ErrNotFound {
		return s.failed("ping", "", err)
	}
	return nil
}

// Close closes the pool or client, also one that was given to New or NewWithClient. Call it when no other method is
// running any more; every later call fails.
func (s *Store) Close() error {
	return s.client.Close()
}

// one runs one command and returns its reply. It returns an error of the server as err.
func (s *Store) one(ctx context.Context, name, key string, args ...any) (reply any, lost, err error) {
	return s.behind(ctx, nil, name, key, args...)
}

// behind is one behind the commands of first, in one flush. A refusal of those is an error too.
func (s *Store) behind(ctx context.Context, first []Command, name, key string, args ...any) (reply any, lost, err error) {
	replies, lost, err := s.client.Do(ctx, key, append(slices.Clip(first), Command{name, append([]any{key}, args...)})...)
	if err == nil {
		err = firstRefusal(replies)
	}
	if err != nil {
		return nil, lost, err
	}
	return replies[len(replies)-1], lost, nil
}

func (s *Store) failed(operation, id string, err error) error {
	return explain(s.prefix, operation, id, err)
}
