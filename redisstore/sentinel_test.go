package redisstore_test

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/redistest"
	"github.com/sessionkv/session/internal/redistest/load"
	"github.com/sessionkv/session/redisstore"
	"github.com/sessionkv/session/storetest"
)

func ExampleOpenSentinel() {
	store, err := redisstore.OpenSentinel(redisstore.SentinelConfig{
		Addrs:    []string{"s1:26379", "s2:26379", "s3:26379"},
		Master:   "mymaster",
		Password: os.Getenv("REDIS_PASSWORD"),
	}, redisstore.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()
	sessions, err := session.New(session.Config{Store: store})
	fmt.Println(sessions != nil, err)
	// Output: true <nil>
}

// openSentinel returns a Store that is closed with the test.
func openSentinel(t testing.TB, config redisstore.SentinelConfig) *redisstore.Store {
	t.Helper()
	return openSentinelWith(t, config, redisstore.Options{})
}

func openSentinelWith(t testing.TB, config redisstore.SentinelConfig, options redisstore.Options) *redisstore.Store {
	t.Helper()
	if config.Master == "" {
		config.Master = redistest.MasterName
	}
	store, err := redisstore.OpenSentinel(config, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

func addrs(servers ...*redistest.Server) (addrs []string) {
	for _, s := range servers {
		addrs = append(addrs, s.Addr())
	}
	return addrs
}

func TestStoreOnSentinel(t *testing.T) {
	set := redistest.StartSentinels(t, nil)
	storetest.Run(t, func(t *testing.T) driver.Store {
		prefix := rand.Text() + ":"
		config := redisstore.SentinelConfig{Addrs: addrs(set.Sentinels...)}
		store := openSentinelWith(t, config, redisstore.Options{Prefix: prefix})
		return timed{store, func(d time.Duration) { age(t, set.Servers[0], prefix, d) }}
	})
}

// Figures of docs/operations.md: SESSION_FAILOVER=1 go test -v -run TestFailover ./redisstore
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

func TestSentinelPasswords(t *testing.T) {
	t.Parallel()
	set := redistest.StartSentinels(t,
		[]string{"--requirepass", "word", "--masterauth", "word"},
		"sentinel auth-pass "+redistest.MasterName+" word", "requirepass other")
	right := redisstore.SentinelConfig{Addrs: addrs(set.Sentinels...), Password: "word", SentinelPassword: "other"}
	redistest.Eventually(t, func() error { return openSentinel(t, right).Ping(t.Context()) })

	for _, test := range []struct {
		password, sentinelPassword string
		want                       string
	}{
		{"", "other", "NOAUTH"}, {"wrong", "other", "WRONGPASS"}, {"word", "", "NOAUTH"}, {"word", "wrong", "WRONGPASS"},
	} {
		config := right
		config.Password, config.SentinelPassword = test.password, test.sentinelPassword
		errs := operations(t.Context(), openSentinel(t, config), "1")
		wantErrors(t, errs, test.want)
		for _, err := range errs {
			if strings.Contains(err.Error(), "word (") || strings.Contains(err.Error(), "other") {
				t.Errorf("%v shows a password", err)
			}
		}
	}
}

func TestReplicas(t *testing.T) {
	t.Parallel()
	const patience = 100 * time.Millisecond
	set := redistest.StartSentinels(t, nil, "sentinel down-after-milliseconds "+redistest.MasterName+" 60000")
	master, replica := set.Servers[0], set.Servers[1]
	store := openSentinel(t, redisstore.SentinelConfig{Addrs: addrs(set.Sentinels...), Replicas: 1, ReplicaTimeout: patience})
	first, second := value("1"), value("2")
	mustSave(t, store, "1", mustSave(t, store, "1", nil, value("0")), first) // the server knows the script
	commands := master.Commands(t, func() {
		mustSave(t, store, "1", first, second)
		wantStored(t, store, "1", second)
	})
	commands = slices.DeleteFunc(commands, func(name string) bool { return name != "EVALSHA" && name != "WAIT" && name != "GETEX" })
	if got := strings.Join(commands, " "); got != "EVALSHA WAIT GETEX" {
		t.Errorf("commands = %s; want one WAIT behind the save", got)
	}
	if got, err := store.Save(t.Context(), "1", first, value("3"), time.Minute); err != driver.ErrConflict {
		t.Errorf("a stale save = %.50q, %v", got, err)
	}

	replica.Stop()
	third := value("3")
	for _, operation := range []func() error{
		func() error { _, err := store.Save(t.Context(), "1", second, third, time.Minute); return err },
		func() error { _, err := store.Save(t.Context(), "2", nil, third, time.Minute); return err },
		func() error { _, err := store.Delete(t.Context(), "2"); return err },
	} {
		start, err := time.Now(), operation()
		if took := time.Since(start); took < patience/2 || took > time.Second+patience {
			t.Errorf("it took %v; want %v", took, patience)
		}
		wantErrors(t, map[string]error{"": err}, "0 of 1 replicas")
	}
	wantStored(t, store, "1", third)

	// What waits for replicas holds up nobody else.
	slow := openSentinel(t, redisstore.SentinelConfig{Addrs: addrs(set.Sentinels...), Replicas: 1, ReplicaTimeout: time.Second})
	var group sync.WaitGroup
	var done atomic.Int32
	for range 50 {
		group.Go(func() {
			_, _ = slow.Save(t.Context(), rand.Text(), nil, third, time.Minute)
			done.Add(1)
		})
	}
	redistest.Eventually(t, func() error {
		if n, _ := strconv.Atoi(strings.TrimSpace(field(string(master.Do(t, "INFO", "clients").([]byte)), "blocked_clients"))); n < 50 {
			return fmt.Errorf("%d saves wait", n)
		}
		return nil
	})
	wantStored(t, slow, "1", third)
	if n := done.Load(); n > 0 {
		t.Errorf("a load took as long as %d saves that wait for replicas", n)
	}
	group.Wait()
	replica.Cont()
	redistest.Eventually(t, func() error { // a repeat of the save counts once, and now succeeds
		_, err := store.Save(t.Context(), "1", second, third, time.Minute)
		return err
	})
}

// field returns a value of INFO.
func field(info, name string) string {
	_, rest, _ := strings.Cut(info, name+":")
	value, _, _ := strings.Cut(rest, "\n")
	return value
}

// BenchmarkReplicas is the price of Sentinel.Replicas.
func BenchmarkReplicas(b *testing.B) {
	set := redistest.StartSentinels(b, nil)
	for _, replicas := range []int{0, 1} {
		store := openSentinel(b, redisstore.SentinelConfig{Addrs: addrs(set.Sentinels...), Replicas: replicas})
		b.Run(fmt.Sprintf("%d/one after the other", replicas), func(b *testing.B) {
			id, was := rand.Text(), value("1")
			mustSave(b, store, id, nil, was)
			for b.Loop() {
				was = mustSave(b, store, id, was, value("1"))
			}
		})
		b.Run(fmt.Sprintf("%d/32 at once", replicas), func(b *testing.B) {
			b.SetParallelism(16)
			b.RunParallel(func(pb *testing.PB) {
				id, was := rand.Text(), value("1")
				mustSave(b, store, id, nil, was)
				for pb.Next() {
					was = mustSave(b, store, id, was, value("1"))
				}
			})
		})
	}
}

// A fakeSentinel answers what a test wants. Its master has as many names as there are tests.
type fakeSentinel struct {
	*server.Server
	master atomic.Value // host:port, or "" for a master that it does not know
	asked  atomic.Int32
	peers  atomic.Int32 // that have subscribed
	events chan string
}

func newFakeSentinel(t *testing.T, master string, config *tls.Config) *fakeSentinel {
	t.Helper()
	s := &fakeSentinel{events: make(chan string)}
	s.master.Store(master)
	var err error
	if s.Server, err = server.NewServer("127.0.0.1:0"); config != nil {
		s.Server, err = server.NewServerTLS("127.0.0.1:0", config)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Server.Close)
	_ = s.Register("SENTINEL", func(c *server.Peer, _ string, _ []string) {
		s.asked.Add(1)
		host, port, _ := net.SplitHostPort(s.master.Load().(string))
		if host == "" {
			c.WriteLen(-1)
			return
		}
		c.WriteStrings([]string{host, port})
	})
	_ = s.Register("SUBSCRIBE", func(c *server.Peer, _ string, args []string) {
		c.Block(func(w *server.Writer) {
			w.WritePushLen(3)
			w.WriteBulk("subscribe")
			w.WriteBulk(args[0])
			w.WriteInt(1)
		})
		s.peers.Add(1)
		go func() {
			for event := range s.events {
				c.Block(func(w *server.Writer) {
					w.WritePushLen(3)
					w.WriteBulk("message")
					w.WriteBulk(args[0])
					w.WriteBulk(event)
				})
				c.Flush()
			}
		}()
	})
	return s
}

// announce says that there is another master.
func (s *fakeSentinel) announce(master string) {
	old := s.master.Swap(master).(string)
	s.events <- "another " + strings.ReplaceAll(old+" "+old, ":", " ")
	s.events <- redistest.MasterName + " " + strings.ReplaceAll(old+" "+master, ":", " ")
}

// Connections to the old master are dropped at the announcement, though it lives and calls itself a master.
func TestSwitchMaster(t *testing.T) {
	old, next := redistest.Start(t), redistest.Start(t)
	sentinel := newFakeSentinel(t, old.Addr(), nil)
	store := openSentinel(t, redisstore.SentinelConfig{Addrs: []string{sentinel.Addr().String()}})
	mustSave(t, store, "1", nil, value("1"))
	redistest.Eventually(t, func() error {
		if sentinel.peers.Load() == 0 {
			return errors.New("the sentinel is not followed")
		}
		return nil
	})
	asked := sentinel.asked.Load()
	sentinel.announce(next.Addr())
	redistest.Eventually(t, func() error {
		_, err := store.Load(t.Context(), "1", time.Minute)
		if err == nil {
			return errors.New("the old master is still in use")
		}
		return nil
	})
	mustSave(t, store, "2", nil, value("2"))
	for server, want := range map[*redistest.Server]int64{old: 0, next: 1} {
		if got := server.Do(t, "EXISTS", "session:2"); got != want {
			t.Errorf("the value is %d times on %s; want %d", got, server.Addr(), want)
		}
	}
	if n := sentinel.asked.Load() - asked; n > 1 { // the watcher may have asked in between
		t.Errorf("the sentinel was asked %d times for what it had announced", n)
	}

	// A sentinel that is gone does not matter to what is known.
	sentinel.Close()
	mustSave(t, store, "3", nil, value("3"))
}

func TestSentinelsAreAskedInTurn(t *testing.T) {
	redisServer := redistest.Start(t)
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()
	hung, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer hung.Close()
	ignorant, knows := newFakeSentinel(t, "", nil), newFakeSentinel(t, redisServer.Addr(), nil)
	bad := []string{dead.Addr().String(), hung.Addr().String(), ignorant.Addr().String()}

	store := openSentinel(t, redisstore.SentinelConfig{Addrs: append(bad, knows.Addr().String())})
	if err := store.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	errs := map[string]error{"ping": openSentinel(t, redisstore.SentinelConfig{Addrs: bad}).Ping(ctx)}
	wantErrors(t, errs, append(bad, "no sentinel names a master", "connection refused", "timeout", `knows no master "mymaster"`)...)
	wantErrors(t, map[string]error{"": openSentinel(t, redisstore.SentinelConfig{Addrs: bad[2:]}).Ping(ctx)}, `knows no master "mymaster"`)
}

// A server that is no master is refused; one that does not tell is not.
func TestRoleOfTheMaster(t *testing.T) {
	master := redistest.Start(t)
	replica := redistest.Start(t, "--replicaof", "127.0.0.1 "+strconv.Itoa(master.Port()))
	sentinel := newFakeSentinel(t, replica.Addr(), nil)
	store := openSentinel(t, redisstore.SentinelConfig{Addrs: []string{sentinel.Addr().String()}})
	wantErrors(t, operations(t.Context(), store, "1"), "is a replica")
	replica.Do(t, "REPLICAOF", "NO", "ONE")
	if err := store.Ping(t.Context()); err != nil {
		t.Errorf("after its promotion: %v", err)
	}

	master.Do(t, "ACL", "SETUSER", "app", "on", ">word", "~*", "+getex")
	sentinel.master.Store(master.Addr())
	config := redisstore.SentinelConfig{Addrs: []string{sentinel.Addr().String()}, Username: "app", Password: "word"}
	if err := openSentinel(t, config).Ping(t.Context()); err != nil {
		t.Errorf("without the permission for ROLE: %v", err)
	}
	master.Do(t, "REPLICAOF", "127.0.0.1", replica.Port())
	wantErrors(t, map[string]error{"": openSentinel(t, config).Ping(t.Context())}, "READONLY")
}

func TestSentinelTLS(t *testing.T) {
	certificate, roots := selfSigned(t)
	config := &tls.Config{Certificates: []tls.Certificate{certificate}}
	mini, err := miniredis.RunTLS(config)
	if err != nil {
		t.Fatal(err)
	}
	defer mini.Close()
	sentinel := newFakeSentinel(t, mini.Addr(), config)
	of := redisstore.SentinelConfig{Addrs: []string{sentinel.Addr().String()}}
	store := openSentinelWith(t, of, redisstore.Options{TLS: &tls.Config{RootCAs: roots}})
	wantStored(t, store, "1", mustSave(t, store, "1", nil, value("1")))

	store = openSentinelWith(t, of, redisstore.Options{TLS: &tls.Config{}})
	wantErrors(t, operations(t.Context(), store, "1"), "certificate")
}

func TestCloseEndsTheWatchers(t *testing.T) {
	sentinel := newFakeSentinel(t, "127.0.0.1:1", nil)
	hung, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer hung.Close()
	store := openSentinel(t, redisstore.SentinelConfig{Addrs: []string{sentinel.Addr().String(), hung.Addr().String(), "127.0.0.1:1"}})
	redistest.Eventually(t, func() error {
		if sentinel.peers.Load() == 0 {
			return errors.New("the sentinel is not followed")
		}
		return nil
	})
	start := time.Now()
	if err := store.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("Close took %v", took)
	}
	stacks := make([]byte, 1<<20)
	if stacks = stacks[:runtime.Stack(stacks, true)]; strings.Contains(string(stacks), "redisstore.keepAlive") {
		t.Errorf("a watcher goes on after Close: %s", stacks)
	}
	wantErrors(t, operations(t.Context(), store, "1"), "closed pool")
}

func TestOpenSentinelFaults(t *testing.T) {
	for _, test := range []struct {
		name    string
		config  redisstore.SentinelConfig
		options redisstore.Options
		want    string
	}{
		{"nothing", redisstore.SentinelConfig{}, redisstore.Options{}, "SentinelConfig.Addrs is missing"},
		{"nothing", redisstore.SentinelConfig{}, redisstore.Options{}, "SentinelConfig.Master is missing"},
		{"no host", redisstore.SentinelConfig{Addrs: []string{"s1:26379", ":26379"}}, redisstore.Options{}, "SentinelConfig.Addrs[1]"},
		{"a URL", redisstore.SentinelConfig{Addrs: []string{"redis://word@s1:26379"}}, redisstore.Options{}, "SentinelConfig.Addrs[0]"},
		{"a user alone", redisstore.SentinelConfig{Username: "app"}, redisstore.Options{}, "SentinelConfig.Password is missing"},
		{"a user of the sentinels alone", redisstore.SentinelConfig{SentinelUsername: "app"}, redisstore.Options{}, "SentinelConfig.SentinelPassword is missing"},
		{"a negative database", redisstore.SentinelConfig{Database: -1}, redisstore.Options{}, "SentinelConfig.Database"},
		{"negative replicas", redisstore.SentinelConfig{Replicas: -1}, redisstore.Options{}, "SentinelConfig.Replicas"},
		{"a negative time", redisstore.SentinelConfig{ReplicaTimeout: -1}, redisstore.Options{}, "SentinelConfig.ReplicaTimeout"},
		{"a brace", redisstore.SentinelConfig{}, redisstore.Options{Prefix: "{a"}, "redisstore: Options.Prefix"},
		{"replicas without scripts", redisstore.SentinelConfig{Replicas: 1}, redisstore.Options{NoScripts: true}, "NoScripts"},
	} {
		store, err := redisstore.OpenSentinel(test.config, test.options)
		if store != nil || err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "word@") {
			t.Errorf("%s: %v; want %q", test.name, err, test.want)
		}
	}
}
