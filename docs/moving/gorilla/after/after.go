// Package after is the shop of package before with session.
package after

import (
	"fmt"
	"net/http"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/redisstore"
)

const (
	basket  = session.Key[[]string]("basket")
	flashes = session.Key[[]string]("flashes")
)

// Handler serves the shop, with sessions in Redis.
func Handler(pool *redis.Pool) (http.Handler, error) {
	sessions, err := session.New(session.Config{
		Store:       redisstore.New(pool, redisstore.Options{}),
		IdleTimeout: 20 * time.Minute,
	})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", sessions.HandlerFunc(home))
	mux.Handle("POST /add", sessions.HandlerFunc(add))
	mux.Handle("POST /empty", sessions.HandlerFunc(empty))
	mux.Handle("POST /sign-in", sessions.HandlerFunc(signIn))
	mux.Handle("POST /sign-out", sessions.HandlerFunc(signOut))
	return mux, nil
}

func home(w http.ResponseWriter, _ *http.Request, s *session.Session) {
	items, _ := basket.Get(s)
	flash := ""
	if all, _ := flashes.Pop(s); len(all) > 0 {
		flash = all[0]
	}
	fmt.Fprintf(w, "user %q, basket %q, %s", s.User(), items, flash)
}

func add(w http.ResponseWriter, r *http.Request, s *session.Session) {
	item := r.PostFormValue("item")
	err := basket.Update(s, func(items []string) []string { return append(items, item) })
	if err == nil {
		err = flashes.Update(s, func(all []string) []string { return append(all, item+" is in the basket") })
	}
	if err != nil {
		http.Error(w, "not in the basket", http.StatusInternalServerError)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func empty(w http.ResponseWriter, r *http.Request, s *session.Session) {
	if !basket.Has(s) {
		http.Error(w, "nothing to empty", http.StatusConflict)
		return
	}
	basket.Delete(s)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// signIn believes everybody.
func signIn(w http.ResponseWriter, r *http.Request, s *session.Session) {
	in := session.SignIn{User: r.PostFormValue("name")}
	if r.PostFormValue("remember") == "on" {
		in.Class = session.Remembered
	}
	if err := s.SignIn(in); err != nil {
		http.Error(w, "not signed in", http.StatusInternalServerError)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func signOut(w http.ResponseWriter, r *http.Request, s *session.Session) {
	s.Destroy()
	http.Redirect(w, r, "/", http.StatusSeeOther)
}
