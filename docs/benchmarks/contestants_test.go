package main

import (
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"os/exec"
	"reflect"
	"slices"
	"testing"
)

// TestMain lets the test program take the roles that the benchmarks give themselves.
func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		exit(actAs(role))
	}
	os.Exit(m.Run())
}

// testDatabase is redis-server, or the program that SESSION_REDIS_SERVER names. Where it is not installed the test is
// skipped.
func testDatabase(t *testing.T) database {
	t.Helper()
	program := cmp.Or(os.Getenv("SESSION_REDIS_SERVER"), "redis-server")
	if _, err := exec.LookPath(program); err != nil && os.Getenv("CI") == "" {
		t.Skip("redis-server is not installed; install it to run this test")
	}
	d, err := newDatabase(program)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// testRedis starts one.
func testRedis(t *testing.T) *redisServer {
	t.Helper()
	s, err := startRedis(testDatabase(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// get returns the body of a response with the status 200.
func get(t *testing.T, client *http.Client, url string) string {
	t.Helper()
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s: %s", url, response.Status, content)
	}
	return string(content)
}

func TestEveryContestantKeepsASession(t *testing.T) {
	t.Parallel()
	redis := testRedis(t)
	for _, c := range contestants {
		for _, network := range []string{"unix", "tcp"} {
			t.Run(c.name+" "+network, func(t *testing.T) {
				l, err := c.open(redis.address(network))
				if err != nil {
					t.Fatal(err)
				}
				server := httptest.NewServer(handler(l))
				defer server.Close()
				jar, _ := cookiejar.New(nil)
				client := &http.Client{Jar: jar}
				expect := func(path string, visits int) {
					t.Helper()
					if got, want := get(t, client, server.URL+path), string(body(visits)); got != want {
						t.Errorf("%s: %q, want %q", path, got, want)
					}
				}
				expect(requestTarget(begin, size4kB), firstVisits)
				expect("/untouched", 0)
				expect("/read", firstVisits)
				if c.name == nameBare {
					return
				}
				for i := range 3 {
					expect("/write", firstVisits+1+i)
				}
				expect("/read", firstVisits+3)
				expect("/destroy", 0)
				response, err := client.Get(server.URL + "/read")
				if err != nil {
					t.Fatal(err)
				}
				response.Body.Close()
				if response.StatusCode == http.StatusOK {
					t.Error("the session survives its destruction")
				}
			})
		}
	}
}

// commandsWanted are those of each work of each contestant.
func commandsWanted(ifEqual bool) map[string]map[work][]string {
	scsSave := []string{"MULTI", "SET", "PEXPIREAT", "EXEC"}
	scsUse := []string{"GET"}
	scsIdle := append([]string{"GET"}, scsSave...)
	gorilla := map[work][]string{untouched: nil, read: {"GET"}, write: {"GET", "SETEX"}, begin: {"SETEX"}}
	floor := map[work][]string{untouched: nil, read: {"GETEX"}, write: {"GETEX", "SET"}, begin: {"SET"}}
	save := []string{"SET", "EVALSHA"}
	if ifEqual {
		save = []string{"SET"}
	}
	return map[string]map[work][]string{
		nameBare:    {untouched: nil, read: nil, write: nil, begin: nil},
		nameRedigo:  floor,
		nameRueidis: floor,
		nameGoRedis: floor,
		nameSession: {untouched: nil, read: {"GETEX"}, write: append([]string{"GETEX"}, save...), begin: {"SET"}},
		nameUser: {
			untouched: nil, read: {"ZRANK", "GETEX"}, write: append([]string{"ZRANK", "GETEX"}, save...), begin: {"SET", "GETEX", "ZRANGE", "GETEX", "EVALSHA"},
		},
		"scs":          {untouched: scsUse, read: scsUse, write: scsIdle, begin: scsSave},
		"scs JSON":     {untouched: scsUse, read: scsUse, write: scsIdle, begin: scsSave},
		"scs idle":     {untouched: scsIdle, read: scsIdle, write: scsIdle, begin: scsSave},
		"gorilla":      gorilla,
		"gorilla JSON": gorilla,
	}
}

// The commands of each contestant are what the comparison rests on: the rivals must send no more than their libraries do, and
// session no more than it promises.
// clientOf starts a contestant and returns a client that has a session of it.
func clientOf(t *testing.T, contestant string, redis *redisServer, size int) *client {
	t.Helper()
	s, err := newServer(contestant, redis.address("unix"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := openClient(s.address, size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.close() })
	return c
}

func TestEveryContestantSendsItsCommands(t *testing.T) {
	t.Parallel()
	redis := testRedis(t)
	want := commandsWanted(redis.ifEqual)
	for _, c := range contestants {
		t.Run(c.name, func(t *testing.T) {
			client := clientOf(t, c.name, redis, size200B)
			if err := client.once(write); err != nil { // Redis may have to learn a script
				t.Fatal(err)
			}
			for w, want := range want[c.name] {
				got, err := redis.watch(func() error { return client.once(w) })
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s sends %q, want %q", w, got, want)
				}
			}
		})
	}
}

func TestMembersHaveTheSizeTheyShould(t *testing.T) {
	t.Parallel()
	for _, size := range []int{size200B, size4kB, size64kB, size1MB, size10MB} {
		values := make(map[string]any)
		for _, m := range members(size) {
			values[m.name] = m.value
		}
		if len(values) != memberCount(size) {
			t.Errorf("%s: %d values, want %d", sizeName(size), len(values), memberCount(size))
		}
		raw, err := json.Marshal(values)
		if err != nil {
			t.Fatal(err)
		}
		if off := float64(len(raw))/float64(size) - 1; off < -0.02 || off > 0.02 {
			t.Errorf("%s: %d bytes", sizeName(size), len(raw))
		}
		if values[visitsName] != firstVisits {
			t.Errorf("%s: visits are %v", sizeName(size), values[visitsName])
		}
		if !reflect.DeepEqual(members(size), members(size)) {
			t.Errorf("%s: not the same each time", sizeName(size))
		}
	}
}

func TestAResponseHas16Bytes(t *testing.T) {
	for visits, want := range map[int]string{0: "visits 00000000\n", 1: "visits 00000001\n", 12345678: "visits 12345678\n"} {
		if got := string(body(visits)); got != want {
			t.Errorf("%d: %q, want %q", visits, got, want)
		}
	}
}
