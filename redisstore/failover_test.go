package redisstore_test

import (
	"os"
	"testing"
	"time"

	"github.com/sessionkv/session/internal/redistest"
	"github.com/sessionkv/session/internal/redistest/load"
	"github.com/sessionkv/session/redisstore"
)

// A sentinelFault is something that happens to a master with a replica that sentinels watch.
type sentinelFault struct {
	name     string
	args     []string // of the servers
	replicas int
	fault    func(set *redistest.Sentinels)
	mayLose  bool
}

var sentinelFaults = []sentinelFault{
	{"by hand", nil, 0, (*redistest.Sentinels).Failover, true},
	{"by hand, with Replicas", nil, 1, failoverAndReplica, false},
	{
		"by hand, with min-replicas-to-write", []string{"--min-replicas-to-write", "1", "--min-replicas-max-lag", "1"}, 0,
		failoverAndReplica, true,
	},
	{"master killed", nil, 0, killMaster, true},
	{"master hung", nil, 0, hangMaster, true},
}

// onSentinels runs a test for each fault.
func onSentinels(t *testing.T, test func(t *testing.T, fault sentinelFault, set *redistest.Sentinels, store *redisstore.Store)) {
	if os.Getenv("SESSION_FAILOVER") == "" {
		t.Skip("a failover takes Redis half a minute: set SESSION_FAILOVER to run it")
	}
	for _, fault := range sentinelFaults {
		t.Run(fault.name, func(t *testing.T) {
			t.Parallel()
			set := redistest.StartSentinels(t, fault.args)
			test(t, fault, set, openSentinel(t, redisstore.SentinelConfig{
				Addrs: addrs(set.Sentinels...), Replicas: fault.replicas, ReplicaTimeout: 200 * time.Millisecond,
			}))
		})
	}
}

// Figures of docs/operations.md: SESSION_FAILOVER=1 go test -v -run TestFailover ./redisstore
func TestFailover(t *testing.T) {
	onSentinels(t, func(t *testing.T, fault sentinelFault, set *redistest.Sentinels, store *redisstore.Store) {
		result := load.Run(t, store, func() { fault.fault(set) })
		t.Log(result)
		if !fault.mayLose && result.Lost+result.Back > 0 {
			t.Error("lost what a replica had acknowledged")
		}
	})
}

// Figures of docs/operations.md: SESSION_FAILOVER=1 go test -v -run TestFailover ./redisstore
func TestFailoverWithUsers(t *testing.T) {
	onSentinels(t, func(t *testing.T, fault sentinelFault, set *redistest.Sentinels, store *redisstore.Store) {
		result := load.RunUsers(t, store, func() { fault.fault(set) })
		t.Log(result)
		if !fault.mayLose && result.SignedOut+result.Escaped > 0 {
			t.Error("lost what a replica had acknowledged")
		}
	})
}

// failoverAndReplica is a failover that is over when the old master has become a replica.
func failoverAndReplica(set *redistest.Sentinels) {
	set.Failover()
	set.AwaitReplica()
}

func killMaster(set *redistest.Sentinels) {
	master := set.Master()
	master.Kill()
	set.AwaitSwitch(master)
}

// hangMaster stops the master, and lets it go on when it is no longer the master.
func hangMaster(set *redistest.Sentinels) {
	master := set.Master()
	master.Stop()
	set.AwaitSwitch(master)
	master.Cont()
}
