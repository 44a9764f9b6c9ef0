package redisstore

import (
	"slices"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	for _, test := range []struct {
		url  string
		want target
		tls  string // the server's name in its certificate; "" without TLS
	}{
		// The four schemes, and what is left out.
		{"redis://example.com", target{network: "tcp", address: "example.com:6379"}, ""},
		{"valkey://example.com:7000", target{network: "tcp", address: "example.com:7000"}, ""},
		{"rediss://example.com", target{network: "tcp", address: "example.com:6379"}, "example.com"},
		{"valkeys://example.com:7000/", target{network: "tcp", address: "example.com:7000"}, "example.com"},
		{"REDIS://example.com", target{network: "tcp", address: "example.com:6379"}, ""},
		{"redis://", target{network: "tcp", address: "localhost:6379"}, ""},
		{"redis://:7000", target{network: "tcp", address: "localhost:7000"}, ""},
		{"redis://example.com:", target{network: "tcp", address: "example.com:6379"}, ""},

		// The database.
		{"redis://example.com/0", target{network: "tcp", address: "example.com:6379"}, ""},
		{"redis://example.com/15", target{network: "tcp", address: "example.com:6379", database: 15}, ""},
		{"redis:///3", target{network: "tcp", address: "localhost:6379", database: 3}, ""},

		// A single word is a password, as in redis-cli.
		{"redis://:word@host", target{network: "tcp", address: "host:6379", password: "word"}, ""},
		{"redis://word@host", target{network: "tcp", address: "host:6379", password: "word"}, ""},
		{"redis://app:word@host:1/2", target{network: "tcp", address: "host:1", user: "app", password: "word", database: 2}, ""},
		{"redis://a%3Ap:w%2Fo%40r%3Fd%23%25@host", target{network: "tcp", address: "host:6379", user: "a:p", password: "w/o@r?d#%"}, ""},
		{"rediss://app:word@[::1]:1", target{network: "tcp", address: "[::1]:1", user: "app", password: "word"}, "::1"},

		// IPv6.
		{"redis://[::1]", target{network: "tcp", address: "[::1]:6379"}, ""},
		{"redis://[2001:db8::1]:7000/1", target{network: "tcp", address: "[2001:db8::1]:7000", database: 1}, ""},
		{"redis://[fe80::1%25eth0]:7000", target{network: "tcp", address: "[fe80::1%eth0]:7000"}, ""},

		// A bare address.
		{"localhost:6379", target{network: "tcp", address: "localhost:6379"}, ""},
		{"redis:6379", target{network: "tcp", address: "redis:6379"}, ""},
		{"127.0.0.1:1", target{network: "tcp", address: "127.0.0.1:1"}, ""},
		{"[::1]:6379", target{network: "tcp", address: "[::1]:6379"}, ""},
		{":6379", target{network: "tcp", address: "localhost:6379"}, ""},

		// A socket.
		{"unix:///run/redis.sock", target{network: "unix", address: "/run/redis.sock"}, ""},
		{"unix:///run/redis.sock?db=2", target{network: "unix", address: "/run/redis.sock", database: 2}, ""},
		{"unix:///run/a%20b", target{network: "unix", address: "/run/a b"}, ""},
		{"unix://app:word@/run/redis.sock", target{network: "unix", address: "/run/redis.sock", user: "app", password: "word"}, ""},
	} {
		got, err := parse(test.url)
		name := ""
		if got.tls != nil {
			name = got.tls.ServerName
		}
		if got.tls = nil; err != nil || got != test.want || name != test.tls {
			t.Errorf("parse(%q) = %+v, TLS %q, %v; want %+v, TLS %q", test.url, got, name, err, test.want, test.tls)
		}
	}
}

