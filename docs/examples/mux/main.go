// Command mux gives sessions to the routes of a subrouter of gorilla/mux: polls, in each of which the session remembers
// the visitor's vote.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/gorilla/mux"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/redisstore"
)

// vote is the visitor's vote in one poll. One key for each poll, rather than one map of all, keeps requests for different
// polls out of each other's way. The prefix keeps the key apart from others, whatever a poll is called.
func vote(poll string) session.Key[string] {
	return session.Key[string]("vote:" + poll)
}

// choices are what one can vote for, by poll.
var choices = map[string][]string{
	"dinner": {"pasta", "soup"},
	"trip":   {"lake", "city"},
}

func routes(sessions *session.Manager) http.Handler {
	r := mux.NewRouter()
	r.HandleFunc("/healthz", healthy).Methods(http.MethodGet)
	polls := r.PathPrefix("/polls").Subrouter()
	polls.Use(http.NewCrossOriginProtection().Handler) // no other site can make a visitor's browser POST
	polls.Handle("/{poll}", sessions.HandlerFunc(showVote)).Methods(http.MethodGet)
	polls.Handle("/{poll}/{choice}", sessions.HandlerFunc(castVote)).Methods(http.MethodPost)
	return r
}

func healthy(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, "ok\n")
}

func showVote(w http.ResponseWriter, r *http.Request, s *session.Session) {
	poll := mux.Vars(r)["poll"]
	if choices[poll] == nil {
		http.NotFound(w, r)
		return
	}
	choice, voted := vote(poll).Get(s)
	if !voted {
		fmt.Fprintf(w, "%s: no vote yet\n", poll)
		return
	}
	fmt.Fprintf(w, "%s: %s\n", poll, choice)
}

func castVote(w http.ResponseWriter, r *http.Request, s *session.Session) {
	poll, choice := mux.Vars(r)["poll"], mux.Vars(r)["choice"]
	if !slices.Contains(choices[poll], choice) { // or the session would hold whatever visitors invent
		http.NotFound(w, r)
		return
	}
	if err := vote(poll).Set(s, choice); err != nil {
		slog.ErrorContext(r.Context(), "vote not kept", "poll", poll, "error", err) // only the log says why: it may name hosts
		http.Error(w, "vote not kept", http.StatusInternalServerError)
		return
	}
	http.Redirect(w, r, "/polls/"+poll, http.StatusSeeOther)
}

func main() {
	insecureHTTP := flag.Bool("insecure-http", false, "send the cookie over plain HTTP too: for development without TLS")
	flag.Parse()
	log.Fatal(run(*insecureHTTP))
}

func run(insecureHTTP bool) error {
	store, err := redisstore.Open(cmp.Or(os.Getenv("REDIS_URL"), "127.0.0.1:6379"), redisstore.Options{})
	if err != nil {
		return err
	}
	defer store.Close()
	if err := store.Ping(context.Background()); err != nil {
		return err
	}
	sessions, err := session.New(session.Config{
		Store:  store,
		Cookie: session.Cookie{InsecureHTTP: insecureHTTP}, // leave this out where TLS is in front
	})
	if err != nil {
		return err
	}
	server := &http.Server{Addr: "127.0.0.1:8080", Handler: routes(sessions), ReadHeaderTimeout: 5 * time.Second}
	log.Printf("listening on %s", server.Addr)
	return server.ListenAndServe()
}
