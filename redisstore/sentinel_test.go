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
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/redistest"
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
	t.Parallel()
	set := redistest.StartSentinels(t, nil)
	storetest.Run(t, func(t *testing.T) driver.Store {
		prefix := rand.Text() + ":"
		config := redisstore.SentinelConfig{Addrs: addrs(set.Sentinels...)}
		store := openSentinelWith(t, config, redisstore.Options{Prefix: prefix})
		return timed{store, func(d time.Duration) { age(t, set.Servers[0], prefix, d) }}
	})
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

// Connections to the old master are dropped at the announcement, though it lives and calls itself a master.
func TestSwitchMaster(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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
	t.Parallel()
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
