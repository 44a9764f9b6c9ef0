// Package compared has tests alone: what README.md of the repository says of other libraries, tried with them.
package compared

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/scs/redisstore"
	"github.com/alexedwards/scs/v2"
	"github.com/boj/redistore/v2"
	"github.com/gomodule/redigo/redis"
	"github.com/gorilla/sessions"

	"github.com/sessionkv/session"
	ownredisstore "github.com/sessionkv/session/redisstore"
)

// A library is used as its own documentation says. What it does not have is errors.ErrUnsupported.
type library interface {
	wrap(next http.Handler) http.Handler
	get(r *http.Request, name string) (string, error)
	set(w http.ResponseWriter, r *http.Request, name, value string) error
	signIn(w http.ResponseWriter, r *http.Request, user string, remember bool) error
	renew(w http.ResponseWriter, r *http.Request) error
	signOut(w http.ResponseWriter, r *http.Request) error
	signOutEverywhere(ctx context.Context, user string) error
}

const (
	nameSession = "session"
	nameSCS     = "scs v2.9"
	nameGorilla = "gorilla/sessions + redistore"
)

// libraries are named as in the table.
var libraries = map[string]func(t *testing.T, addr string) library{
	nameSession: newSession,
	nameGoFrame: newGoFrame,
	nameSCS:     func(_ *testing.T, addr string) library { return newSCS(addr, 0) },
	nameGorilla: func(t *testing.T, addr string) library { return newGorilla(t, redistore.WithAddress("tcp", addr)) },
}

func newPool(addr string) *redis.Pool {
	return &redis.Pool{MaxIdle: 10, Dial: func() (redis.Conn, error) { return redis.Dial("tcp", addr) }}
}

const cookieName = "session"

type sessionLibrary struct{ *session.Manager }

func newSession(t *testing.T, addr string) library {
	t.Helper()
	store, err := ownredisstore.Open(addr, ownredisstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	manager, err := session.New(session.Config{Store: store, Cookie: session.Cookie{InsecureHTTP: true, Name: cookieName}})
	if err != nil {
		t.Fatal(err)
	}
	return sessionLibrary{manager}
}

func (l sessionLibrary) wrap(next http.Handler) http.Handler { return l.Handler(next) }

func (l sessionLibrary) get(r *http.Request, name string) (string, error) {
	s, err := session.Load(r.Context())
	if err != nil {
		return "", err
	}
	if name == userName {
		return s.User(), nil
	}
	value, _ := session.Key[string](name).Get(s)
	return value, nil
}

func (l sessionLibrary) set(_ http.ResponseWriter, r *http.Request, name, value string) error {
	s, err := session.Load(r.Context())
	if err != nil {
		return err
	}
	return s.Set(name, value)
}

func (l sessionLibrary) signIn(_ http.ResponseWriter, r *http.Request, user string, remember bool) error {
	s, err := session.Load(r.Context())
	if err != nil {
		return err
	}
	in := session.SignIn{User: user, Stamp: session.Stamp(r.Header.Get(stampHeader))}
	if remember {
		in.Class = session.Remembered
	}
	return s.SignIn(in)
}

func (l sessionLibrary) renew(_ http.ResponseWriter, r *http.Request) error {
	s, err := session.Load(r.Context())
	if err != nil {
		return err
	}
	return s.Renew()
}

func (l sessionLibrary) signOut(_ http.ResponseWriter, r *http.Request) error {
	s, err := session.Load(r.Context())
	if err != nil {
		return err
	}
	s.Destroy()
	return nil
}

func (l sessionLibrary) signOutEverywhere(ctx context.Context, user string) error {
	return l.EndAll(ctx, user, session.ByUser)
}

type scsLibrary struct{ *scs.SessionManager }

func newSCS(addr string, idleTimeout time.Duration) library {
	manager := scs.New()
	manager.Store = redisstore.New(newPool(addr))
	manager.IdleTimeout = idleTimeout
	manager.Cookie.Persist = false
	return scsLibrary{manager}
}

func (l scsLibrary) wrap(next http.Handler) http.Handler { return l.LoadAndSave(next) }

func (l scsLibrary) get(r *http.Request, name string) (string, error) {
	return l.GetString(r.Context(), name), nil
}

func (l scsLibrary) set(_ http.ResponseWriter, r *http.Request, name, value string) error {
	l.Put(r.Context(), name, value)
	return nil
}

func (l scsLibrary) signIn(_ http.ResponseWriter, r *http.Request, user string, remember bool) error {
	if err := l.RenewToken(r.Context()); err != nil {
		return err
	}
	l.Put(r.Context(), userName, user)
	l.RememberMe(r.Context(), remember)
	if remember {
		l.SetDeadline(r.Context(), time.Now().Add(month))
	}
	return nil
}

func (l scsLibrary) renew(_ http.ResponseWriter, r *http.Request) error {
	return l.RenewToken(r.Context())
}

func (l scsLibrary) signOut(_ http.ResponseWriter, r *http.Request) error {
	return l.Destroy(r.Context())
}

func (l scsLibrary) signOutEverywhere(ctx context.Context, user string) error {
	return l.Iterate(ctx, func(ctx context.Context) error {
		if l.GetString(ctx, userName) != user {
			return nil
		}
		return l.Destroy(ctx)
	})
}

func (l scsLibrary) list(ctx context.Context, user string) (users []string, err error) {
	err = l.Iterate(ctx, func(ctx context.Context) error {
		if name := l.GetString(ctx, userName); name == user {
			users = append(users, name)
		}
		return nil
	})
	return users, err
}

type gorillaLibrary struct{ *redistore.RediStore }

func newGorilla(t *testing.T, connect redistore.Option) library {
	t.Helper()
	store, err := redistore.NewStore(redistore.KeysFromStrings(strings.Repeat("k", 32)), connect, redistore.WithMaxAge(0))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return gorillaLibrary{store}
}

func (l gorillaLibrary) wrap(next http.Handler) http.Handler { return next }

func (l gorillaLibrary) get(r *http.Request, name string) (string, error) {
	s, err := l.Get(r, cookieName)
	if err != nil {
		return "", err
	}
	value, _ := s.Values[name].(string)
	return value, nil
}

func (l gorillaLibrary) change(w http.ResponseWriter, r *http.Request, change func(*sessions.Session)) error {
	s, err := l.Get(r, cookieName)
	if err != nil {
		return err
	}
	change(s)
	return s.Save(r, w)
}

func (l gorillaLibrary) set(w http.ResponseWriter, r *http.Request, name, value string) error {
	return l.change(w, r, func(s *sessions.Session) { s.Values[name] = value })
}

func (l gorillaLibrary) signIn(w http.ResponseWriter, r *http.Request, user string, remember bool) error {
	return l.change(w, r, func(s *sessions.Session) {
		s.Values[userName] = user
		if remember {
			s.Options.MaxAge = int(month.Seconds())
		}
	})
}

func (l gorillaLibrary) renew(http.ResponseWriter, *http.Request) error { return errors.ErrUnsupported }

func (l gorillaLibrary) signOut(w http.ResponseWriter, r *http.Request) error {
	return l.change(w, r, func(s *sessions.Session) { s.Options.MaxAge = -1 })
}

func (l gorillaLibrary) signOutEverywhere(context.Context, string) error {
	return errors.ErrUnsupported
}
