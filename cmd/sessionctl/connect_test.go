package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sessionkv/session/internal/redistest"
	"github.com/sessionkv/session/redisstore"
	"github.com/sessionkv/session/redisstore/goredis"
)

// exercise goes every way through a deployment.
func exercise(t *testing.T, s *site, flags []string) {
	t.Helper()
	visitor, visitorID := s.visit(map[string]any{"a": 1})
	alice, id := s.signIn("alice", nil)
	bob, _ := s.signIn("bob", nil)
	for range 30 {
		s.visit(map[string]any{"a": 1})
		s.signIn("carol", nil)
	}
	ctl(t, flags, "list", "--user", "alice").want(0, id)
	ctl(t, flags, "show", visitorID).want(0, "living")
	if r := read[report](ctl(t, flags, "stats", "--json")); r.Sessions != 63 || r.Users == nil || *r.Users != 3 {
		t.Errorf("%+v, want 63 sessions of 3 users", r)
	}
	ctl(t, flags, "end", id).want(0)
	ctl(t, flags, "end", visitorID).want(0)
	s.wantEnded(alice, visitor)
	ctl(t, flags, "end", "--user", "bob").want(0, "Ended 1 session of bob.")
	s.wantEnded(bob)
	ctl(t, flags, "end", "--all", "--yes").want(0, "Ended 60 sessions")
	if r := read[report](ctl(t, flags, "stats", "--json")); r.Sessions != 0 {
		t.Errorf("%+v, want no sessions", r)
	}
}

func TestSingle(t *testing.T) {
	t.Parallel()
	s, server, flags := single(t)
	exercise(t, s, flags)
	for _, url := range []string{server.Addr(), "valkey://" + server.Addr() + "/0", "unix://" + server.Socket()} {
		exercise(t, s, []string{"--redis", url})
	}
	server.Do(t, "ACL", "SETUSER", "ops", "on", ">"+right, "~*", "+@all", "-eval", "-evalsha")
	flags = append(flags, "--username", "ops", "--password-file", enter(t, right))
	exercise(t, s, append(flags, "--no-scripts"))
}

func TestPrefixAndDatabase(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	url := "redis://" + server.Addr() + "/2"
	store, err := redisstore.Open(url, redisstore.Options{Prefix: "a*:"})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	newSite(t, open(t, url)).visit(map[string]any{"a": 1})
	exercise(t, newSite(t, store), []string{"--redis", url, "--prefix", "a*:"})
	if r := read[report](ctl(t, []string{"--redis", url}, "stats", "--json")); r.Sessions != 1 {
		t.Errorf("%d sessions have the other prefix", r.Sessions)
	}
}

func TestCluster(t *testing.T) {
	t.Parallel()
	c := redistest.StartCluster(t)
	store := goredis.New(redis.NewClusterClient(&redis.ClusterOptions{Addrs: c.Addrs()}), redisstore.Options{})
	t.Cleanup(func() { _ = store.Close() })
	exercise(t, newSite(t, store), []string{"--cluster", c.Servers[0].Addr() + "," + c.Servers[1].Addr()})
	ctl(t, []string{"--redis", c.Servers[0].Addr()}, "stats").want(exitFailure, "--cluster")
	ctl(t, []string{"--cluster", redistest.Start(t).Addr()}, "stats").want(exitFailure, "--redis")
}

func TestSentinel(t *testing.T) {
	t.Parallel()
	set := redistest.StartSentinels(t, nil)
	s := newSite(t, open(t, "redis://"+set.Master().Addr()))
	flags := []string{"--sentinel", set.Sentinels[0].Addr() + "," + set.Sentinels[1].Addr(), "--master", redistest.MasterName}
	exercise(t, s, flags)
	exercise(t, s, append(flags, "--no-scripts"))
	exercise(t, newSite(t, open(t, "redis://"+set.Master().Addr()+"/1")), append(flags, "--db", "1"))
}

