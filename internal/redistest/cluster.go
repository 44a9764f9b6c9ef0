package redistest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/gomodule/redigo/redis"
)

// Slots is how many slots a cluster has.
const Slots = 16384

// Cluster is three masters, each with a replica. They end with the test.
type Cluster struct {
	t testing.TB

	// Servers are the three that begin as masters, then the replica of each.
	Servers []*Server
}

// StartCluster starts a Redis Cluster, which takes a server for dead after a second, and waits until it serves every slot
// and every replica could take over. It needs Redis 7.
func StartCluster(t testing.TB, args ...string) *Cluster {
	t.Helper()
	c := &Cluster{t: t}
	for range 6 {
		c.Servers = append(c.Servers, startNode(t, args...))
	}
	c.form()
	return c
}

func startNode(t testing.TB, args ...string) *Server {
	t.Helper()
	return Start(t, append([]string{
		"--cluster-enabled", "yes", "--cluster-config-file", "nodes.conf", "--cluster-node-timeout", "1000",
		"--cluster-port", fmt.Sprint(freePort(t)), "--repl-diskless-sync-delay", "0",
		"--repl-ping-replica-period", "1", // a replica that has received nothing is not shown
		"--cluster-allow-replica-migration", "no", // a master keeps its role without slots
	}, args...)...)
}

// form makes a cluster of the servers.
func (c *Cluster) form() {
	c.t.Helper()
	for i, s := range c.Servers {
		s.Do(c.t, "CLUSTER", "SET-CONFIG-EPOCH", i+1)
		if i < 3 {
			s.Do(c.t, "CLUSTER", "ADDSLOTSRANGE", Slots*i/3, Slots*(i+1)/3-1)
		}
		for _, other := range c.Servers[:i] { // gossip would do, and take longer
			s.meet(c.t, other)
		}
	}
	Eventually(c.t, func() error { return c.agree(fmt.Sprintf("cluster_known_nodes:%d", len(c.Servers))) })
	for i, s := range c.Servers[3:] {
		Eventually(c.t, func() error {
			conn := s.Dial(c.t)
			defer conn.Close()
			_, err := conn.Do("CLUSTER", "REPLICATE", c.Servers[i].NodeID(c.t)) // it may not know the master yet
			return err
		})
	}
	c.Await()
}

// meet introduces a server to another.
func (s *Server) meet(t testing.TB, other *Server) {
	t.Helper()
	bus := string(other.Do(t, "CONFIG", "GET", "cluster-port").([]any)[1].([]byte))
	s.Do(t, "CLUSTER", "MEET", "127.0.0.1", other.Port(), bus)
}

// Add starts another master, which has no slots.
func (c *Cluster) Add() *Server {
	c.t.Helper()
	s := startNode(c.t)
	s.meet(c.t, c.Servers[0])
	c.Servers = append(c.Servers, s)
	Eventually(c.t, func() error { return c.agree(fmt.Sprintf("cluster_known_nodes:%d", len(c.Servers))) })
	Eventually(c.t, func() error { return c.agree("cluster_state:ok") })
	return s
}

// agree returns an error unless every server that runs says this of the cluster.
func (c *Cluster) agree(text string) error {
	for _, s := range c.Servers {
		if s.ended() {
			continue
		}
		if info := string(s.Do(c.t, "CLUSTER", "INFO").([]byte)); !strings.Contains(info, text) {
			return fmt.Errorf("a server does not say %s: %s", text, info)
		}
	}
	return nil
}

// Await waits until every server that runs knows who serves every slot, and every replica has a link to its master.
func (c *Cluster) Await() {
	c.t.Helper()
	Eventually(c.t, func() error {
		if err := c.agree("cluster_state:ok"); err != nil {
			return err
		}
		for _, s := range c.Servers {
			if s.ended() {
				continue
			}
			if strings.Contains(s.info(c.t), "master_link_status:down") {
				return errors.New("a replica has no link to its master")
			}
			if slots, _ := redis.Values(s.Do(c.t, "CLUSTER", "SLOTS"), nil); !c.covered(slots) {
				return errors.New("a server does not know a replica")
			}
		}
		return nil
	})
}

// covered reports whether CLUSTER SLOTS shows as many servers as run and have a master.
func (c *Cluster) covered(slots []any) bool {
	known := map[any]bool{}
	for _, entry := range slots {
		for _, node := range entry.([]any)[2:] {
			known[node.([]any)[1]] = true
		}
	}
	for _, s := range c.Servers {
		if !s.ended() && !known[int64(s.Port())] {
			return strings.Contains(string(s.Do(c.t, "CLUSTER", "NODES").([]byte)), "myself,master -") // one that was added
		}
	}
	return true
}

