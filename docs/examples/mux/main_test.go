package main

import (
	"sync"
	"testing"

	"github.com/sessionkv/session/docs/examples/internal/visit"
)

func TestEachPollRemembersItsVote(t *testing.T) {
	server, _ := visit.Serve(t, routes)
	alice, bob := visit.New(t, server), visit.New(t, server)
	alice.Get("/polls/dinner", 200, "dinner: no vote yet\n")
	alice.Post("/polls/dinner/soup", 200, "dinner: soup\n")
	alice.Post("/polls/trip/lake", 200, "trip: lake\n")
	alice.Post("/polls/dinner/pasta", 200, "dinner: pasta\n")
	alice.Get("/polls/trip", 200, "trip: lake\n")
	bob.Get("/polls/trip", 200, "trip: no vote yet\n")
	bob.Post("/polls/trip/city", 200, "trip: city\n")
	alice.Get("/polls/trip", 200, "trip: lake\n")
}

func TestSimultaneousVotesInTwoPolls(t *testing.T) {
	server, _ := visit.Serve(t, routes)
	client := visit.New(t, server)
	client.Click("/polls/trip/city")
	for range 10 {
		client.Click("/polls/dinner/pasta")
		client.Click("/polls/trip/city")
		var votes sync.WaitGroup
		votes.Go(func() { client.Click("/polls/dinner/soup") })
		votes.Go(func() { client.Click("/polls/trip/lake") })
		votes.Wait()
		client.Get("/polls/dinner", 200, "dinner: soup\n")
		client.Get("/polls/trip", 200, "trip: lake\n")
	}
}

func TestUnknownPollsAndChoicesAreNotKept(t *testing.T) {
	server, redis := visit.Serve(t, routes)
	client := visit.New(t, server)
	client.Get("/polls/size", 404, "404 page not found\n")
	client.Post("/polls/size/huge", 404, "404 page not found\n")
	client.Post("/polls/trip/moon", 404, "404 page not found\n")
	client.Get("/polls/trip/lake", 405, "")
	if keys := redis.Keys(); len(keys) != 0 {
		t.Errorf("Redis has %q, want nothing", keys)
	}
}

func TestRouteOutsideTheSubrouterCausesNoCommand(t *testing.T) {
	server, redis := visit.Serve(t, routes)
	client := visit.New(t, server)
	client.Click("/polls/trip/lake")
	before := redis.CommandCount()
	client.Get("/healthz", 200, "ok\n")
	if n := redis.CommandCount() - before; n != 0 {
		t.Errorf("%d commands, want none", n)
	}
}

func TestRequestsOfOtherSitesAreRefused(t *testing.T) {
	server, _ := visit.Serve(t, routes)
	client := visit.New(t, server)
	client.Click("/polls/trip/lake")
	if status := client.ClickElsewhere("/polls/trip/city"); status != 403 {
		t.Errorf("status %d, want 403", status)
	}
	client.Get("/polls/trip", 200, "trip: lake\n")
}

func TestRedisDown(t *testing.T) {
	server, redis := visit.Serve(t, routes)
	client := visit.New(t, server)
	client.Click("/polls/trip/lake")
	redis.SetError("LOADING Redis is loading the dataset in memory")
	client.Get("/polls/trip", 503, "session unavailable\n")
	client.Post("/polls/trip/city", 503, "session unavailable\n")
	redis.SetError("")
	client.Get("/polls/trip", 200, "trip: lake\n")
}
