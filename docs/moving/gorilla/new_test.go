package gorilla

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
var _ = func(pool *redis.Pool, next http.Handler) (http.Handler, error) {
	store := redisstore.New(pool, redisstore.Options{Prefix: "shop:"})
	sessions, err := session.New(session.Config{
		Store:       store,
		MaxBytes:    1 << 16,
		Lifetime:    12 * time.Hour,
		IdleTimeout: 20 * time.Minute,
		Persistent:  true,
		Cookie: session.Cookie{
			Name:         "session",
			Domain:       "shop.example",
			Path:         "/shop",
			SameSite:     http.SameSiteStrictMode,
			Partitioned:  true,
			InsecureHTTP: true,
		},
	})
	if err != nil {
		return nil, err
	}
	return sessions.Handler(next), nil
}

// Of the values and the users.
var _ = func(r *http.Request) error {
	s, err := session.Load(r.Context())
	if err != nil {
		return err
	}

	const (
		visits  = session.Key[int]("n")
		names   = session.Key[string]("name")
		flashes = session.Key[[]string]("flashes")
	)
	name, ok := names.Get(s)
	err = names.Set(s, "alice")
	names.Delete(s)
	s.Clear()
	counted := visits.Update(s, func(n int) int { return n + 1 })
	flashed := flashes.Update(s, func(all []string) []string { return append(all, "kept") })
	all, _ := flashes.Pop(s)

	in := s.SignIn(session.SignIn{User: "alice"})
	user := s.User()
	remembered := s.SignIn(session.SignIn{User: "alice", Class: session.Remembered})
	renewed := s.Renew()
	s.Destroy()
	fresh := s.ID() == ""
	saved := s.Sync(r.Context())
	id := s.ID()
	log.Print(name, ok, all, user, fresh, id)
	return errors.Join(err, counted, flashed, in, remembered, renewed, saved)
}
