package main

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/gomodule/redigo/redis"

	"github.com/sessionkv/session/internal/redistest"
	"github.com/sessionkv/session/internal/testkit"
)

// The walk-through of the README, with the demo in processes that are killed, on a real Redis.
func TestWalkThrough(t *testing.T) {
	server := redistest.Start(t)
	exists := func(key string) bool { return server.Do(t, "EXISTS", key) == int64(1) }
	life := func(key string) time.Duration {
		return time.Duration(server.Do(t, "PTTL", key).(int64)) * time.Millisecond
	}
	b := newBrowser(t)

	p := startProcess(t, "-redis", server.URL())
	res := b.want(t, p.url+"/set", http.StatusOK, "ok\n")
	if got := res.Header.Get("Content-Type"); got != "text/plain; charset=utf-8" {
		t.Errorf("/set is %q", got)
	}
	if got := res.Header.Get("Set-Cookie"); !strings.HasPrefix(got, "session=") || !strings.HasSuffix(got, "; Path=/; HttpOnly; SameSite=Lax") {
		t.Errorf("cookie %q", got)
	}
	stored := b.wantTime(t, p.url)
	keys, err := redis.Strings(server.Do(t, "KEYS", "*"), nil)
	if err != nil || len(keys) != 1 || !strings.HasPrefix(keys[0], "session:") {
		t.Fatalf("keys %q, %v", keys, err)
	}
	key := keys[0]
	if left := life(key); left <= 0 || left > time.Minute {
		t.Errorf("the session has %v to live", left)
	}

	p.kill()
	p = startProcess(t, "-redis", server.URL())
	b.want(t, p.url+"/get", http.StatusOK, stored)

	server.Do(t, "SET", key, `{"time":1, "by":"hand"}`, "KEEPTTL")
	if _, body := b.get(t, p.url+"/get"); strings.ReplaceAll(body, " ", "") != `{"time":1,"by":"hand"}`+"\n" {
		t.Errorf("/get after an edit by hand: %q", body)
	}
	b.want(t, p.url+"/set", http.StatusOK, "ok\n")
	if _, body := b.get(t, p.url+"/get"); !strings.Contains(body, `"by":"hand"`) || strings.Contains(body, `"time":1,`) {
		t.Errorf("/get after an edit by hand and /set: %q", body)
	}

	server.Do(t, "PEXPIRE", key, 10_000)
	b.get(t, p.url+"/get")
	if left := life(key); left < 30*time.Second {
		t.Errorf("after /get, the session has %v to live", left)
	}

	p.kill()
	p = startProcess(t, "-redis", server.URL(), "-ttl", "1s")
	b.get(t, p.url+"/get")
	testkit.Eventually(t, "the session expires", func() bool { return !exists(key) })
	b.want(t, p.url+"/get", http.StatusOK, "{}\n")

	b.want(t, p.url+"/set", http.StatusOK, "ok\n")
	if res := b.want(t, p.url+"/del", http.StatusOK, "ok\n"); !strings.Contains(res.Header.Get("Set-Cookie"), "Max-Age=0") {
		t.Errorf("/del leaves the cookie: %q", res.Header)
	}
	if keys, err := redis.Strings(server.Do(t, "KEYS", "*"), nil); err != nil || len(keys) != 0 {
		t.Errorf("/del leaves %q, %v", keys, err)
	}
	b.want(t, p.url+"/get", http.StatusOK, "{}\n")
}

