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

func TestCartFollowsItsVisitor(t *testing.T) {
	server, _ := serve(t)
	alice, bob := visitor(t, server), visitor(t, server)
	wantPage(t, alice, "POST", server.URL+"/cart/plum", 200, "0 apple\n0 pear\n1 plum\n")
	wantPage(t, alice, "POST", server.URL+"/cart/plum", 200, "0 apple\n0 pear\n2 plum\n")
	wantPage(t, bob, "POST", server.URL+"/cart/pear", 200, "0 apple\n1 pear\n0 plum\n")
	wantPage(t, alice, "GET", server.URL+"/cart", 200, "0 apple\n0 pear\n2 plum\n")
	wantPage(t, alice, "POST", server.URL+"/cart/_rev", 404, "404 page not found\n")
}

func TestSimultaneousRequestsLoseNothing(t *testing.T) {
	server, _ := serve(t)
	client := visitor(t, server)
	wantPage(t, client, "POST", server.URL+"/cart/apple", 200, "1 apple\n0 pear\n0 plum\n")
	var clicks sync.WaitGroup
	for range 20 {
		clicks.Go(func() { ask(t, client, "POST", server.URL+"/cart/pear") })
	}
	clicks.Wait()
	wantPage(t, client, "GET", server.URL+"/cart", 200, "1 apple\n20 pear\n0 plum\n")
}

func TestRouteOutsideTheGroupCausesNoCommand(t *testing.T) {
	server, redis := serve(t)
	client := visitor(t, server)
	ask(t, client, "POST", server.URL+"/cart/apple")
	before := redis.CommandCount()
	wantPage(t, client, "GET", server.URL+"/healthz", 200, "ok\n")
	wantPage(t, client, "GET", server.URL+"/nowhere", 404, "404 page not found\n")
	wantPage(t, visitor(t, server), "GET", server.URL+"/cart", 200, "0 apple\n0 pear\n0 plum\n") // inside, but without a cookie
	if n := redis.CommandCount() - before; n != 0 {
		t.Errorf("%d commands, want none", n)
	}
	wantPage(t, client, "GET", server.URL+"/cart", 200, "1 apple\n0 pear\n0 plum\n")
	if n := redis.CommandCount() - before; n != 1 {
		t.Errorf("%d commands for the page that shows the session, want 1", n)
	}
}

func TestRequestsOfOtherSitesAreRefused(t *testing.T) {
	server, _ := serve(t)
	client := visitor(t, server)
	ask(t, client, "POST", server.URL+"/cart/apple")
	request, err := http.NewRequestWithContext(t.Context(), "POST", server.URL+"/cart/plum", nil)
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
	wantPage(t, client, "GET", server.URL+"/cart", 200, "1 apple\n0 pear\n0 plum\n")
}

func TestRedisDown(t *testing.T) {
	server, redis := serve(t)
	client := visitor(t, server)
	ask(t, client, "POST", server.URL+"/cart/apple")
	redis.SetError("LOADING Redis is loading the dataset in memory")
	wantPage(t, client, "GET", server.URL+"/cart", 503, "session unavailable\n")
	wantPage(t, client, "POST", server.URL+"/cart/apple", 503, "session unavailable\n")
	wantPage(t, client, "GET", server.URL+"/healthz", 200, "ok\n")
	redis.SetError("")
	wantPage(t, client, "GET", server.URL+"/cart", 200, "1 apple\n0 pear\n0 plum\n")
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
