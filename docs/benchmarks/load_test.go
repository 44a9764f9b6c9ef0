package main

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// A write that left the value as it was could be cheaper than one that does not, in a library and in the database. So the
// visits of a session go up by one with each of them, under the load that the generator makes.
func TestEveryWriteOfEveryContestantChangesTheValue(t *testing.T) {
	t.Parallel()
	redis := testRedis(t)
	const clients, writes = 3, 20
	for _, c := range contestants {
		if c.kind == bare {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			s, err := newServer(c.name, redis.address("unix"))
			if err != nil {
				t.Fatal(err)
			}
			l := newLoad()
			if err := l.Open(OpenArgs{Address: s.address, Clients: clients, Size: size4kB}, nil); err != nil {
				t.Fatal(err)
			}
			var reply RunReply
			if err := l.Run(RunArgs{Address: s.address, Work: write, Count: writes}, &reply); err != nil {
				t.Fatal(err)
			}
			if reply.Done != clients*writes || reply.Failed != 0 {
				t.Errorf("%d writes were done, %d failed; want %d and 0", reply.Done, reply.Failed, clients*writes)
			}
			for _, client := range l.clients[s.address] {
				if err := client.once(read); err != nil {
					t.Fatal(err)
				}
				if want := body(firstVisits + writes); !bytes.Equal(client.content, want) {
					t.Errorf("after %d writes a session answers %q, want %q", writes, client.content, want)
				}
			}
			if err := l.Close(Nothing{}, nil); err != nil {
				t.Error(err)
			}
		})
	}
}

// serve answers as f says, but to the requests that make and look at a new session.
func serve(t *testing.T, f http.HandlerFunc) *client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/new", "/read":
			_, _ = w.Write(body(firstVisits))
		default:
			f(w, r)
		}
	}))
	t.Cleanup(server.Close)
	c, err := openClient(server.Listener.Addr().String(), size200B)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func TestTheGeneratorCountsAWriteThatChangesNothingAsFailed(t *testing.T) {
	t.Parallel()
	answers := []int{2, 2, 3, 3, 4}
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(body(answers[0]))
		answers = answers[1:]
	})
	l := load{map[string][]*client{"server": {c}}}
	var reply RunReply
	if err := l.Run(RunArgs{Address: "server", Work: write, Count: len(answers)}, &reply); err != nil {
		t.Fatal(err)
	}
	if reply.Done != 3 || reply.Failed != 2 {
		t.Errorf("%d done and %d failed, want 3 and 2", reply.Done, reply.Failed)
	}
	if reply.CPU <= 0 || reply.CPU > 10*time.Second {
		t.Errorf("the generator has spent %s", reply.CPU)
	}
}

func TestAResponseMayComeInPieces(t *testing.T) {
	t.Parallel()
	seen := make(chan bool)
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "16")
		_, _ = w.Write([]byte("visits 0"))
		_ = http.NewResponseController(w).Flush()
		select {
		case <-seen:
		case <-r.Context().Done():
		}
		_, _ = w.Write([]byte("0000007\n"))
	})
	if err := c.send(write); err != nil {
		t.Fatal(err)
	}
	if complete, err := c.receive(write); err != nil || complete {
		t.Fatalf("after the first piece: %t, %v", complete, err)
	}
	close(seen)
	if complete, err := c.receive(write); err != nil || !complete {
		t.Fatalf("after the second piece: %t, %v", complete, err)
	}
	if want := body(7); !bytes.Equal(c.content, want) {
		t.Errorf("%q, want %q", c.content, want)
	}
}

func TestAnErrorIsNoWorkDone(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "out of order", http.StatusInternalServerError)
	})
	err := c.once(untouched)
	if !errors.Is(err, errResponse) || !strings.Contains(err.Error(), "out of order") {
		t.Errorf("%v", err)
	}
}