func TestEmbeddedRedisLetsSessionsExpire(t *testing.T) {
	d, stop := start(t, "-ttl", "1s")
	var address string
	if _, err := fmt.Sscanf(d.lines[1], "sessions: embedded Redis on %s gone when this program ends; idle timeout 1s", &address); err != nil {
		t.Fatalf("%q: %v", d.lines[1], err)
	}
	address = strings.TrimSuffix(address, ",")
	conn, err := redis.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	count := func() int {
		n, err := redis.Int(conn.Do("DBSIZE"))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	b := newBrowser(t)
	b.want(t, d.url+"/get", http.StatusOK, "{}\n")
	b.want(t, d.url+"/del", http.StatusOK, "ok\n")
	b.want(t, d.url+"/set", http.StatusOK, "ok\n")
	b.wantTime(t, d.url)
	if n := count(); n != 1 {
		t.Errorf("%d keys for one session", n)
	}
	testkit.Eventually(t, "the session expires", func() bool { return count() == 0 })
	b.want(t, d.url+"/get", http.StatusOK, "{}\n")
	b.want(t, d.url+"/set", http.StatusOK, "ok\n")
	b.want(t, d.url+"/del", http.StatusOK, "ok\n")
	if n := count(); n != 0 {
		t.Errorf("%d keys after /del", n)
	}
	b.want(t, d.url+"/get", http.StatusOK, "{}\n")

	stop()
	if conn, err := net.Dial("tcp", address); err == nil {
		conn.Close()
		t.Error("the embedded Redis goes on after the demo")
	}
}

func TestRequestsAtOnceAreAllCounted(t *testing.T) {
	d, _ := start(t, "-redis", redistest.Start(t).URL())
	b := newBrowser(t)
	b.want(t, d.url+"/set", http.StatusOK, "ok\n")
	var requests sync.WaitGroup
	for range 20 {
		requests.Go(func() {
			if status, body := b.post(t, d.url+"/count"); status != http.StatusOK || body != "ok\n" {
				t.Errorf("POST /count: %d %q", status, body)
			}
		})
	}
	requests.Wait()
	if _, body := b.get(t, d.url+"/get"); !strings.HasPrefix(body, `{"count":20,`) && !strings.HasSuffix(body, `,"count":20}`+"\n") {
		t.Errorf("after 20 requests: %s", body)
	}
}

func TestSlowRequestDoesNotUndoDel(t *testing.T) {
	server := miniredis.RunT(t)
	d, _ := start(t, "-redis", server.Addr())
	b := newBrowser(t)
	b.want(t, d.url+"/set", http.StatusOK, "ok\n")
	said := make(chan string, 1)
	loaded := server.CommandCount()
	go func() {
		_, body := b.post(t, d.url+"/slow")
		said <- body
	}()
	testkit.Eventually(t, "the slow request loads the session", func() bool { return server.CommandCount() > loaded })
	b.want(t, d.url+"/del", http.StatusOK, "ok\n")
	if body := testkit.Receive(t, said); body != "change dropped, for the session has ended\n" {
		t.Errorf("the slow request: %q", body)
	}
	if keys := server.Keys(); len(keys) != 0 {
		t.Errorf("the slow request leaves %q", keys)
	}
	b.want(t, d.url+"/set", http.StatusOK, "ok\n")
	if status, body := b.post(t, d.url+"/slow"); status != http.StatusOK || body != "ok\n" {
		t.Errorf("a slow request alone: %d %q", status, body)
	}
}

const unavailable = "session unavailable: is Redis running?\n"

func TestRedisGoesAwayAndComesBack(t *testing.T) {
	server := miniredis.RunT(t)
	d, _ := start(t, "-redis", "redis://"+server.Addr())
	b, stranger := newBrowser(t), newBrowser(t)
	b.want(t, d.url+"/set", http.StatusOK, "ok\n")
	stored := b.wantTime(t, d.url)

	server.Close()
	for _, route := range []string{"/set", "/get", "/del"} {
		res := b.want(t, d.url+route, http.StatusServiceUnavailable, unavailable)
		if got := res.Header.Get("Content-Type"); got != "text/plain; charset=utf-8" {
			t.Errorf("%s is %q", route, got)
		}
		if got := res.Header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("%s has Cache-Control %q", route, got)
		}
		if got := res.Header["Set-Cookie"]; got != nil {
			t.Errorf("%s sets %q", route, got)
		}
	}
	// Who has no cookie has no session: that needs no Redis.
	stranger.want(t, d.url+"/get", http.StatusOK, "{}\n")
	stranger.want(t, d.url+"/del", http.StatusOK, "ok\n")
	stranger.want(t, d.url+"/set", http.StatusServiceUnavailable, unavailable)
	for _, who := range []*browser{b, stranger} {
		if res, body := who.get(t, d.url); res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, "Redis cannot be reached") {
			t.Errorf("the page is %d, and says nothing of it:\n%s", res.StatusCode, body)
		}
	}

	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	b.want(t, d.url+"/get", http.StatusOK, stored)
	stranger.want(t, d.url+"/set", http.StatusOK, "ok\n")
	if res, body := b.get(t, d.url); res.StatusCode != http.StatusOK || strings.Contains(body, "Redis cannot be reached") {
		t.Errorf("the page is %d after the outage:\n%s", res.StatusCode, body)
	}
}

