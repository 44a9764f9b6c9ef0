package main

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/sessionkv/session/redisstore"
)

// backend is the Redis that keeps the sessions.
type backend struct {
	store *redisstore.Store
	place string // for people, without a password
	cli   string // the redis-cli that leads to it, without a password
	close func()
}

// open returns the backend that rawURL names, embedded if that is empty.
func open(rawURL string) (*backend, error) {
	if rawURL == "" {
		return openEmbedded()
	}
	store, err := redisstore.Open(rawURL, redisstore.Options{})
	if err != nil {
		return nil, usageError{fmt.Errorf("-redis: %w", err)}
	}
	address, cli := describe(rawURL)
	return &backend{
		store: store,
		place: "Redis on " + address + ", they survive a restart of this program",
		cli:   cli,
		close: func() { _ = store.Close() },
	}, nil
}

// describe returns the address in a URL that redisstore has accepted, and the redis-cli that leads there. Neither shows
// the password: redis-cli asks for it.
func describe(rawURL string) (address, cli string) {
	if !strings.Contains(rawURL, "://") {
		rawURL = "redis://" + rawURL
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		return "the address given", "redis-cli"
	}
	var words []string
	database := strings.TrimPrefix(u.Path, "/")
	if u.Scheme == "unix" {
		address, database = u.Path, u.Query().Get("db")
		words = append(words, "-s", u.Path)
	} else {
		host, port := u.Hostname(), u.Port()
		if host == "" {
			host = "localhost"
		}
		if port == "" {
			port = "6379"
		}
		address = net.JoinHostPort(host, port)
		if host != "localhost" && host != "127.0.0.1" { // where redis-cli looks by itself
			words = append(words, "-h", host)
		}
		words = append(words, "-p", port)
	}
	if u.Scheme == "rediss" || u.Scheme == "valkeys" {
		words = append(words, "--tls")
	}
	if database != "" && database != "0" {
		address += ", database " + database
		words = append(words, "-n", database)
	}
	if u.User != nil {
		// redis://word@host: the word is the password, not a user.
		if _, ok := u.User.Password(); ok && u.User.Username() != "" {
			words = append(words, "--user", u.User.Username())
		}
		words = append(words, "--askpass")
	}
	return address, "redis-cli " + strings.Join(words, " ")
}

// openEmbedded starts a Redis inside this program. It listens, so that redis-cli reaches it too.
func openEmbedded() (*backend, error) {
	server := miniredis.NewMiniRedis()
	if err := server.StartAddr("127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("embedded Redis: %w", err)
	}
	// Miniredis makes an interpreter for each script, which takes longer than the saves that a page does at once may take.
	store, err := redisstore.Open(server.Addr(), redisstore.Options{NoScripts: true})
	if err != nil {
		server.Close()
		return nil, fmt.Errorf("embedded Redis: %w", err)
	}
	stopTime := passTime(server)
	return &backend{
		store: store,
		place: "embedded Redis on " + server.Addr() + ", gone when this program ends",
		cli:   "redis-cli -p " + server.Port(),
		close: func() {
			_ = store.Close()
			stopTime()
			server.Close()
		},
	}, nil
}

// passTime lets time pass in server, where it does not pass by itself, so that keys expire. They expire at most a tick
// late. The function that it returns ends that.
func passTime(server *miniredis.Miniredis) (stop func()) {
	const tick = 100 * time.Millisecond
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(tick)
		defer ticker.Stop()
		last := time.Now()
		for {
			select {
			case <-quit:
				return
			case <-ticker.C:
				// What has passed, not the tick: a ticker leaves out ticks when the machine is busy.
				now := time.Now()
				server.FastForward(now.Sub(last))
				last = now
			}
		}
	}()
	return func() { close(quit); <-done }
}
