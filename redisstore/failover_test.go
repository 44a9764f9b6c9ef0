package redisstore_test

import (
	"os"
	"testing"
	"time"

	"github.com/sessionkv/session/internal/redistest"
	"github.com/sessionkv/session/internal/redistest/load"
	"github.com/sessionkv/session/redisstore"
)

// The figures of docs/failover.md: SESSION_FAILOVER=1 go test -v -run TestFailover ./redisstore
func TestFailover(t *testing.T) {
	if os.Getenv("SESSION_FAILOVER") == "" {
		t.Skip("a failover takes Redis half a minute: set SESSION_FAILOVER to run it")
	}
	keep := []string{"--min-replicas-to-write", "1", "--min-replicas-max-lag", "1"}
	for _, test := range []struct {
		name     string
		args     []string
		replicas int
		fault    func(set *redistest.Sentinels)
		mayLose  bool
	}{
		{"by hand", nil, 0, (*redistest.Sentinels).Failover, true},
		{"by hand, with Replicas", nil, 1, failoverAndReplica, false},
		{"by hand, with min-replicas-to-write", keep, 0, failoverAndReplica, true},
		{"master killed", nil, 0, killMaster, true},
		{"master hung", nil, 0, hangMaster, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			set := redistest.StartSentinels(t, test.args)
			store := openSentinel(t, redisstore.SentinelConfig{
				Addrs: addrs(set.Sentinels...), Replicas: test.replicas, ReplicaTimeout: 200 * time.Millisecond,
			})
			result := load.Run(t, store, func() { test.fault(set) })
			t.Log(result)
			if !test.mayLose && result.Lost+result.Back > 0 {
				t.Error("lost what a replica had acknowledged")
			}
		})
	}
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
