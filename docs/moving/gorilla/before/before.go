// Package before is a small shop with gorilla/sessions and redistore.
package before

import (
	"fmt"
	"net/http"

	"github.com/boj/redistore/v2"
	"github.com/gomodule/redigo/redis"
	"github.com/gorilla/sessions"
)

const month = 30 * 24 * 60 * 60

type shop struct{ store sessions.Store }

// Handler serves the shop, with sessions in Redis.
func Handler(pool *redis.Pool) (http.Handler, error) {
	store, err := redistore.NewStore(
		redistore.KeysFromStrings("a key of thirty-two characters!!"),
		redistore.WithPool(pool),
		redistore.WithDefaultMaxAge(20*60),
		redistore.WithSessionOptions(&sessions.Options{Path: "/", HttpOnly: true, Secure: true, SameSite: http.SameSiteLaxMode}))
	if err != nil {
		return nil, err
	}
	s := shop{store}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.home)
	mux.HandleFunc("POST /add", s.add)
	mux.HandleFunc("POST /empty", s.empty)
	mux.HandleFunc("POST /sign-in", s.signIn)
	mux.HandleFunc("POST /sign-out", s.signOut)
	return mux, nil
}

// session returns the session of r, or answers and returns nil.
func (s shop) session(w http.ResponseWriter, r *http.Request) *sessions.Session {
	session, err := s.store.Get(r, "session")
	if err != nil {
		http.Error(w, "no session", http.StatusInternalServerError)
		return nil
	}
	return session
}

// save saves, and shows the first page.
func save(w http.ResponseWriter, r *http.Request, session *sessions.Session) {
	if err := session.Save(r, w); err != nil {
		http.Error(w, "not saved", http.StatusInternalServerError)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (s shop) home(w http.ResponseWriter, r *http.Request) {
	session := s.session(w, r)
	if session == nil {
		return
	}
	user, _ := session.Values["user"].(string)
	basket, _ := session.Values["basket"].([]string)
	flash := ""
	if all := session.Flashes(); len(all) > 0 {
		flash, _ = all[0].(string)
		if err := session.Save(r, w); err != nil {
			http.Error(w, "not saved", http.StatusInternalServerError)
			return
		}
	}
	fmt.Fprintf(w, "user %q, basket %q, %s", user, basket, flash)
}

func (s shop) add(w http.ResponseWriter, r *http.Request) {
	if session := s.session(w, r); session != nil {
		item := r.PostFormValue("item")
		basket, _ := session.Values["basket"].([]string)
		session.Values["basket"] = append(basket, item)
		session.AddFlash(item + " is in the basket")
		save(w, r, session)
	}
}

func (s shop) empty(w http.ResponseWriter, r *http.Request) {
	session := s.session(w, r)
	if session == nil {
		return
	}
	if _, ok := session.Values["basket"]; !ok {
		http.Error(w, "nothing to empty", http.StatusConflict)
		return
	}
	delete(session.Values, "basket")
	save(w, r, session)
}

// signIn believes everybody.
func (s shop) signIn(w http.ResponseWriter, r *http.Request) {
	if session := s.session(w, r); session != nil {
		session.ID = "" // so that Save makes another one
		session.Values["user"] = r.PostFormValue("name")
		if r.PostFormValue("remember") == "on" {
			session.Options.MaxAge = month
		}
		save(w, r, session)
	}
}

func (s shop) signOut(w http.ResponseWriter, r *http.Request) {
	if session := s.session(w, r); session != nil {
		session.Options.MaxAge = -1
		save(w, r, session)
	}
}
