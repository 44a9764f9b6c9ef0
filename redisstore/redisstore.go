// Package redisstore keeps sessions in Redis, through redigo. It needs Redis 6.2 or Valkey 7.2, or later.
//
//	store, err := redisstore.Open("redis://:password@localhost:6379/0", redisstore.Options{})
//	...
//	err = store.Ping(ctx) // at start-up: is Redis there, and would it serve a session?
//	...
//	sessions, err := session.New(session.Config{Store: store})
//
// A session is one string under one key, session:<ID>, with a time to live. These are the commands:
//
//   - A load is one GETEX. A peek is a GETEX and a PTTL.
//   - The save of a new session is one SET. Its deletion is one GETDEL. If only one value and no other may be deleted,
//     it is a script.
//   - The save of a new value over an old one is a compare-and-set in one round trip. SET puts the value aside under
//     {session:<ID>}:<rev> for at most 10 seconds. Then a script compares the length and the _rev of what is stored
//     with those of what was loaded, and renames the new value over it.
//   - If the server's SET has IFEQ, as from Valkey 8.1 and Redis 8.4 on, and the old value has at most 8 kB, that save
//     is one SET IFEQ. It compares the whole value. If it finds another one, a GETEX follows. The store sends the first
//     IFEQ to find out whether the server has it. A server that refuses it is asked again after 10 minutes.
//
// All keys of a user are in one slot of a cluster. An ID <user>:<rest> is stored under session:{<user>}:<rest>. The
// rests are the members of a sorted set, session:{<user>}:user, scored by the milliseconds of their sign-in. Each load
// sends a ZRANK ahead of its GETEX. The user's stamp is session:{<user>}:stamp. Scripts change the set and the stamp.
//
// Parts are the texts that [driver.Large] keeps beside a value. They are the fields of a hash, {session:<ID>}:large, or
// session:{<user>}:<rest>:large. Storing one is a MULTI with HSET and PEXPIRE in two round trips. With a [Client] of
// another library it is a script in one. Reading one is an HGET. What loads or saves the value gives the hash a second
// more to live than the value, with a PEXPIRE ahead in the same flush.
//
// If scripts are not allowed, [Options.NoScripts] does the same with WATCH and MULTI in two round trips, and with IFEQ
// in one.
//
// The least that an ACL user needs is
//
//	~session:* ~{session:* +getex +pttl +getdel +set +evalsha +eval +strlen +getrange +rename +pexpire +unlink +type +get
//	+exists +zrank +zscore +zadd +zrem +zrange +zcard +zpopmin +zremrangebyrank +hget +hset +hdel +multi +exec
//
// or, with NoScripts,
//
//	~session:* ~{session:* +getex +pttl +getdel +set +watch +strlen +getrange +multi +exec +discard +pexpire +unlink
//	+exists +zrank +zadd +zrem +zrange +zpopmin +zremrangebyrank +hget +hset +hdel
//
// and +select in both for a database other than 0. [SentinelConfig] and package redisstore/goredis say what they need
// in addition.
package redisstore

import (
	"context"
	"fmt"
	"io"

	"github.com/gomodule/redigo/redis"

	"github.com/sessionkv/session/driver"
)

var _ driver.Store = (*Store)(nil)

// Store is a [driver.Store] on Redis, with [driver.Users] and [driver.Large]. It is safe for concurrent use. Make one with [Open],
// [OpenSentinel], [New] or [NewWithClient].
//
// Every method obeys the deadline of its context. If the context has none, each flush takes at most 3 seconds. Only the
// write of a large value to a server that hangs may take up to the pool's write timeout longer. The end of the context
// is looked at when the method is called. What has begun goes on until the deadline.
//
// If the connection of a command breaks, the command is repeated once on a new connection, so that a restart of Redis
// fails no request. A command that timed out is not repeated. READONLY is the sign of a failover, and NOAUTH or
// WRONGPASS that of a password that was changed. After one of these the connection is closed and the command is
// repeated once on a new one.
//
// Errors say what failed and what to do, and hold neither a password nor a session's values. Apart from those of
// package driver, they wrap a [Refusal] of the server, or what redigo, [Options.Credentials] or the [Client] returned.
type Store struct {
	client  Client
	own     *pool // nil if the client is another library's
	watcher *pool // own for NoScripts, otherwise nil
	prefix  string
	loads   loads
	saves   saves
	ifEqual ifEqual
}

