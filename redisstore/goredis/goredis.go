// Package goredis keeps sessions in Redis through go-redis. Use it for a Redis Cluster, or with a client that an
// application already has. It is a module of its own, so that package redisstore does not need go-redis.
//
//	client := redis.NewClusterClient(&redis.ClusterOptions{
//		Addrs:                 []string{"n1:6379", "n2:6379", "n3:6379"},
//		ContextTimeoutEnabled: true,
//	})
//	store := goredis.New(client, redisstore.Options{})
//	...
//	err := store.Ping(ctx)
//
// The ACL user needs what package redisstore lists, without +multi and +exec. On a cluster it also needs
// +cluster|slots, to find the nodes, and +asking, for slots that are being moved.
//
// The store promises what package redisstore says, on every kind of Redis. What belongs to one session or user is in
// one slot. A save goes to the node of that slot, on one connection and in order. The store follows MOVED and ASK for
// each command by itself, so that slots can be moved while requests run.
//
// The automatic retries of go-redis would repeat a save without saying so. They do not apply to the store's commands,
// whatever the client's MaxRetries. If the connection of a command breaks, the command is repeated once, as in package
// redisstore. The deadline of the context holds even without ContextTimeoutEnabled. With it, the store saves an
// allocation.
//
// TLS and credentials are settings of the client. For a password that changes, set its CredentialsProviderContext,
// which go-redis calls for each new connection. A command that gets NOAUTH on an open connection is not repeated.
//
// go-redis prints failed dials to stderr. [redis.SetLogger] sends them elsewhere. go-redis dials up to five times
// before a call fails, with pauses of 100 ms. Set DialerRetries to 1 if errors should come at once during an outage.
package goredis

import (
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/sessionkv/session/redisstore"
)

// New returns a Store on a client of go-redis. [redisstore.Store.Close] closes the client.
//
// client is a [*redis.Client], from [redis.NewClient] or [redis.NewFailoverClient] (Sentinel), or a
// [*redis.ClusterClient]. New panics if it is something else, such as a [*redis.Ring], which loses sessions when a
// shard is down. It also panics where [redisstore.NewWithClient] does: NoScripts, TLS and Credentials do not work here.
func New(client redis.UniversalClient, options redisstore.Options) *redisstore.Store {
	switch client := client.(type) {
	case *redis.ClusterClient:
		if client != nil {
			return redisstore.NewWithClient(cluster{&nodes{client: client}}, options)
		}
	case *redis.Client:
		if client != nil {
			return redisstore.NewWithClient(single{client}, options)
		}
	}
	panic(fmt.Sprintf("goredis: New needs a *redis.Client or *redis.ClusterClient, not %T", client))
}
