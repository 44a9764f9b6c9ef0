// Command api is a JSON API for a mobile app, which signs in with a password and keeps its token itself.
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/redisstore"
)

const device = session.Key[string]("device") // that signed in, by the name that the app has sent

// maxBody is the largest request body, in bytes.
const maxBody = 16 << 10

type app struct {
	sessions *session.Manager
	accounts *passwords
}

func newApp(store driver.Store, accounts *passwords) (*app, error) {
	sessions, err := session.New(session.Config{
		Store:           store,
		Bearer:          true,
		SessionsPerUser: 5,
		RefuseMore:      true,
		OnError:         unavailable,
	})
	return &app{sessions, accounts}, err
}

// routes needs no protection from requests of other sites: a browser adds no Authorization header by itself.
func (a *app) routes() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, h handler) { mux.Handle(pattern, a.sessions.HandlerFunc(h)) }
	handle("POST /sign-in", a.signIn)
	handle("GET /me", forUsers(me))
	handle("POST /renew", forUsers(renew))
	handle("GET /sessions", forUsers(a.list))
	handle("POST /sign-out", signOut)
	handle("POST /sign-out-everywhere", forUsers(a.signOutEverywhere))
	return http.MaxBytesHandler(mux, maxBody)
}

// A handler is given the session of its request. It is not called if the session cannot be loaded, which is not the same
// as "not signed in".
type handler func(w http.ResponseWriter, r *http.Request, s *session.Session)

// forUsers lets those who are signed in through to next. The others get WWW-Authenticate too, as every 401 does.
func forUsers(next handler) handler {
	return func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		if s.User() == "" {
			unauthorized(w, r, s)
			return
		}
		next(w, r, s)
	}
}

func (a *app) signIn(w http.ResponseWriter, r *http.Request, s *session.Session) {
	var in struct{ Name, Password, Device string }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		refuse(w, r, http.StatusBadRequest, "malformed or too large body")
		return
	}
	// The stamp comes before the password is looked at. If that is changed in the meantime, the sign-in is refused.
	stamp, err := a.sessions.Stamp(r.Context(), a.accounts.known(in.Name))
	if err != nil {
		unavailable(w, r, err)
		return
	}
	ok, err := a.accounts.match(in.Name, in.Password)
	if err != nil {
		unavailable(w, r, err)
		return
	}
	if !ok {
		refuse(w, r, http.StatusForbidden, "wrong name or password")
		return
	}
	err = s.SignIn(session.SignIn{User: in.Name, Stamp: stamp})
	if err == nil {
		err = device.Set(s, in.Device)
	}
	handOver(w, r, s, err)
}

func renew(w http.ResponseWriter, r *http.Request, s *session.Session) {
	handOver(w, r, s, s.Renew())
}

// handOver saves the session, unless there was an error before, and answers with its new token.
func handOver(w http.ResponseWriter, r *http.Request, s *session.Session, err error) {
	var token string
	if err == nil {
		token, err = s.Token(r.Context())
	}
	switch {
	case errors.Is(err, session.ErrLimit):
		refuse(w, r, http.StatusConflict, "signed in on too many devices")
	case errors.Is(err, session.ErrRevoked):
		refuse(w, r, http.StatusForbidden, "the password was changed, or all devices were signed out")
	case errors.Is(err, session.ErrEnded):
		unauthorized(w, r, s)
	case err != nil:
		s.Discard() // so that no session begins whose token nobody has
		unavailable(w, r, err)
	default:
		answer(w, r, http.StatusOK, grant{token, s.Deadline().UTC()})
	}
}

func me(w http.ResponseWriter, r *http.Request, s *session.Session) {
	answer(w, r, http.StatusOK, describe(s, s))
}

func (a *app) list(w http.ResponseWriter, r *http.Request, s *session.Session) {
	sessions, err := a.sessions.List(r.Context(), s.User())
	if err != nil {
		unavailable(w, r, err)
		return
	}
	entries := make([]entry, len(sessions))
	for i := range sessions {
		entries[i] = describe(sessions[i], s)
	}
	answer(w, r, http.StatusOK, entries)
}

func signOut(w http.ResponseWriter, _ *http.Request, s *session.Session) {
	s.Destroy()
	w.WriteHeader(http.StatusNoContent)
}

func (a *app) signOutEverywhere(w http.ResponseWriter, r *http.Request, s *session.Session) {
	if err := a.sessions.EndAll(r.Context(), s.User(), session.ByUser); err != nil {
		unavailable(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "listen on this address, behind something that speaks TLS")
	flag.Parse()
	log.Fatal(run(*addr))
}

func run(addr string) error {
	store, err := redisstore.Open(cmp.Or(os.Getenv("REDIS_URL"), "127.0.0.1:6379"), redisstore.Options{})
	if err != nil {
		return err
	}
	defer store.Close()
	if err := store.Ping(context.Background()); err != nil {
		return err
	}
	accounts := newPasswords(recommendedIterations)
	password := rand.Text() // new with every start, so that nobody copies a known one
	if err := accounts.set("alice", password); err != nil {
		return err
	}
	log.Printf("sign in as alice with the password %s", password)
	a, err := newApp(store, accounts)
	if err != nil {
		return err
	}
	server := &http.Server{Addr: addr, Handler: a.routes(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second}
	log.Printf("listening on %s", server.Addr)
	return server.ListenAndServe()
}
