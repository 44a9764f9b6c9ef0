package redistest_test

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/sessionkv/session/internal/redistest"
)

func TestServer(t *testing.T) {
	server := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	for _, stop := range []func(){server.Kill, server.Shutdown, func() {}} {
		server.Do(t, "INCR", "n")
		stop()
		server.Restart()
	}
	if n, err := redis.Int(server.Do(t, "GET", "n"), nil); n != 3 {
		t.Errorf("n = %d, %v; want 3", n, err)
	}
	conn, err := redis.Dial("unix", server.Socket())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	server.Stop()
	if _, err := redis.DoWithTimeout(conn, 20*time.Millisecond, "PING"); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("PING of a stopped server: %v", err)
	}
	server.Cont()
	server.Do(t, "PING")
	server.Stop() // the end of the test must end it nevertheless
}

func TestServerWithPassword(t *testing.T) {
	server := redistest.Start(t, "--requirepass", "word")
	if _, err := server.Dial(t, redis.DialPassword("word")).Do("PING"); err != nil {
		t.Error(err)
	}
}

func TestServersAreApart(t *testing.T) {
	one, two := redistest.Start(t), redistest.Start(t)
	one.Do(t, "SET", "key", "one")
	if got := two.Do(t, "GET", "key"); got != nil {
		t.Errorf("the key of one server on another: %v", got)
	}
}

func TestAnotherProgramServes(t *testing.T) {
	redistest.Start(t) // or the test is skipped
	dir := t.TempDir()
	path := filepath.Join(dir, "server")
	script := fmt.Sprintf("#!/bin/sh\n: >'%s'/started-$$\nexec '%s' \"$@\"\n", dir, cmp.Or(os.Getenv("SESSION_REDIS_SERVER"), "redis-server"))
	if err := os.WriteFile(path, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SESSION_REDIS_SERVER", path)
	set := redistest.StartSentinels(t, nil)
	started, _ := filepath.Glob(filepath.Join(dir, "started-*"))
	if want := len(set.Servers) + len(set.Sentinels); len(started) != want {
		t.Errorf("the program of SESSION_REDIS_SERVER started %d times; want %d", len(started), want)
	}
}

func TestCommands(t *testing.T) {
	server := redistest.Start(t)
	got := server.Commands(t, func() {
		server.Do(t, "SET", "] \"key\r\n", "value \"lua] ")
		server.Do(t, "EVAL", "return redis.call('GET', KEYS[1])", 1, "key")
		server.Do(t, "get", "key")
	})
	if want := []string{"SET", "EVAL", "GET"}; !slices.Equal(got, want) {
		t.Errorf("commands = %q; want %q", got, want)
	}
	if got := server.Commands(t, func() {}); len(got) > 0 {
		t.Errorf("commands of nothing = %q", got)
	}
}

func TestProxy(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr())
	dial := func() redis.Conn {
		conn, err := redis.Dial("tcp", proxy.Addr(), redis.DialReadTimeout(10*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	conn := dial()
	want := []any{[]byte("a\r\nb"), nil, int64(0), []any{[]byte("x"), nil}}
	got, err := redis.Values(conn.Do("EVAL", "return {'a\\r\\nb', false, 0, {'x', false}}", 0))
	if err != nil || len(got) != len(want) || string(got[0].([]byte)) != "a\r\nb" || got[1] != nil {
		t.Errorf("through the proxy: %q, %v", got, err)
	}
	if _, err := conn.Do("nonsense"); err == nil {
		t.Error("an error did not come through")
	}

	proxy.DropReplies(1, 2)
	if _, err := conn.Do("INCR", "n"); err != nil {
		t.Errorf("a reply that is to be passed on: %v", err)
	}
	_ = conn.Send("INCR", "n")
	if _, err := conn.Do("INCR", "n"); !errors.Is(err, io.EOF) {
		t.Errorf("a reply that is to be dropped: %v", err)
	}
	if n, err := redis.Int(dial().Do("GET", "n")); n != 3 {
		t.Errorf("n = %d, %v; want 3: what has no reply was executed", n, err)
	}
	if n := proxy.Connections(); n != 2 {
		t.Errorf("%d connections; want 2", n)
	}

	both, ended := []redis.Conn{dial(), dial()}, make(chan int)
	proxy.DropReplies(0, 2)
	for i, conn := range both {
		_ = conn.Send("INCR", "n")
		_ = conn.Flush()
		go func() {
			if reply, err := conn.Receive(); !errors.Is(err, io.EOF) {
				t.Errorf("a connection that lost a reply passed on %v, %v", reply, err)
			}
			ended <- i
		}()
	}
	open := both[1-<-ended] // both have lost one by now
	_ = open.Send("PING")
	_ = open.Flush()
	<-ended

	conn = dial()
	proxy.Refuse()
	if _, err := net.Dial("tcp", proxy.Addr()); err == nil {
		t.Error("connected to a proxy that refuses")
	}
	if _, err := conn.Do("PING"); err != nil {
		t.Errorf("an open connection: %v", err)
	}
	proxy.Accept()
	dial()
	proxy.CloseAll()
	if _, err := conn.Do("PING"); err == nil {
		t.Error("a closed connection answers")
	}
}

func TestProxyCutsOffSilently(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr())
	dial := func() redis.Conn {
		conn, err := redis.Dial("tcp", proxy.Addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		_, err = conn.Do("PING")
		if err != nil {
			t.Fatal(err)
		}
		return conn
	}
	conn := dial()
	proxy.CutAll()
	if _, err := redis.DoWithTimeout(conn, 20*time.Millisecond, "INCR", "n"); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("on a connection that is cut off: %v", err)
	}
	dial()
	if got := server.Do(t, "EXISTS", "n"); got != int64(0) {
		t.Error("a command passed")
	}
}
