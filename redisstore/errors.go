package redisstore

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/gomodule/redigo/redis"

	"github.com/sessionkv/session/driver"
)

var errEvicted = errors.New("the new value was evicted before it was in its place: Redis has reached its maxmemory; " +
	"raise it, or use a policy that does not evict what is newest")

// explain is err as a Store returns it. It is unchanged if a caller has to recognise it. Otherwise it says what failed
// and what to do, on keys that begin with prefix.
func explain(prefix, operation, id string, err error) error {
	if err == nil || err == driver.ErrNotFound || err == driver.ErrConflict ||
		err == driver.ErrRemoved || err == driver.ErrStamp || err == driver.ErrFull {
		return err
	}
	if id != "" {
		operation += " " + id
	}
	text := "redisstore: %s: %w"
	if advice := hint(err); advice != "" {
		text += " (" + strings.ReplaceAll(advice, defaultPrefix, prefix) + ")"
	}
	return fmt.Errorf(text, operation, withoutArguments(err))
}

// withoutArguments cuts off the arguments in the error of an unknown command, because they may hold values.
func withoutArguments(err error) error {
	if text, _, cut := strings.Cut(err.Error(), ", with args beginning with"); cut {
		return Refusal(text)
	}
	return err
}

// hint says what to do about err, or nothing.
func hint(err error) string {
	var (
		refused     Refusal
		redigo      redis.Error // as a Dial of the caller may wrap it
		certificate *tls.CertificateVerificationError
		credentials credentialsError
		network     net.Error
	)
	switch {
	case errors.As(err, &credentials):
		return "" // it is the caller's own
	case errors.As(err, &refused):
		return refusalHint(string(refused))
	case errors.As(err, &redigo):
		return refusalHint(string(redigo))
	case errors.Is(err, redis.ErrPoolExhausted):
		return "something else uses connections of this pool; raise its MaxActive, or set its Wait"
	case errors.As(err, &certificate):
		return "for a CA of your own, set Options.TLS, or what the pool of New dials with"
	case timeout(err) && err != context.DeadlineExceeded: // that one is the caller's, or of a wait for a connection
		return "Redis did not answer in time; whether it did what it was asked is unknown"
	case errors.As(err, &network) && !network.Timeout(), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "Redis cannot be reached, or ended the connection; check that it runs, its address, and whether it wants TLS"
	}
	return ""
}

// refusalHint is the hint on an error of the server.
func refusalHint(text string) string {
	text = strings.TrimPrefix(text, "EXECABORT Transaction discarded because of: ")
	for _, h := range hints {
		if strings.HasPrefix(text, h.prefix) {
			return h.hint
		}
	}
	return ""
}

const isCluster = "this is a Redis Cluster, which a pool of redigo cannot serve: use redisstore/goredis"

// hints are what to do, by how the server's error begins.
var hints = []struct{ prefix, hint string }{
	{"OOM", "Redis is full; raise its maxmemory or let it evict keys. Sessions can still be loaded and deleted"},
	{"READONLY", "this is a replica, or was just made one; use the address of the primary"},
	{"LOADING", "Redis is starting; try again soon"},
	{"MASTERDOWN", "this is a replica without its primary; use the address of the primary"},
	{"NOREPLICAS", "Redis has fewer replicas than its min-replicas-to-write"},
	{"MISCONF", "Redis cannot write its snapshot and so takes no writes; see its log and its disk"},
	{"NOAUTH", "Redis wants a password; put it into the URL, the SentinelConfig or the client's options, or into the pool's Dial"},
	{"WRONGPASS", "the user or the password is wrong, or the user is disabled"},
	{"ERR AUTH", "Redis has no password, but one was given"},
	{"ERR invalid password", "the password is wrong"},
	{"NOPERM", needs},
	{"ERR The user executing the script", needs},
	{"ERR ACL failure in script", needs},
	{"WRONGTYPE", "something else has stored another Redis type under a key of this store; delete it"},
	{"MOVED", isCluster},
	{"ASK", isCluster},
	{"TRYAGAIN", "a slot of this Redis Cluster is being moved, and what it holds of the session is not yet in one place; " +
		"if that does not pass, see redis-cli --cluster fix. A pool of redigo cannot serve a cluster: use redisstore/goredis"},
	{"CROSSSLOT", isCluster},
	{"CLUSTERDOWN", "the Redis Cluster has no master for the slot, or too few masters; in a failover this passes"},
	{"BUSY", "a script blocks Redis; see SCRIPT KILL"},
	{"DENIED", "Redis is in protected mode; give it a password, or bind it to the right address"},
	{"ERR max number of clients", "raise Redis's maxclients, or lower the pool's MaxActive"},
	{"ERR unknown command 'EVAL", "scripts are not allowed here; set Options.NoScripts"},
	{"ERR unknown command `EVAL", "scripts are not allowed here; set Options.NoScripts"},
	{"ERR unknown command", "Redis 6.2 or later is needed, with this command enabled"},
	{"ERR DB index", "the server has no such database"},
	{"ERR invalid DB index", "the server has no such database"},
}

// needs is the hint on a missing permission.
const needs = "the ACL user needs ~session:* ~{session:* +getex +pttl +getdel +set +evalsha +eval +strlen +getrange +rename " +
	"+pexpire +unlink +type +get +exists +zrank +zscore +zadd +zrem +zrange +zcard +zpopmin +zremrangebyrank +hget +hset +hdel " +
	"+multi +exec, or with Options.NoScripts ~session:* ~{session:* +getex +pttl +getdel +set +watch +strlen +getrange +multi +exec " +
	"+discard +pexpire +unlink +exists +zrank +zadd +zrem +zrange +zpopmin +zremrangebyrank +hget +hset +hdel; and +select for a database " +
	"other than 0, +role for OpenSentinel, +wait for SentinelConfig.Replicas, +cluster|slots +asking for redisstore/goredis on a cluster"
