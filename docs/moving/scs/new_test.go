package scs

import (
	"errors"
	"log"
	"net/http"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/redisstore"
)

// What takes the place of the settings.
var _ = func(pool *redis.Pool, next http.Handler, onError func(http.ResponseWriter, *http.Request, error)) (http.Handler, error) {
	config := session.Config{
		Store:       redisstore.New(pool, redisstore.Options{}),
		Lifetime:    12 * time.Hour,
		IdleTimeout: 20 * time.Minute,
		OnError:     onError,
		Persistent:  true,
		Classes:     map[session.Class]session.Lifetimes{session.Remembered: {Persistent: true}},
		Cookie: session.Cookie{
			Name:         "shop",
			Domain:       "shop.example",
			Path:         "/shop",
			SameSite:     http.SameSiteStrictMode,
			Partitioned:  true,
			InsecureHTTP: true,
		},
	}
	sessions, err := session.New(config)
	if err != nil {
		return nil, err
	}
	return sessions.Handler(next), nil
}

// Of the values.
var _ = func(r *http.Request) error {
	s, err := session.Load(r.Context())
	if err != nil {
		return err
	}

	const (
		visits = session.Key[int]("n")
		times  = session.Key[time.Time]("when")
		names  = session.Key[string]("name")
		items  = session.Key[item]("item")
		nonces = session.Key[string]("nonce")
	)
	err = names.Set(s, "alice")
	item, ok := items.Get(s)
	name, _ := names.Get(s)
	n, _ := visits.Get(s)
	counted := visits.Update(s, func(n int) int { return n + 1 })
	when, _ := times.Get(s)
	message, _ := names.Pop(s)
	nonce, taken := nonces.Take(r.Context(), s)
	has := names.Has(s)
	keys := s.Keys()
	names.Delete(s)
	s.Delete("name")
	s.Clear()
	log.Print(item, ok, name, n, when, message, nonce, has, keys)
	return errors.Join(err, counted, taken)
}

// Of the users.
var _ = func(r *http.Request, sessions *session.Manager, s *session.Session) error {
	in := s.SignIn(session.SignIn{User: "alice"})
	renewed := s.Renew()
	user := s.User()
	remembered := s.SignIn(session.SignIn{User: "alice", Class: session.Remembered})
	s.Destroy()
	deadline := s.Deadline()
	saved := s.Sync(r.Context())
	token, given := s.Token(r.Context())
	ended := sessions.EndAll(r.Context(), "alice", session.ByOperator)
	all, listed := sessions.List(r.Context(), "alice")
	id := s.ID()
	log.Print(user, deadline, token, all, id)
	return errors.Join(in, renewed, remembered, saved, given, ended, listed)
}
