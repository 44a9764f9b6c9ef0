package goredis_test

import (
	"errors"
	"os"
	"testing"

	"github.com/sessionkv/session/internal/redistest"
	"github.com/sessionkv/session/internal/redistest/load"
)

// A clusterFault is something that happens to a cluster.
type clusterFault struct {
	name  string
	fault func(t *testing.T, c *redistest.Cluster)
}

// Figures of docs/operations.md: go test -v -run TestFailover in redisstore/goredis
func TestFailover(t *testing.T) {
	t.Run("slots moved", func(t *testing.T) {
		t.Parallel()
		c := redistest.StartCluster(t)
		target := c.Add()
		result := load.Run(t, newStore(t, newClusterClient(c)), func() { moveThereAndBack(t, c, target) })
		t.Log(result)
		if result.Failed+result.Lost+result.Back > 0 {
			t.Error("moving slots must lose nothing and fail nothing")
		}
	})
	for _, test := range []clusterFault{{"cluster, by hand", failover}, {"cluster, master killed", killMaster}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := redistest.StartCluster(t)
			t.Log(load.Run(t, newStore(t, newClusterClient(c)), func() { test.fault(t, c) }))
		})
	}
	for _, test := range sentinelFaults {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			set := redistest.StartSentinels(t, nil)
			t.Log(load.Run(t, newStore(t, newFailoverClient(set)), func() { test.fault(set) }))
		})
	}
}

// Figures of docs/operations.md: SESSION_FAILOVER=1 go test -v -run TestFailoverWithUsers in redisstore/goredis
func TestFailoverWithUsers(t *testing.T) {
	for _, test := range []clusterFault{
		{"slots moved", func(t *testing.T, c *redistest.Cluster) { moveThereAndBack(t, c, c.Servers[len(c.Servers)-1]) }},
		{"cluster, by hand", failover},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := redistest.StartCluster(t)
			c.Add()
			result := load.RunUsers(t, newStore(t, newClusterClient(c)), func() { test.fault(t, c) })
			t.Log(result)
			if result.SignedOut+result.Escaped > 0 {
				t.Error("nobody must be signed out, and nobody must escape")
			}
		})
	}
	if os.Getenv("SESSION_FAILOVER") == "" {
		return
	}
	t.Run("cluster, master killed", func(t *testing.T) {
		t.Parallel()
		c := redistest.StartCluster(t)
		t.Log(load.RunUsers(t, newStore(t, newClusterClient(c)), func() { killMaster(t, c) }))
	})
	for _, test := range sentinelFaults {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			set := redistest.StartSentinels(t, nil)
			t.Log(load.RunUsers(t, newStore(t, newFailoverClient(set)), func() { test.fault(set) }))
		})
	}
}

// moveThereAndBack moves all slots that are used to another server, and back.
func moveThereAndBack(t *testing.T, c *redistest.Cluster, target *redistest.Server) {
	slots := c.UsedSlots()
	t.Logf("%d slots, there and back again", len(slots))
	home := map[int]*redistest.Server{}
	for _, slot := range slots {
		home[slot] = c.Owner(slot)
		c.Move(slot, target)
	}
	for slot, server := range home {
		c.Move(slot, server)
	}
}

// failover makes a replica the master by hand, which waits until it has everything.
func failover(t *testing.T, c *redistest.Cluster) {
	c.Servers[3].Do(t, "CLUSTER", "FAILOVER")
	c.AwaitMaster(c.Servers[3])
	redistest.Eventually(t, func() error {
		if c.Servers[0].IsMaster(t) {
			return errors.New("the old master still is one")
		}
		return nil
	})
}

func killMaster(t *testing.T, c *redistest.Cluster) {
	c.Servers[0].Kill()
	c.AwaitMaster(c.Servers[3])
}

var sentinelFaults = []struct {
	name  string
	fault func(set *redistest.Sentinels)
}{
	{"sentinel, by hand", (*redistest.Sentinels).Failover},
	{"sentinel, master killed", func(set *redistest.Sentinels) {
		master := set.Master()
		master.Kill()
		set.AwaitSwitch(master)
	}},
}
