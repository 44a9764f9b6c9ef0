package main

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/sessionkv/session"
)

// A grant is what the app keeps, where nothing else can read it.
type grant struct {
	Token   string    `json:"token"`
	Expires time.Time `json:"expires"`
}

// An entry is one session of a user.
type entry struct {
	ID       string    `json:"id"`
	User     string    `json:"user"`
	Device   string    `json:"device"`
	SignedIn time.Time `json:"signed_in"`
	Current  bool      `json:"current"` // that of the request
}

func describe(s, current *session.Session) entry {
	name, _ := device.Get(s)
	return entry{s.ID(), s.User(), name, s.SignedIn().UTC().Truncate(time.Second), s.ID() == current.ID()}
}

type failure struct {
	Error string `json:"error"`
	Ended string `json:"ended,omitempty"` // why somebody has ended the session
}

// unavailable answers a request whose session could not be loaded or saved. Only the log says why: err may name hosts.
func unavailable(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, session.ErrRenewed) {
		w.Header().Set("Retry-After", "1")
		refuse(w, r, http.StatusServiceUnavailable, "ask again with the new token")
		return
	}
	slog.ErrorContext(r.Context(), "session unavailable", "path", r.URL.Path, "error", err)
	refuse(w, r, http.StatusServiceUnavailable, "try again later")
}

func unauthorized(w http.ResponseWriter, r *http.Request, s *session.Session) {
	answer(w, r, http.StatusUnauthorized, failure{"not signed in", s.Ended().String()})
}

func refuse(w http.ResponseWriter, r *http.Request, status int, why string) {
	answer(w, r, status, failure{Error: why})
}

func answer(w http.ResponseWriter, r *http.Request, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store") // the app's own cache, too, keeps nothing of a user
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		slog.WarnContext(r.Context(), "answer not sent", "path", r.URL.Path, "error", err)
	}
}
