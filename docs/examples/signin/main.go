// Command signin signs users in and out. Each has a note, which lives in the session.
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"flag"
	"html/template"
	"log"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/redisstore"
)

const (
	notice = session.Key[string]("notice") // is shown once
	note   = session.Key[string]("note")
)

// maxBody is the largest request body, in bytes.
const maxBody = 16 << 10

func routes(sessions *session.Manager, accounts *passwords) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", sessions.HandlerFunc(requireUser(home)))
	mux.Handle("POST /note", sessions.HandlerFunc(requireUser(keepNote)))
	mux.Handle("GET /sign-in", http.HandlerFunc(signInForm))
	mux.Handle("POST /sign-in", sessions.HandlerFunc(signIn(accounts)))
	mux.Handle("POST /sign-out", sessions.HandlerFunc(signOut))

	// Without the protection, another site could sign its visitors in here, or out.
	return http.MaxBytesHandler(http.NewCrossOriginProtection().Handler(mux), maxBody)
}

// A handler is given the session of its request. It is not called if the session cannot be loaded, which is not the same
// as "not signed in".
type handler func(w http.ResponseWriter, r *http.Request, s *session.Session)

// requireUser lets those who are signed in through to next, and sends others to sign in.
func requireUser(next handler) handler {
	return func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		if s.User() == "" {
			http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
			return
		}
		w.Header().Set("Cache-Control", "no-store") // so that the back button shows nothing after the sign-out
		next(w, r, s)
	}
}

func signIn(accounts *passwords) handler {
	return func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		if err := r.ParseForm(); err != nil {
			fail(w, r, "malformed or too large form", http.StatusBadRequest, err)
			return
		}
		name := r.PostForm.Get("name")
		ok, err := accounts.match(name, r.PostForm.Get("password"))
		if err != nil {
			fail(w, r, "sign-in failed", http.StatusInternalServerError, err)
			return
		}
		if !ok {
			w.WriteHeader(http.StatusForbidden)
			render(w, r, view{Notice: "Wrong name or password."})
			return
		}
		err = s.SignIn(session.SignIn{User: name}) // where passwords can change, with a Stamp: see ../devices
		if err == nil {
			err = notice.Set(s, "You are signed in.")
		}
		if err != nil {
			fail(w, r, "session unavailable", http.StatusServiceUnavailable, err)
			return
		}
		http.Redirect(w, r, "/", http.StatusSeeOther)
	}
}

func signOut(w http.ResponseWriter, r *http.Request, s *session.Session) {
	s.Destroy()
	http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
}

func keepNote(w http.ResponseWriter, r *http.Request, s *session.Session) {
	if err := r.ParseForm(); err != nil {
		fail(w, r, "malformed or too large form", http.StatusBadRequest, err)
		return
	}
	err := note.Set(s, r.PostForm.Get("note"))
	if err == nil {
		err = notice.Set(s, "Your note is kept.")
	}
	if err != nil {
		fail(w, r, "note not kept", http.StatusInternalServerError, err)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func home(w http.ResponseWriter, r *http.Request, s *session.Session) {
	v := view{User: s.User()}
	v.Note, _ = note.Get(s)
	v.Notice, _ = notice.Pop(s)
	render(w, r, v)
}

func signInForm(w http.ResponseWriter, r *http.Request) {
	render(w, r, view{})
}

type view struct{ User, Note, Notice string }

var page = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Sign-in</title>
{{with .Notice}}<p role="status">{{.}}</p>{{end}}
{{if .User}}
<h1>{{.User}}</h1>
<form method="post" action="/note"><label>Note <input name="note" value="{{.Note}}"></label> <button>Keep</button></form>
<form method="post" action="/sign-out"><button>Sign out</button></form>
{{else}}
<form method="post" action="/sign-in">
<label>Name <input name="name" autocomplete="username" required></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<button>Sign in</button>
</form>
{{end}}
`))

func render(w http.ResponseWriter, r *http.Request, v view) {
	if err := page.Execute(w, v); err != nil {
		slog.WarnContext(r.Context(), "page not sent", "path", r.URL.Path, "error", err)
	}
}

// fail answers with text. Only the log says why: err may name hosts.
func fail(w http.ResponseWriter, r *http.Request, text string, status int, err error) {
	slog.ErrorContext(r.Context(), text, "path", r.URL.Path, "error", err)
	http.Error(w, text, status)
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
	accounts := newPasswords(recommendedIterations)
	for _, name := range []string{"alice", "bob"} {
		password := rand.Text() // new with every start, so that nobody copies a known one
		if err := accounts.set(name, password); err != nil {
			return err
		}
		log.Printf("sign in as %s with the password %s", name, password)
	}
	server := &http.Server{
		Addr:              "127.0.0.1:8080",
		Handler:           routes(sessions, accounts),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
	}
	log.Printf("listening on %s", server.Addr)
	return server.ListenAndServe()
}
