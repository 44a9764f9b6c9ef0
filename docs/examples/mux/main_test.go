package main

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/redisstore"
)

func TestEachPollRemembersItsVote(t *testing.T) {
	server, _ := serve(t)
	alice, bob := visitor(t, server), visitor(t, server)
	wantPage(t, alice, "GET", server.URL+"/polls/dinner", 200, "dinner: no vote yet\n")
	wantPage(t, alice, "POST", server.URL+"/polls/dinner/soup", 200, "dinner: soup\n")
	wantPage(t, alice, "POST", server.URL+"/polls/trip/lake", 200, "trip: lake\n")
	wantPage(t, alice, "POST", server.URL+"/polls/dinner/pasta", 200, "dinner: pasta\n")
	wantPage(t, alice, "GET", server.URL+"/polls/trip", 200, "trip: lake\n")
	wantPage(t, bob, "GET", server.URL+"/polls/trip", 200, "trip: no vote yet\n")
	wantPage(t, bob, "POST", server.URL+"/polls/trip/city", 200, "trip: city\n")
	wantPage(t, alice, "GET", server.URL+"/polls/trip", 200, "trip: lake\n")
}

func TestSimultaneousVotesInTwoPolls(t *testing.T) {
	server, _ := serve(t)
	client := visitor(t, server)
	ask(t, client, "POST", server.URL+"/polls/trip/city")
	for range 10 {
		ask(t, client, "POST", server.URL+"/polls/dinner/pasta")
		ask(t, client, "POST", server.URL+"/polls/trip/city")
		var votes sync.WaitGroup
		votes.Go(func() { ask(t, client, "POST", server.URL+"/polls/dinner/soup") })
		votes.Go(func() { ask(t, client, "POST", server.URL+"/polls/trip/lake") })
		votes.Wait()
		wantPage(t, client, "GET", server.URL+"/polls/dinner", 200, "dinner: soup\n")
		wantPage(t, client, "GET", server.URL+"/polls/trip", 200, "trip: lake\n")
	}
}

func TestUnknownPollsAndChoicesAreNotKept(t *testing.T) {
	server, redis := serve(t)
	client := visitor(t, server)
	wantPage(t, client, "GET", server.URL+"/polls/size", 404, "404 page not found\n")
	wantPage(t, client, "POST", server.URL+"/polls/size/huge", 404, "404 page not found\n")
	wantPage(t, client, "POST", server.URL+"/polls/trip/moon", 404, "404 page not found\n")
	wantPage(t, client, "GET", server.URL+"/polls/trip/lake", 405, "")
	if keys := redis.Keys(); len(keys) != 0 {
		t.Errorf("Redis has %q, want nothing", keys)
	}
}

func TestRouteOutsideTheSubrouterCausesNoCommand(t *testing.T) {
	server, redis := serve(t)
	client := visitor(t, server)
	ask(t, client, "POST", server.URL+"/polls/trip/lake")
	before := redis.CommandCount()
	wantPage(t, client, "GET", server.URL+"/healthz", 200, "ok\n")
	if n := redis.CommandCount() - before; n != 0 {
		t.Errorf("%d commands, want none", n)
	}
}

func TestRequestsOfOtherSitesAreRefused(t *testing.T) {
	server, _ := serve(t)
	client := visitor(t, server)
	ask(t, client, "POST", server.URL+"/polls/trip/lake")
	request, err := http.NewRequestWithContext(t.Context(), "POST", server.URL+"/polls/trip/city", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Sec-Fetch-Site", "cross-site")
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != 403 {
		t.Errorf("status %d, want 403", response.StatusCode)
	}
	wantPage(t, client, "GET", server.URL+"/polls/trip", 200, "trip: lake\n")
}

func TestRedisDown(t *testing.T) {
	server, redis := serve(t)
	client := visitor(t, server)
	ask(t, client, "POST", server.URL+"/polls/trip/lake")
	redis.SetError("LOADING Redis is loading the dataset in memory")
	wantPage(t, client, "GET", server.URL+"/polls/trip", 503, "session unavailable\n")
	wantPage(t, client, "POST", server.URL+"/polls/trip/city", 503, "session unavailable\n")
	redis.SetError("")
	wantPage(t, client, "GET", server.URL+"/polls/trip", 200, "trip: lake\n")
}

// serve runs the routes over HTTPS, as the cookie demands.
func serve(t *testing.T) (*httptest.Server, *miniredis.Miniredis) {
	t.Helper()
	redis := miniredis.RunT(t)
	store, err := redisstore.Open(redis.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	sessions, err := session.New(session.Config{Store: store})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewTLSServer(routes(sessions))
	t.Cleanup(server.Close)
	return server, redis
}

// visitor is a client with a cookie jar of its own.
func visitor(t *testing.T, server *httptest.Server) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := *server.Client()
	client.Jar = jar
	return &client
}

func wantPage(t *testing.T, client *http.Client, method, url string, status int, body string) {
	t.Helper()
	if gotStatus, gotBody := ask(t, client, method, url); gotStatus != status || gotBody != body {
		t.Errorf("%s %s: %d %q, want %d %q", method, url, gotStatus, gotBody, status, body)
	}
}

func ask(t *testing.T, client *http.Client, method, url string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	response, err := client.Do(request)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Error(err)
	}
	return response.StatusCode, string(text)
}
