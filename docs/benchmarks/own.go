package main

import (
	"crypto/rand"
	"errors"
	"net/http"

	"github.com/sessionkv/session"
	ownredisstore "github.com/sessionkv/session/redisstore"
)

type sessionLibrary struct{ manager *session.Manager }

func openSession(a address) (sessionLibrary, error) {
	store, err := ownredisstore.Open(a.url(), ownredisstore.Options{})
	if err != nil {
		return sessionLibrary{}, err
	}
	manager, err := session.New(session.Config{
		Store:    store,
		Cookie:   session.Cookie{InsecureHTTP: true},
		MaxBytes: 32 << 20,
	})
	return sessionLibrary{manager}, err
}

const visitsKey = session.Key[int](visitsName)

func (l sessionLibrary) wrap(next http.Handler) http.Handler { return l.manager.Handler(next) }

func (l sessionLibrary) begin(_ http.ResponseWriter, r *http.Request, members []member) error {
	s, err := session.Load(r.Context())
	if err != nil {
		return err
	}
	for _, m := range members {
		if err := s.Set(m.name, m.value); err != nil {
			return err
		}
	}
	return nil
}

func (l sessionLibrary) read(r *http.Request) (int, error) {
	s, err := session.Load(r.Context())
	if err != nil {
		return 0, err
	}
	n, ok := visitsKey.Get(s)
	return n, found(ok)
}

func (l sessionLibrary) write(_ http.ResponseWriter, r *http.Request) (n int, err error) {
	s, err := session.Load(r.Context())
	if err != nil {
		return 0, err
	}
	err = visitsKey.Update(s, func(old int) int {
		n = old + 1
		return n
	})
	return n, err
}

func (l sessionLibrary) end(_ http.ResponseWriter, r *http.Request) error {
	s, err := session.Load(r.Context())
	if err != nil {
		return err
	}
	s.Destroy()
	return nil
}

// A userLibrary is a sessionLibrary whose sessions belong to a user each.
type userLibrary struct{ sessionLibrary }

func (l userLibrary) begin(w http.ResponseWriter, r *http.Request, members []member) error {
	s, err := session.Load(r.Context())
	if err != nil {
		return err
	}
	return errors.Join(s.SignIn(session.SignIn{User: rand.Text()}), l.sessionLibrary.begin(w, r, members))
}
