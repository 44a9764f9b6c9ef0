// Command single is a service of one process with its sessions in a file: they are there after a restart, without Redis.
// It signs a user in and counts how often the user was here.
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/boltstore"
)

const visits = session.Key[int]("visits")

// name is the only user. An application has many, with hashed passwords: see the example signin.
const name = "alice"

func routes(sessions *session.Manager, password string) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", sessions.HandlerFunc(count))
	mux.Handle("POST /sign-in", sessions.HandlerFunc(signIn(password)))
	mux.Handle("POST /sign-out", sessions.HandlerFunc(signOut))
	return http.MaxBytesHandler(http.NewCrossOriginProtection().Handler(mux), 16<<10)
}

func count(w http.ResponseWriter, r *http.Request, s *session.Session) {
	if s.User() == "" {
		fmt.Fprintln(w, "nobody is signed in")
		return
	}
	if err := visits.Update(s, func(n int) int { return n + 1 }); err != nil {
		fail(w, r, err)
		return
	}
	n, _ := visits.Get(s)
	fmt.Fprintf(w, "%s, visit %d\n", s.User(), n)
}

func signIn(password string) func(http.ResponseWriter, *http.Request, *session.Session) {
	want := sha256.Sum256([]byte(password))
	return func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		got := sha256.Sum256([]byte(r.PostFormValue("password")))
		if r.PostFormValue("name") != name || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			http.Error(w, "wrong name or password", http.StatusForbidden)
			return
		}
		if err := s.SignIn(session.SignIn{User: name}); err != nil {
			fail(w, r, err)
			return
		}
		http.Redirect(w, r, "/", http.StatusSeeOther)
	}
}

func signOut(w http.ResponseWriter, r *http.Request, s *session.Session) {
	s.Destroy()
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// fail keeps to itself what only the log is to say.
func fail(w http.ResponseWriter, r *http.Request, err error) {
	slog.ErrorContext(r.Context(), "session unavailable", "path", r.URL.Path, "error", err)
	http.Error(w, "session unavailable", http.StatusServiceUnavailable)
}

func main() {
	insecureHTTP := flag.Bool("insecure-http", false, "send the cookie over plain HTTP too: for development without TLS")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, cmp.Or(os.Getenv("SESSIONS"), "sessions.db"), *insecureHTTP); err != nil {
		log.Fatal(err)
	}
}

// run serves until ctx is done. Then it closes the store, which writes how long the sessions that were only read have
// to live.
func run(ctx context.Context, path string, insecureHTTP bool) (err error) {
	store, err := boltstore.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	sessions, err := session.New(session.Config{
		Store:  store,
		Cookie: session.Cookie{InsecureHTTP: insecureHTTP}, // leave this out where TLS is in front
	})
	if err != nil {
		return err
	}
	password := rand.Text() // new with every start, so that nobody copies a known one
	log.Printf("sign in as %s with the password %s", name, password)
	server := &http.Server{
		Addr:              "127.0.0.1:8080",
		Handler:           routes(sessions, password),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
	}
	return serve(ctx, server)
}

// serve ends when ctx is done and the requests of that moment are answered.
func serve(ctx context.Context, server *http.Server) error {
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	log.Printf("listening on %s", server.Addr)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return server.Shutdown(ending)
}
