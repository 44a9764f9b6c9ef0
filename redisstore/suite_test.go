package redisstore_test

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/gomodule/redigo/redis"

	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/redistest"
	"github.com/sessionkv/session/redisstore"
	"github.com/sessionkv/session/storetest"
)

func TestStoreOnMiniredis(t *testing.T) {
	eachMode(t, func(t *testing.T, options redisstore.Options) {
		storetest.Run(t, func(t *testing.T) driver.Store {
			server := miniredis.RunT(t)
			return timed{open(t, server.Addr(), options), server.FastForward}
		})
	})
}

func TestStoreOnRedis(t *testing.T) {
	server := redistest.Start(t)
	eachMode(t, func(t *testing.T, options redisstore.Options) {
		storetest.Run(t, func(t *testing.T) driver.Store {
			options := options
			options.Prefix = rand.Text() + ":"
			return timed{open(t, server.Addr(), options), func(d time.Duration) {
				age(t, server, options.Prefix, d)
			}}
		})
	})
}

// The default settings wait for real time to pass, to prove that nothing depends on Advance.
func TestStoreThroughOpen(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	storetest.Run(t, func(t *testing.T) driver.Store {
		store, err := redisstore.Open(server.URL(), redisstore.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { store.Close() })
		return store
	})
}

// age takes d from the time to live of the keys with this prefix, which is random.
func age(t *testing.T, server *redistest.Server, prefix string, d time.Duration) {
	keys, _ := redis.Strings(server.Do(t, "KEYS", "*"+prefix+"*"), nil)
	for _, key := range keys {
		left, _ := redis.Int64(server.Do(t, "PTTL", key), nil)
		server.Do(t, "PEXPIRE", key, left-d.Milliseconds()) // one that is not positive deletes the key
	}
}
