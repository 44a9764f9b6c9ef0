package main

import (
	"sync"
	"testing"

	"github.com/sessionkv/session/docs/examples/internal/visit"
)

func TestCartFollowsItsVisitor(t *testing.T) {
	server, _ := visit.Serve(t, routes)
	alice, bob := visit.New(t, server), visit.New(t, server)
	alice.Post("/cart/plum", 200, "0 apple\n0 pear\n1 plum\n")
	alice.Post("/cart/plum", 200, "0 apple\n0 pear\n2 plum\n")
	bob.Post("/cart/pear", 200, "0 apple\n1 pear\n0 plum\n")
	alice.Get("/cart", 200, "0 apple\n0 pear\n2 plum\n")
	alice.Post("/cart/_rev", 404, "404 page not found\n")
}

func TestSimultaneousRequestsLoseNothing(t *testing.T) {
	server, _ := visit.Serve(t, routes)
	client := visit.New(t, server)
	client.Post("/cart/apple", 200, "1 apple\n0 pear\n0 plum\n")
	var clicks sync.WaitGroup
	for range 20 {
		clicks.Go(func() { client.Click("/cart/pear") })
	}
	clicks.Wait()
	client.Get("/cart", 200, "1 apple\n20 pear\n0 plum\n")
}

func TestRouteOutsideTheGroupCausesNoCommand(t *testing.T) {
	server, redis := visit.Serve(t, routes)
	client := visit.New(t, server)
	client.Click("/cart/apple")
	before := redis.CommandCount()
	client.Get("/healthz", 200, "ok\n")
	client.Get("/nowhere", 404, "404 page not found\n")
	visit.New(t, server).Get("/cart", 200, "0 apple\n0 pear\n0 plum\n") // inside, but without a cookie
	if n := redis.CommandCount() - before; n != 0 {
		t.Errorf("%d commands, want none", n)
	}
	client.Get("/cart", 200, "1 apple\n0 pear\n0 plum\n")
	if n := redis.CommandCount() - before; n != 1 {
		t.Errorf("%d commands for the page that shows the session, want 1", n)
	}
}

func TestRequestsOfOtherSitesAreRefused(t *testing.T) {
	server, _ := visit.Serve(t, routes)
	client := visit.New(t, server)
	client.Click("/cart/apple")
	if status := client.ClickElsewhere("/cart/plum"); status != 403 {
		t.Errorf("status %d, want 403", status)
	}
	client.Get("/cart", 200, "1 apple\n0 pear\n0 plum\n")
}

func TestRedisDown(t *testing.T) {
	server, redis := visit.Serve(t, routes)
	client := visit.New(t, server)
	client.Click("/cart/apple")
	redis.SetError("LOADING Redis is loading the dataset in memory")
	client.Get("/cart", 503, "session unavailable\n")
	client.Post("/cart/apple", 503, "session unavailable\n")
	client.Get("/healthz", 200, "ok\n")
	redis.SetError("")
	client.Get("/cart", 200, "1 apple\n0 pear\n0 plum\n")
}