func TestRedisHangs(t *testing.T) {
	server := redistest.Start(t)
	d, _ := start(t, "-redis", server.URL())
	b := newBrowser(t)
	b.want(t, d.url+"/set", http.StatusOK, "ok\n")
	server.Stop()
	began := time.Now()
	b.want(t, d.url+"/get", http.StatusServiceUnavailable, unavailable)
	if took := time.Since(began); took < storeTimeout/2 || took > 5*storeTimeout {
		t.Errorf("503 came after %v, want about %v", took, storeTimeout)
	}
	server.Cont()
	b.wantTime(t, d.url)
}

func TestStartWithoutRedis(t *testing.T) {
	server := miniredis.RunT(t)
	address := server.Addr()
	server.RequireAuth("hunter2")
	server.Close()
	d, _ := start(t, "-redis", "redis://:hunter2@"+address)
	testkit.Eventually(t, "a warning", func() bool {
		return strings.Contains(d.log.String(), `level=WARN msg="sessions answer 503 until Redis does"`)
	})
	b := newBrowser(t)
	b.want(t, d.url+"/set", http.StatusServiceUnavailable, unavailable)
	_, page := b.get(t, d.url)
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	b.want(t, d.url+"/set", http.StatusOK, "ok\n")
	_, livePage := b.get(t, d.url)
	if want := "sessions: Redis on " + address + ", they survive a restart of this program; idle timeout 1m0s"; d.lines[1] != want {
		t.Errorf("%q, want %q", d.lines[1], want)
	}
	for _, shown := range append(d.lines, d.log.String(), page, livePage) {
		if strings.Contains(shown, "hunter2") {
			t.Errorf("the password is shown:\n%s", shown)
		}
	}
}

func TestDescribe(t *testing.T) {
	for _, test := range []struct{ url, address, cli string }{
		{"localhost:6379", "localhost:6379", "redis-cli -p 6379"},
		{"redis://", "localhost:6379", "redis-cli -p 6379"},
		{"redis://db.example/2", "db.example:6379, database 2", "redis-cli -h db.example -p 6379 -n 2"},
		{"redis://db.example/0", "db.example:6379", "redis-cli -h db.example -p 6379"},
		{"redis://[::1]:7000", "[::1]:7000", "redis-cli -h ::1 -p 7000"},
		{"unix:///run/redis.sock?db=3", "/run/redis.sock, database 3", "redis-cli -s /run/redis.sock -n 3"},
		// A single word is a password.
		{"redis://hunter2@h", "h:6379", "redis-cli -h h -p 6379 --askpass"},
		{"redis://:hunter2@h", "h:6379", "redis-cli -h h -p 6379 --askpass"},
		{"rediss://ann:hunter2@h", "h:6379", "redis-cli -h h -p 6379 --tls --user ann --askpass"},
	} {
		if address, cli := describe(test.url); address != test.address || cli != test.cli {
			t.Errorf("%s: %q, %q; want %q, %q", test.url, address, cli, test.address, test.cli)
		}
	}
}
