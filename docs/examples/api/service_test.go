package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sessionkv/session/memstore"
)

// secrets are the users' passwords.
var secrets = map[string]string{"alice": "wonderland", "bob": "builder"}

// A store is one in memory that calls a function before the next session begins.
type store struct {
	memstore.Store
	beginning chan func() error
}

func (s *store) Save(ctx context.Context, id string, was, value []byte, ttl time.Duration) ([]byte, error) {
	if was == nil {
		select {
		case f := <-s.beginning:
			if err := f(); err != nil {
				return nil, err
			}
		default:
		}
	}
	return s.Store.Save(ctx, id, was, value, ttl)
}

// A service is the example and its store.
type service struct {
	t     *testing.T
	app   *app
	store *store
	url   string
}

func newService(t *testing.T) *service {
	t.Helper()
	accounts := newPasswords(1)
	for name, password := range secrets {
		if err := accounts.set(name, password); err != nil {
			t.Fatal(err)
		}
	}
	store := &store{beginning: make(chan func() error, 1)}
	app, err := newApp(store, accounts)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(app.routes())
	t.Cleanup(server.Close)
	return &service{t, app, store, server.URL}
}

// A phone keeps the token that it last got.
type phone struct {
	t       *testing.T
	url     string
	token   string
	expires time.Time
	last    got
}

func (s *service) phone() *phone { return &phone{t: s.t, url: s.url} }

// got is an answer of any route.
type got struct {
	status int
	header http.Header
	body   string
	grant
	entry
	failure
}

func (p *phone) signIn(name string, status int) {
	p.t.Helper()
	body := fmt.Sprintf(`{"name":%q,"password":%q,"device":"phone"}`, name, secrets[name])
	if got := p.do("POST", "/sign-in", body); got.status != status {
		p.t.Errorf("POST /sign-in: %d %s, want %d", got.status, got.body, status)
	}
}

// want sends a request without a body, and wants the answer to have this status.
func (p *phone) want(method, path string, status int) got {
	p.t.Helper()
	got := p.do(method, path, "")
	if got.status != status {
		p.t.Errorf("%s %s: %d %s, want %d", method, path, got.status, got.body, status)
	}
	return got
}

func (p *phone) do(method, path, body string) got {
	p.t.Helper()
	request, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	if p.token != "" {
		request.Header.Set("Authorization", "Bearer "+p.token)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	got := got{status: response.StatusCode, header: response.Header, body: string(text)}
	if strings.HasPrefix(got.body, "{") {
		if err := json.Unmarshal(text, &got); err != nil {
			p.t.Fatal(err)
		}
	}
	if got.Token != "" {
		p.token, p.expires = got.Token, got.Expires
	}
	p.last = got
	return got
}
