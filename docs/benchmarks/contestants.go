package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/boj/redistore/v2"
	"github.com/gomodule/redigo/redis"
)

// An address is where Redis listens.
type address struct {
	network string // "tcp" or "unix"
	address string
}

func (a address) url() string {
	if a.network == "unix" {
		return "unix://" + a.address
	}
	return "redis://" + a.address
}

// A library keeps sessions in one of the ways that are compared. Its methods are called by the handler of a request, and may
// set headers.
type library interface {
	// begin makes a new session that has these members.
	begin(w http.ResponseWriter, r *http.Request, members []member) error
	// read returns the visits.
	read(r *http.Request) (int, error)
	// write adds one to the visits and returns them.
	write(w http.ResponseWriter, r *http.Request) (int, error)
	// end destroys the session.
	end(w http.ResponseWriter, r *http.Request) error
	// wrap puts the library's middleware around the handler, if it has one.
	wrap(http.Handler) http.Handler
}

// A contestant is a library in one configuration.
type contestant struct {
	name  string
	kind  kind
	about string // for the report: how it is configured
	open  func(address) (library, error)
}

// A kind says what a contestant is compared for.
type kind int

const (
	bare  kind = iota // has no session
	floor             // what a user would write by hand
	own               // this repository
	rival
)

const (
	nameBare    = "bare"
	nameRedigo  = "redigo floor"
	nameRueidis = "rueidis floor"
	nameGoRedis = "go-redis floor"
	nameSession = "session"
	nameUser    = "session user"
)

// contestants are in the order in which they take their turns.
var contestants = []contestant{
	{
		name:  nameBare,
		kind:  bare,
		about: "net/http and a handler, without any session.",
		open:  func(address) (library, error) { return bareLibrary{writes: new(atomic.Int64)}, nil },
	},
	{
		name: nameRedigo,
		kind: floor,
		about: "What is left when the library is taken away: the same handler that itself does one `GETEX` through a redigo pool of 64 and does not decode the " +
			"value. To write, it patches the number in place and does one blind `SET`, which loses updates.",
		open: func(a address) (library, error) { return floorLibrary{client: redigoFloor{newPool(a)}}, nil },
	},
	{
		name: nameRueidis,
		kind: floor,
		about: "The same through rueidis v1.0.79, which by itself sends in one flush what is called at the same time, on 4 connections; without its cache, as a " +
			"`GETEX` is not cached.",
		open: newRueidisFloor,
	},
	{
		name:  nameGoRedis,
		kind:  floor,
		about: "The same through go-redis v9.22.0 with a `PoolSize` of 64.",
		open:  newGoRedisFloor,
	},
	{
		name: nameSession,
		kind: own,
		about: "This repository, `redisstore.Open(url, redisstore.Options{})` and `session.Config{Store: store}` as in its README; `Cookie.InsecureHTTP`, as there is no TLS here, and a " +
			"`MaxBytes` of 32 MiB for the large values.",
		open: func(a address) (library, error) { return openSession(a) },
	},
	{
		name:  nameUser,
		kind:  own,
		about: "The same, in a session that `SignIn` has given a user of its own: each load asks the list of that user too.",
		open: func(a address) (library, error) {
			library, err := openSession(a)
			return userLibrary{library}, err
		},
	},
	{
		name:  "scs",
		kind:  rival,
		about: "alexedwards/scs v2.9.0 with its redisstore on the pool of 64, `scs.New()` as in its README: gob, no IdleTimeout.",
		open: func(a address) (library, error) {
			return newSCS(a, func(*scs.SessionManager) {}), nil
		},
	},
	{
		name:  "scs JSON",
		kind:  rival,
		about: "The same with a `Codec` of encoding/json in place of gob.",
		open: func(a address) (library, error) {
			return newSCS(a, func(m *scs.SessionManager) { m.Codec = jsonCodec{} }), nil
		},
	},
	{
		name:  "scs idle",
		kind:  rival,
		about: "scs with gob and an `IdleTimeout` of 20 minutes, as in its README. This is what session always has: a session that is in use lives on.",
		open: func(a address) (library, error) {
			return newSCS(a, func(m *scs.SessionManager) { m.IdleTimeout = 20 * time.Minute }), nil
		},
	},
	{
		name: "gorilla",
		kind: rival,
		about: "gorilla/sessions v1.4.0 with boj/redistore v2.0.1, `WithPool` of the pool of 64 as under \"Using a Custom Pool\" in its README, gob, " +
			"`WithMaxLength(0)` as its limit is 4096 bytes. (With the pool that redistore makes itself there is a `PING` before every command.)",
		open: func(a address) (library, error) { return newGorilla(a, redistore.GobSerializer{}) },
	},
	{
		name:  "gorilla JSON",
		kind:  rival,
		about: "The same with redistore's `JSONSerializer`.",
		open:  func(a address) (library, error) { return newGorilla(a, redistore.JSONSerializer{}) },
	},
}

func contestantNamed(name string) (contestant, error) {
	if found := contestantsNamed(name); len(found) == 1 {
		return found[0], nil
	}
	return contestant{}, fmt.Errorf("no contestant %q", name)
}

// contestantsNamed are those of these names, in the order of their turns.
func contestantsNamed(names ...string) []contestant {
	return slices.DeleteFunc(slices.Concat(contestants, largeContestants), func(c contestant) bool {
		return !slices.Contains(names, c.name)
	})
}

// poolSize is how many connections a pool has: that of go-redis, and that of redigo, on which the rivals are.
const poolSize = 64

// newPool returns a pool of redigo, where a call waits for a connection if all are taken. Without that limit redigo would
// dial for each further call, and throw the connection away after it.
func newPool(a address) *redis.Pool {
	return &redis.Pool{
		MaxIdle:     poolSize,
		MaxActive:   poolSize,
		Wait:        true,
		IdleTimeout: 4 * time.Minute,
		Dial:        func() (redis.Conn, error) { return redis.Dial(a.network, a.address) },
	}
}

// cookieName is that of every contestant.
const cookieName = "session"

// newToken sets a cookie as long as that of session and scs.
func newToken(w http.ResponseWriter) string {
	token := (rand.Text() + rand.Text())[:43]
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: token, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	return token
}

var errNoVisits = errors.New("the session has no visits")

func found(ok bool) error {
	if !ok {
		return errNoVisits
	}
	return nil
}