// enter puts a password into a file.
func enter(t *testing.T, password string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(path, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const right, wrong = "correct-horse", "battery-staple"

func TestPasswordsComeFromTheEnvironmentOrAFile(t *testing.T) {
	server := redistest.Start(t, "--requirepass", right)
	flags := []string{"--redis", "redis://" + server.Addr()}
	s := newSite(t, open(t, "redis://:"+right+"@"+server.Addr()))
	exercise(t, s, append(flags, "--password-file", enter(t, right)))
	ctl(t, flags, "stats").want(exitFailure, "NOAUTH", "SESSIONCTL_PASSWORD", "--password-file")
	t.Setenv("SESSIONCTL_PASSWORD", right)
	exercise(t, s, flags)
	ctl(t, append(flags, "--password-file", enter(t, wrong)), "stats").want(exitFailure, "WRONGPASS", "is wrong").lacks(right, wrong)
	ctl(t, append(flags, "--username", "nobody"), "stats").want(exitFailure, "WRONGPASS").lacks(right)
	ctl(t, append(flags, "--password-file", "/nowhere"), "stats").want(exitUsage, "--password-file", "/nowhere")
	ctl(t, append(flags, "--password-file", enter(t, "")), "stats").want(exitUsage, "empty")
	ctl(t, []string{"--redis", redistest.Start(t).Addr()}, "stats").want(exitFailure, "has no password").lacks(right)
}

// The ACL user needs no more than README.md says.
func TestACLUser(t *testing.T) {
	t.Parallel()
	const stored = "+getex +pttl +getdel +set +evalsha +eval +strlen +getrange +rename +pexpire +unlink +type +get " +
		"+exists +zrank +zscore +zadd +zrem +zrange +zcard +zremrangebyrank"
	s, server, flags := single(t)
	flags = append(flags, "--username", "ops", "--password-file", enter(t, right))
	allow := func(commands string) {
		args := []any{"SETUSER", "ops", "reset", "on", ">" + right, "~session:*", "~{session:*"}
		for _, command := range strings.Fields(commands) {
			args = append(args, command)
		}
		server.Do(t, "ACL", args...)
	}
	allow(stored + " +scan +dbsize")
	exercise(t, s, flags)
	allow(stored)
	ctl(t, flags, "list", "--user", "alice").want(0)
	ctl(t, flags, "stats").want(exitFailure, "NOPERM", "+scan +dbsize").lacks(right)
	allow("+ping")
	ctl(t, flags, "list", "--user", "alice").want(exitFailure, "NOPERM", "the ACL user needs").lacks(right)
}

func TestErrorsSayWhatToDo(t *testing.T) {
	t.Setenv("SESSIONCTL_PASSWORD", right)
	for _, test := range []struct {
		flags []string
		code  int
		text  string
	}{
		{[]string{"--redis", "redis://127.0.0.1:1"}, exitFailure, "connection refused"},
		{[]string{"--cluster", "127.0.0.1:1"}, exitFailure, "connection refused"},
		{[]string{"--sentinel", "127.0.0.1:1", "--master", "m"}, exitFailure, "connection refused"},
		{[]string{"--redis", "redis://app:" + wrong + "@127.0.0.1:1"}, exitUsage, "--password-file"},
		{[]string{"--redis", "redis://" + wrong + "@127.0.0.1:1"}, exitUsage, "--password-file"},
		{[]string{"--redis", "redis://a:" + wrong + "%zz@127.0.0.1"}, exitUsage, "--password-file"},
		{[]string{"--redis", "http://127.0.0.1"}, exitUsage, "redis://"},
		{[]string{"--redis", "redis://127.0.0.1/x"}, exitUsage, "database"},
		{[]string{"--redis", "redis://127.0.0.1", "--tls-ca", "/nowhere"}, exitUsage, "/nowhere"},
		{[]string{"--redis", "redis://127.0.0.1", "--tls"}, exitUsage, "rediss://"},
		{[]string{"--redis", "redis://127.0.0.1", "--db", "1"}, exitUsage, "--db"},
		{[]string{"--redis", "redis://127.0.0.1", "--prefix", "{"}, exitUsage, "brace"},
		{[]string{"--cluster", "127.0.0.1:1", "--prefix", "{"}, exitUsage, "brace"},
		{[]string{"--cluster", "127.0.0.1:1", "--no-scripts"}, exitUsage, "--no-scripts"},
		{[]string{"--sentinel", "127.0.0.1:1"}, exitUsage, "--master"},
		{[]string{"--master", "m"}, exitUsage, "--sentinel"},
		{[]string{"--redis", "a:1", "--cluster", "b:1"}, exitUsage, "cluster"},
		{[]string{"--timeout", "10s"}, exitUsage, "--timeout"},
		{[]string{"--tls-cert", "x"}, exitUsage, "--tls-key"},
		{[]string{"--sentinel-username", "x"}, exitUsage, "SESSIONCTL_SENTINEL_PASSWORD"},
		{[]string{"--unknown"}, exitUsage, "--unknown"},
		{[]string{"--idle-timeout", "x"}, exitUsage, "--idle-timeout"},
	} {
		t.Run(strings.Join(test.flags, " "), func(t *testing.T) {
			ctl(t, test.flags, "list", "--user", "alice").want(test.code, test.text).lacks(right, wrong)
		})
	}
}

func TestWrongUseIsExitCode2(t *testing.T) {
	for _, args := range []string{
		"unknown", "list", "list --user", "list x", "show", "show a b", "end", "end a b", "end a --user b", "end --all a",
		"end --all --user b", "stats x", "watch x", "watch --every 1ms", "show a --user b",
	} {
		ctl(t, nil, strings.Fields(args)...).want(exitUsage, "--help")
	}
	ctl(t, nil, "--version").want(0, "sessionctl version")
	ctl(t, nil, "--help").want(0, "Exit codes", "completion")
	ctl(t, nil, "completion", "bash").want(0, "bash")
}

// certificate makes files of a certificate for 127.0.0.1, which is its own CA, and of its key.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, raw []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("cert", "CERTIFICATE", der), write("key", "PRIVATE KEY", raw)
}

func TestTLS(t *testing.T) {
	t.Parallel()
	cert, key := certificate(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	listener.Close()
	server := redistest.Start(t, "--tls-port", fmt.Sprint(port), "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", cert)
	s := newSite(t, open(t, "redis://"+server.Addr()))
	flags := []string{"--redis", fmt.Sprintf("rediss://127.0.0.1:%d", port)}
	exercise(t, s, append(flags, "--tls-ca", cert, "--tls-cert", cert, "--tls-key", key))
	another, _ := certificate(t) // the CAs of the system take long to load
	ctl(t, append(flags, "--tls-ca", another), "stats").want(exitFailure, "not trusted", "--tls-ca")
	ctl(t, append(flags, "--tls-ca", key), "stats").want(exitUsage, "no certificate")
	ctl(t, append(flags, "--tls-cert", key, "--tls-key", key), "stats").want(exitUsage, "--tls-cert")
	ctl(t, []string{"--redis", "rediss://" + server.Addr(), "--timeout", "200ms"}, "stats").want(exitFailure, "whether it wants TLS")
}
