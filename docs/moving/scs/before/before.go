// Package before is a small shop with scs.
package before

import (
	"fmt"
	"net/http"
	"time"

	"github.com/alexedwards/scs/redisstore"
	"github.com/alexedwards/scs/v2"
	"github.com/gomodule/redigo/redis"
)

type shop struct{ sessions *scs.SessionManager }

// Handler serves the shop, with sessions in Redis.
func Handler(pool *redis.Pool) (http.Handler, error) {
	sessions := scs.New()
	sessions.Store = redisstore.New(pool)
	sessions.Lifetime = 12 * time.Hour
	sessions.IdleTimeout = 20 * time.Minute
	sessions.Cookie.Secure = true
	sessions.Cookie.Persist = false

	s := shop{sessions}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.home)
	mux.HandleFunc("POST /add", s.add)
	mux.HandleFunc("POST /empty", s.empty)
	mux.HandleFunc("POST /sign-in", s.signIn)
	mux.HandleFunc("POST /sign-out", s.signOut)
	return sessions.LoadAndSave(mux), nil
}

func (s shop) home(w http.ResponseWriter, r *http.Request) {
	user := s.sessions.GetString(r.Context(), "user")
	basket, _ := s.sessions.Get(r.Context(), "basket").([]string)
	flash := s.sessions.PopString(r.Context(), "flash")
	fmt.Fprintf(w, "user %q, basket %q, %s", user, basket, flash)
}

func (s shop) add(w http.ResponseWriter, r *http.Request) {
	item := r.PostFormValue("item")
	basket, _ := s.sessions.Get(r.Context(), "basket").([]string)
	s.sessions.Put(r.Context(), "basket", append(basket, item))
	s.sessions.Put(r.Context(), "flash", item+" is in the basket")
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (s shop) empty(w http.ResponseWriter, r *http.Request) {
	if !s.sessions.Exists(r.Context(), "basket") {
		http.Error(w, "nothing to empty", http.StatusConflict)
		return
	}
	s.sessions.Remove(r.Context(), "basket")
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// signIn believes everybody.
func (s shop) signIn(w http.ResponseWriter, r *http.Request) {
	if err := s.sessions.RenewToken(r.Context()); err != nil {
		http.Error(w, "not signed in", http.StatusInternalServerError)
		return
	}
	s.sessions.Put(r.Context(), "user", r.PostFormValue("name"))
	s.sessions.RememberMe(r.Context(), r.PostFormValue("remember") == "on")
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (s shop) signOut(w http.ResponseWriter, r *http.Request) {
	if err := s.sessions.Destroy(r.Context()); err != nil {
		http.Error(w, "not signed out", http.StatusInternalServerError)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}