// ended reports whether the process has ended.
func (s *Server) ended() bool {
	select {
	case <-s.exited:
		return true
	default:
		return false
	}
}

// Addrs returns the addresses of all servers.
func (c *Cluster) Addrs() (addrs []string) {
	for _, s := range c.Servers {
		addrs = append(addrs, s.Addr())
	}
	return addrs
}

// NodeID returns the name of a server in its cluster.
func (s *Server) NodeID(t testing.TB) string {
	t.Helper()
	return string(s.Do(t, "CLUSTER", "MYID").([]byte))
}

// IsMaster reports whether the server calls itself a master.
func (s *Server) IsMaster(t testing.TB) bool {
	t.Helper()
	return strings.Contains(s.info(t), "role:master")
}

// AwaitMaster waits until a server is a master and every server that runs serves its slots again.
func (c *Cluster) AwaitMaster(s *Server) {
	c.t.Helper()
	Eventually(c.t, func() error {
		if !s.IsMaster(c.t) {
			return errors.New("the replica has not been promoted")
		}
		return c.agree("cluster_state:ok")
	})
}

// Slot returns the slot of a key.
func (c *Cluster) Slot(key string) int {
	c.t.Helper()
	slot, err := redis.Int(c.Servers[0].Do(c.t, "CLUSTER", "KEYSLOT", key), nil)
	if err != nil {
		c.t.Fatal(err)
	}
	return slot
}

// Owner returns the server that serves a slot.
func (c *Cluster) Owner(slot int) *Server {
	c.t.Helper()
	slots, _ := redis.Values(c.Servers[0].Do(c.t, "CLUSTER", "SLOTS"), nil)
	for _, entry := range slots {
		entry := entry.([]any)
		if int64(slot) < entry[0].(int64) || int64(slot) > entry[1].(int64) {
			continue
		}
		for _, s := range c.Servers {
			if entry[2].([]any)[1] == int64(s.Port()) {
				return s
			}
		}
	}
	c.t.Fatalf("redistest: nobody serves slot %d", slot)
	return nil
}

// UsedSlots returns the slots of the keys that there are.
func (c *Cluster) UsedSlots() []int {
	c.t.Helper()
	used := map[int]bool{}
	for _, s := range c.Servers {
		conn := s.Dial(c.t)
		defer conn.Close()
		keys, _ := redis.Strings(conn.Do("KEYS", "*"))
		for _, key := range keys {
			slot, err := redis.Int(conn.Do("CLUSTER", "KEYSLOT", key))
			if err != nil {
				c.t.Fatal(err)
			}
			used[slot] = true
		}
	}
	return slices.Sorted(maps.Keys(used))
}

// BeginMove starts to move a slot: new keys of it go to the other server, those that exist stay until MoveKeys.
func (c *Cluster) BeginMove(slot int, to *Server) (from *Server) {
	c.t.Helper()
	from = c.Owner(slot)
	to.Do(c.t, "CLUSTER", "SETSLOT", slot, "IMPORTING", from.NodeID(c.t))
	from.Do(c.t, "CLUSTER", "SETSLOT", slot, "MIGRATING", to.NodeID(c.t))
	return from
}

// MoveKeys moves the keys of a slot whose move has begun, each with a MIGRATE.
func (c *Cluster) MoveKeys(slot int, from, to *Server) {
	c.t.Helper()
	conn := from.Dial(c.t)
	defer conn.Close()
	for {
		keys, err := redis.Strings(conn.Do("CLUSTER", "GETKEYSINSLOT", slot, 10))
		if err != nil {
			c.t.Fatal(err)
		}
		if len(keys) == 0 {
			return
		}
		for _, key := range keys {
			if _, err := conn.Do("MIGRATE", "127.0.0.1", to.Port(), key, 0, patience.Milliseconds()); err != nil {
				c.t.Fatal(err)
			}
		}
	}
}

// MoveKey moves one key of a slot whose move has begun.
func (c *Cluster) MoveKey(key string, from, to *Server) {
	c.t.Helper()
	from.Do(c.t, "MIGRATE", "127.0.0.1", to.Port(), key, 0, patience.Milliseconds())
}

// EndMove makes the other server the one that serves the slot.
func (c *Cluster) EndMove(slot int, from, to *Server) {
	c.t.Helper()
	id := to.NodeID(c.t)
	to.Do(c.t, "CLUSTER", "SETSLOT", slot, "NODE", id)
	from.Do(c.t, "CLUSTER", "SETSLOT", slot, "NODE", id)
}

// Move moves a slot, as redis-cli --cluster reshard does.
func (c *Cluster) Move(slot int, to *Server) {
	c.t.Helper()
	from := c.BeginMove(slot, to)
	c.MoveKeys(slot, from, to)
	c.EndMove(slot, from, to)
}
