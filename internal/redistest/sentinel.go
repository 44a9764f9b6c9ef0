package redistest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"
)

// MasterName is what the sentinels of [StartSentinels] call their master.
const MasterName = "mymaster"

// Sentinels is a master with a replica, and three sentinels that watch over them. They end with the test.
type Sentinels struct {
	t testing.TB

	// Servers are the two that are watched. The first is the master until a failover.
	Servers []*Server

	// Sentinels cannot be restarted.
	Sentinels []*Server
}

// StartSentinels starts a master, a replica and three sentinels, which take a server for dead after half a second, and
// waits until a failover would work. args are those of both servers, sentinelConfig is added to that of the sentinels.
// Servers and sentinels that ask for a password must know those of each other from there.
func StartSentinels(t testing.TB, args []string, sentinelConfig ...string) *Sentinels {
	t.Helper()
	args = append([]string{"--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"}, args...)
	master := Start(t, args...)
	replica := Start(t, append(args, "--replicaof", "127.0.0.1 "+fmt.Sprint(master.Port()))...)
	set := &Sentinels{t: t, Servers: []*Server{master, replica}}
	Eventually(t, func() error {
		if !strings.Contains(replica.info(t), "master_link_status:up") {
			return errors.New("the replica has no link to its master")
		}
		return nil
	})
	for range 3 {
		set.Sentinels = append(set.Sentinels, startSentinel(t, master.Port(), sentinelConfig))
	}
	for _, sentinel := range set.Sentinels {
		Eventually(t, func() error { return sentinel.isReady(t) })
	}
	return set
}

// info returns what the server says of its replication. The connection by the socket may use the default user, whatever
// the arguments. A server that asks for a password says nothing, and counts as one that is up.
func (s *Server) info(t testing.TB) string {
	t.Helper()
	conn := s.Dial(t)
	defer conn.Close()
	info, err := redis.String(conn.Do("INFO", "replication"))
	if err != nil {
		return "master_link_status:up"
	}
	return info
}

// startSentinel starts one sentinel.
func startSentinel(t testing.TB, masterPort int, config []string) *Server {
	t.Helper()
	dir, err := os.MkdirTemp("", "redistest")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, dir: dir, port: freePort(t)}
	t.Cleanup(func() {
		s.stop()
		os.RemoveAll(dir)
	})
	lines := append([]string{
		"bind 127.0.0.1", fmt.Sprintf("port %d", s.port), "dir " + dir, "logfile log",
		fmt.Sprintf("sentinel monitor %s 127.0.0.1 %d 2", MasterName, masterPort),
		"sentinel down-after-milliseconds " + MasterName + " 500",
		"sentinel failover-timeout " + MasterName + " 3000",
	}, config...)
	path := filepath.Join(dir, "sentinel.conf")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.cmd = exec.Command(program(), path, "--sentinel")
	s.exited = make(chan struct{})
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = s.cmd.Wait()
		close(s.exited)
	}()
	return s
}

// isReady returns an error until the sentinel knows the replica and the other sentinels.
func (s *Server) isReady(t testing.TB) error {
	select {
	case <-s.exited:
		t.Fatalf("redistest: a sentinel ended: %s", s.Log())
	default:
	}
	conn, err := redis.Dial("tcp", s.Addr(), redis.DialReadTimeout(time.Second))
	if err != nil {
		return err
	}
	defer conn.Close()
	state, err := redis.StringMap(conn.Do("SENTINEL", "MASTER", MasterName))
	var refused redis.Error
	if errors.As(err, &refused) {
		return nil // it asks for a password, which is not known here
	}
	if err == nil && (state["num-slaves"] != "1" || state["num-other-sentinels"] != "2" || state["flags"] != "master") {
		err = fmt.Errorf("a sentinel is not ready: %v", state)
	}
	return err
}

// Master returns the server that most of the sentinels call the master.
func (s *Sentinels) Master() *Server {
	s.t.Helper()
	votes := map[string]int{}
	for _, sentinel := range s.Sentinels {
		conn, err := redis.Dial("tcp", sentinel.Addr(), redis.DialReadTimeout(time.Second))
		if err != nil {
			continue
		}
		answer, _ := redis.Strings(conn.Do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", MasterName))
		conn.Close()
		votes[strings.Join(answer, ":")]++
	}
	for _, server := range s.Servers {
		if votes[server.Addr()] >= 2 {
			return server
		}
	}
	return nil
}

// Failover makes the sentinels promote the replica, and waits until they say that they have. The old master lives on,
// and becomes a replica after some seconds.
func (s *Sentinels) Failover() {
	s.t.Helper()
	old := s.Master()
	Eventually(s.t, func() error {
		conn := s.Sentinels[0].Dial(s.t)
		defer conn.Close()
		_, err := conn.Do("SENTINEL", "FAILOVER", MasterName) // NOGOODSLAVE while the last failover is young
		return err
	})
	s.AwaitSwitch(old)
}

// AwaitSwitch waits until most of the sentinels call another server than old the master.
func (s *Sentinels) AwaitSwitch(old *Server) {
	s.t.Helper()
	Eventually(s.t, func() error {
		if now := s.Master(); now == nil || now == old {
			return errors.New("the sentinels have not switched the master")
		}
		return nil
	})
}

// Eventually waits until fn returns nil, and fails the test if that takes too long.
func Eventually(t testing.TB, fn func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		err := fn()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("redistest: %v", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// AwaitReplica waits until one of the servers is the replica of the other, and acknowledges what that writes.
func (s *Sentinels) AwaitReplica() {
	s.t.Helper()
	Eventually(s.t, func() error {
		conn := s.Master().Dial(s.t)
		defer conn.Close()
		_, err := conn.Do("SET", "redistest", "", "PX", 1) // refused where min-replicas-to-write is not met
		if err != nil {
			return err
		}
		if n, err := redis.Int(conn.Do("WAIT", 1, 500)); n < 1 {
			return fmt.Errorf("no replica acknowledges a write: %v", err)
		}
		return nil
	})
}