// badURLs have PASSWORD where a password would be, and where a part of one may end up.
var badURLs = []struct {
	url  string
	want error // nil: any, since net/url is stricter in newer versions of Go
}{
	{"", errForm},
	{"localhost", errPort},
	{"example.com/2", errForm},
	{"PASSWORD", errPort},
	{"/run/redis.sock", errForm},
	{"PASSWORD@localhost:6379", errForm},
	{"user:PASSWORD@localhost:6379", errForm},
	{"::1", errForm},
	{"localhost:6379/2", errForm},
	{"localhost:6379?db=2", errForm},
	{"localhost:0", errHost},
	{"localhost:redis", errForm},
	{"redis:localhost:6379", errForm},
	{"redis:x://PASSWORD", errForm},
	{" redis://localhost", errForm},
	{"redis://localhost\n", errForm},
	{"redis://local host", errForm},

	{"http://user:PASSWORD@localhost", errScheme},
	{"redis+unix:///run/redis.sock", errScheme},
	{"redis+sentinel://localhost", errScheme},
	{"://localhost", errForm},
	{"PASSWORD://localhost", errScheme},

	{"redis://@localhost", errPassword},
	{"redis://:@localhost", errPassword},
	{"redis://user:@localhost", errPassword},
	{"unix://user:@/run/redis.sock", errPassword},

	{"redis://::1", nil},
	{"redis://fe80::1:6379", nil},
	{"redis://localhost:0", errHost},
	{"redis://localhost:65536", errHost},
	{"redis://localhost:port", nil},
	{"redis://a:1,b:2", nil},
	{"redis://[::1", errForm},

	{"redis://localhost/x", errDatabase},
	{"redis://localhost/-1", errDatabase},
	{"redis://localhost/+1", errDatabase},
	{"redis://localhost/1/", errDatabase},
	{"redis://localhost//1", errDatabase},
	{"redis://localhost/99999999999999999999", errDatabase},

	{"redis://localhost?db=1", errQuery},
	{"redis://localhost/1?ssl=true", errQuery},
	{"redis://localhost/1?", errQuery},
	{"redis://localhost#1", errQuery},
	{"redis://localhost/#", errQuery},

	{"unix://", errSocket},
	{"unix:///", errSocket},
	{"unix:///run/", errSocket},
	{"unix://run/redis.sock", errSocket},
	{"unix:///run/redis.sock#1", errSocket},
	{"unix:///run/redis.sock?db=", errSocket},
	{"unix:///run/redis.sock?db=x", errSocket},
	{"unix:///run/redis.sock?db=1&db=2", errSocket},
	{"unix:///run/redis.sock?database=1", errSocket},
	{"unix:///run/redis.sock?db=1&x=1", errSocket},
	{"unix:///run/redis.sock?db=1;x", errSocket},
	{"unix:///run/redis.sock?db=%zz", errSocket},

	// Passwords that are not percent-encoded.
	{"redis://user:12/PASSWORD@localhost", errDatabase},
	{"redis://user:PASSWORD/34@localhost", errForm},
	{"redis://user:12?PASSWORD@localhost", errQuery},
	{"redis://user:12#PASSWORD@localhost", errQuery},
	{"redis://user:PASSWORD%@localhost", errForm},
	{"redis://user:PASSWORD%zz@localhost", errForm},
	{"redis://user:PASS WORD@localhost", errForm},
	{"redis://user:PASSWORD[@localhost", errForm},
	{"redis://user:PASSWORD@localhost:port", errForm},
	{"redis://user:PASSWORD@localhost/x", errDatabase},
	{"rediss://user:PASSWORD@localhost?x=y", errQuery},
	{"unix://user:PASSWORD@run/redis.sock", errSocket},
}

func TestOpenRefuses(t *testing.T) {
	for _, test := range badURLs {
		store, err := Open(test.url, Options{})
		if store != nil || !slices.Contains(openErrors, err) || test.want != nil && err != test.want {
			t.Errorf("Open(%q) = %v, %v; want %v", test.url, store, err, test.want)
		}
	}
}

// Open's errors are constants. Nothing of a URL can be in them.
var openErrors = []error{errForm, errPort, errPlain, errScheme, errPassword, errHost, errDatabase, errQuery, errSocket}

func TestOpenErrorsSayWhatToDo(t *testing.T) {
	for _, err := range openErrors {
		if text := err.Error(); !strings.HasPrefix(text, "redisstore: ") || strings.Contains(text, "PASSWORD") {
			t.Errorf("%q", text)
		}
	}
}

func FuzzOpen(f *testing.F) {
	for _, test := range badURLs {
		f.Add(test.url)
	}
	for _, url := range []string{"redis://user:PASSWORD@localhost:6379/2", "rediss://[::1]", "unix://x@/run/redis.sock?db=2", "localhost:6379"} {
		f.Add(url)
	}
	f.Fuzz(func(t *testing.T, url string) {
		store, err := Open(url, Options{})
		if err != nil && (store != nil || !slices.Contains(openErrors, err)) {
			t.Errorf("Open(%q) = %v, %v", url, store, err)
		}
		if err == nil {
			target, err := parse(url)
			if err != nil || target.address == "" || target.database < 0 || target.user != "" && target.password == "" {
				t.Errorf("parse(%q) = %+v, %v", url, target, err)
			}
			store.Close()
		}
	})
}