// New returns a Store on the caller's own pool, for what [Open] and [OpenSentinel] cannot express, such as other limits
// or timeouts. [Store.Close] closes the pool.
//
// Dial or DialContext of the pool should set [redis.DialConnectTimeout], [redis.DialReadTimeout] and
// [redis.DialWriteTimeout] to about a second. The defaults of redigo are 30 seconds for the first and no limit for the
// others. A hung server would then hold a new connection, or the write of a large value, beyond the context's deadline.
// A connection that wraps one of redigo must keep the method DoWithTimeout.
//
// The other fields of the pool mean this here:
//
//   - MaxIdle must not be 0, which would mean that every flush dials. 64 is enough for most. With [Options.NoScripts]
//     take the number of saves that run at once.
//   - IdleTimeout should be below the timeout of Redis, and below the idle limit of a balancer or firewall in between.
//   - MaxActive should be 0, which is no limit, or a high number. Small and large values get half of it each. A call of
//     the Store waits for a connection until its deadline. Another user of the pool may take the last connection; without
//     Wait, a call then fails at once.
//   - Wait is safe, because waiting ends with the deadline of the call.
//   - MaxConnLifetime should be about a minute if a failover moves a DNS name, so that connections follow it.
//   - TestOnBorrow is not needed. Broken connections are replaced without it, and a PING in it costs a round trip for
//     each call.
//
// New panics in these cases: pool is nil, or has neither Dial nor DialContext; the Prefix contains a brace, which would
// send the two keys of a save to different slots; or options has TLS or Credentials, which belong to the pool.
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
	store := &Store{client: telling{client}, own: pool, prefix: options.Prefix}
	if options.NoScripts {
		store.watcher = pool
	}
	return store
}

// NewWithClient returns a Store on a Client, for other libraries of Redis than redigo. [Store.Close] closes the client.
//
// It panics in these cases: client is nil; the Prefix contains a brace; options has NoScripts, because a Client has no
// WATCH; or options has TLS or Credentials, which belong to the client.
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

// Format prints only what the Store is, for every verb of package fmt, because the pool's settings may hold a password.
func (s *Store) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "redisstore.Store") }

// Ping reports whether Redis can be reached and would serve a session. It sends a GETEX, as every request does, of the
// bare prefix, which is no session's key. Therefore it also finds a wrong password, a missing permission, a read-only
// replica and a server that is too old. Call it at start-up, because Open and New do not connect.
func (s *Store) Ping(ctx context.Context) error {
	reply, _, err := s.one(ctx, "GETEX", s.prefix)
	if _, err := bulk(reply, err); err != nil && err != driver.ErrNotFound {
		return s.failed("ping", "", err)
	}
	return nil
}

// Close closes the pool or client, also one that was given to New or NewWithClient. Call it when no other method is
// running any more. Every later call fails.
func (s *Store) Close() error {
	return s.client.Close()
}

// one runs one command and returns its reply. It returns an error of the server as err.
func (s *Store) one(ctx context.Context, name, key string, args ...any) (reply any, lost, err error) {
	return s.last(ctx, key, []Command{{name, append([]any{key}, args...)}})
}

// last is one for the last of several commands in one flush. A refusal of the others is an error too.
func (s *Store) last(ctx context.Context, key string, commands []Command) (reply any, lost, err error) {
	replies, lost, err := s.client.Do(ctx, key, commands...)
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

// key is where the value of an ID is stored. All keys of one user are in one slot of a Redis Cluster, which the text in
// braces decides.
func (s *Store) key(id string) string {
	slot, user, end, rest := inSlot(id)
	return s.prefix + slot + user + end + rest
}

// address is the key of an ID for a Client, which may have to choose a server. The pool of this package has one server,
// and looks at no key.
func (s *Store) address(id string) string {
	if s.own != nil {
		return ""
	}
	return s.key(id)
}

func (s *Store) user(name string) user {
	slot := s.prefix + "{" + name + "}:"
	return user{name, slot, slot + listName, slot + "stamp"}
}

// userOf is the user of an ID that has one.
func (s *Store) userOf(id string) user { return s.user(driver.UserOf(id)) }
