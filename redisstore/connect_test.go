package redisstore_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/gomodule/redigo/redis"

	"github.com/sessionkv/session/internal/redistest"
	"github.com/sessionkv/session/redisstore"
)

// selfSigned returns a certificate for 127.0.0.1 that no CA of the system has signed, and a pool that trusts it.
func selfSigned(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

func TestTLS(t *testing.T) {
	certificate, roots := selfSigned(t)
	server, err := miniredis.RunTLS(&tls.Config{Certificates: []tls.Certificate{certificate}})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()

	pool := newPool(server.Addr(), redis.DialUseTLS(true), redis.DialTLSConfig(&tls.Config{RootCAs: roots}))
	store := openPool(t, pool, redisstore.Options{})
	v := mustSave(t, store, "1", nil, value("1"))
	wantStored(t, store, "1", mustSave(t, store, "1", v, value("2")))

	for _, scheme := range []string{"rediss", "valkeys"} {
		for _, config := range []*tls.Config{nil, {RootCAs: roots}} {
			store, err := redisstore.Open(scheme+"://"+server.Addr(), redisstore.Options{TLS: config})
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			err = store.Ping(t.Context())
			if config != nil && err != nil || config == nil && (err == nil || !strings.Contains(err.Error(), "set Options.TLS")) {
				t.Errorf("Ping with RootCAs %v = %v", config, err)
			}
		}
	}
}

// Who sets TLS wants it, and must not get a connection in the clear.
func TestOpenRefusesTLSForAPlainURL(t *testing.T) {
	for _, url := range []string{"redis://host", "valkey://host", "host:6379", "unix:///run/redis.sock"} {
		store, err := redisstore.Open(url, redisstore.Options{TLS: &tls.Config{}})
		if store != nil || err == nil || !strings.Contains(err.Error(), "rediss://") {
			t.Errorf("Open(%q) with TLS = %v, %v", url, store, err)
		}
	}
}

func TestOpenTakesOptions(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	eachMode(t, func(t *testing.T, options redisstore.Options) {
		options.Prefix = rand.Text() + ":"
		store, err := redisstore.Open(server.URL(), options)
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		commands := server.Commands(t, func() { mustSave(t, store, "1", mustSave(t, store, "1", nil, longValue("1")), value("2")) })
		if slices.Contains(commands, "WATCH") != options.NoScripts {
			t.Errorf("commands %s", commands)
		}
		if n := server.Do(t, "EXISTS", options.Prefix+"1"); n != int64(1) {
			t.Errorf("%d values have the prefix", n)
		}
	})
	if store, err := redisstore.Open(server.URL(), redisstore.Options{Prefix: "{"}); store != nil || err == nil {
		t.Errorf("Open with a brace in the Prefix = %v, %v", store, err)
	}
}

func TestOpenConnects(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	server.Do(t, "ACL", "SETUSER", "app", "on", ">p@ss/word", "~*", "+@all")
	server.Do(t, "CONFIG", "SET", "requirepass", "p@ss/word")
	for _, test := range []struct {
		url      string
		database int
	}{
		{"redis://:p%40ss%2Fword@" + server.Addr(), 0},
		{"redis://p%40ss%2Fword@" + server.Addr() + "/3", 3},
		{"valkey://app:p%40ss%2Fword@" + server.Addr() + "/3", 3},
		{"unix://app:p%40ss%2Fword@" + server.Socket() + "?db=3", 3},
		{"unix://p%40ss%2Fword@" + server.Socket(), 0},
	} {
		store, err := redisstore.Open(test.url, redisstore.Options{})
		if err != nil {
			t.Errorf("Open(%q): %v", test.url, err)
			continue
		}
		defer store.Close()
		if err := store.Ping(t.Context()); err != nil {
			t.Errorf("Ping(%q): %v", test.url, err)
		}
		id := rand.Text()
		mustSave(t, store, id, nil, value("1"))
		conn := server.Dial(t, redis.DialPassword("p@ss/word"), redis.DialDatabase(test.database))
		if n, err := redis.Int(conn.Do("EXISTS", "session:"+id)); n != 1 {
			t.Errorf("%q wrote to another database: %v", test.url, err)
		}
	}
}
