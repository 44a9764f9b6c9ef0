package redisstore_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/gomodule/redigo/redis"

	"github.com/sessionkv/session/redisstore"
)

func TestPoolExhausted(t *testing.T) {
	pool := newPool(miniredis.RunT(t).Addr())
	pool.MaxActive = 1
	store := openPool(t, pool, redisstore.Options{})
	conn := pool.Get()
	wantErrors(t, operations(t.Context(), store, "1"), "exhausted", "MaxActive")
	conn.Close()
	if err := store.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestClosed(t *testing.T) {
	store := open(t, miniredis.RunT(t).Addr(), redisstore.Options{})
	if err := errors.Join(store.Ping(t.Context()), store.Close(), store.Close()); err != nil {
		t.Fatal(err)
	}
	wantErrors(t, operations(t.Context(), store, "1"), "closed pool")
}

// plainConn hides that a connection takes timeouts, as a wrapper around redis.Conn does.
type plainConn struct{ redis.Conn }

func TestConnectionsMustTakeTimeouts(t *testing.T) {
	addr := miniredis.RunT(t).Addr()
	pool := &redis.Pool{Dial: func() (redis.Conn, error) {
		conn, err := redis.Dial("tcp", addr)
		return plainConn{conn}, err
	}}
	wantErrors(t, operations(t.Context(), openPool(t, pool, redisstore.Options{}), "1"), "ConnWithTimeout")
}

// Every error of a server is passed on with what to do about it, is not repeated, and costs no connection.
func TestServerErrors(t *testing.T) {
	t.Parallel()
	texts := map[string]string{
		"MASTERDOWN Link with MASTER is down":                                              "address of the primary",
		"LOADING Redis is loading the dataset in memory":                                   "try again",
		"NOREPLICAS Not enough good replicas to write.":                                    "min-replicas",
		"MISCONF Redis is configured to save RDB snapshots":                                "snapshot",
		"MOVED 3999 127.0.0.1:6381":                                                        "Redis Cluster",
		"ASK 3999 127.0.0.1:6381":                                                          "Redis Cluster",
		"TRYAGAIN Multiple keys request during rehashing of slot":                          "Redis Cluster",
		"CROSSSLOT Keys in request don't hash to the same slot":                            "Redis Cluster",
		"CLUSTERDOWN Hash slot not served":                                                 "Redis Cluster",
		"BUSY Redis is busy running a script.":                                             "SCRIPT KILL",
		"ERR max number of clients reached":                                                "maxclients",
		"DENIED Redis is running in protected mode":                                        "protected mode",
		"ERR unknown command 'GETEX', with args beginning with: 'topsecret'":               "6.2",
		"ERR unknown command `EVALSHA`, with args beginning with: `topsecret`, ":           "NoScripts",
		"ERR The user executing the script can't run this command or subcommand script: 1": "ACL user needs",
		"ERR ACL failure in script: User app has no permissions to run the 'get' command":  "ACL user needs",
		"NOPERM this user has no permissions to access one of the keys used as arguments":  "~app:*",
		"ERR something that nobody has heard of":                                           "nobody",
	}
	for text, hint := range texts {
		eachMode(t, func(t *testing.T, options redisstore.Options) {
			server := miniredis.RunT(t)
			pool := newPool(server.Addr())
			dials := countDials(pool)
			options.Prefix = "app:"
			store := openPool(t, pool, options)
			server.SetError(text)
			text, _, _ := strings.Cut(text, ", with")
			errs := operations(t.Context(), store, "1")
			wantErrors(t, errs, text, hint)
			for name, err := range errs {
				var refused redisstore.Refusal
				if !errors.As(err, &refused) || strings.Contains(fmt.Sprintf("%v %v", err, refused), "topsecret") {
					t.Errorf("%s: %v", name, err)
				}
			}
			want := int32(1)
			if options.NoScripts {
				want = 6 // five are lost to what may be a half-open MULTI
			}
			if n := dials.Load(); n > want {
				t.Errorf("%q: %d connections; want %d", text, n, want)
			}
		})
	}
}
