package main

import (
	"context"
	"net/http"
	"time"

	"github.com/sessionkv/session"
)

// A handler is given the session of its request. It is not called if the session cannot be loaded, which is not the same
// as "not signed in".
type handler func(w http.ResponseWriter, r *http.Request, s *session.Session)

// forUsers lets those who are signed in through to next, and sends others to sign in.
func forUsers(next handler) handler {
	return func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		if s.User() == "" {
			http.Redirect(w, r, "/sign-in", http.StatusSeeOther)
			return
		}
		w.Header().Set("Cache-Control", "no-store") // so that the back button shows nothing after the sign-out
		next(w, r, s)
	}
}

// forRecent lets those through who have signed in lately. Others sign in once more: ASVS 5.0, 7.5.2.
func (a *app) forRecent(next handler) handler {
	return forUsers(func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		if time.Since(s.SignedIn()) > a.recent {
			http.Redirect(w, r, "/sign-in?again", http.StatusSeeOther)
			return
		}
		next(w, r, s)
	})
}

// forOperator lets the operator alone through to next.
func (a *app) forOperator(next handler) handler {
	return a.forRecent(func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		if s.User() != operator {
			http.Error(w, "for the operator alone", http.StatusForbidden)
			return
		}
		next(w, r, s)
	})
}

// signInForm says why, to those whose session was ended by somebody.
func signInForm(w http.ResponseWriter, r *http.Request, s *session.Session) {
	v := view{Alert: whyEnded[s.Ended()]}
	switch query := r.URL.Query(); {
	case query.Has("signed-out"):
		v = view{Notice: "You are signed out."}
	case query.Has("again"):
		v = view{Notice: "It is a while since you have signed in. Do so once more, and then go on."}
	}
	render(w, r, "sign-in", v)
}

func (a *app) signIn(w http.ResponseWriter, r *http.Request, s *session.Session) {
	if !parseForm(w, r) {
		return
	}
	name := r.PostForm.Get("name")
	// The stamp comes before the password is looked at. If that is changed in the meantime, the sign-in is refused.
	stamp, err := a.sessions.Stamp(r.Context(), a.accounts.known(name))
	if err != nil {
		fail(w, r, "sign-in failed", http.StatusServiceUnavailable, err)
		return
	}
	ok, err := a.accounts.match(name, r.PostForm.Get("password"))
	if err != nil {
		fail(w, r, "sign-in failed", http.StatusInternalServerError, err)
		return
	}
	if !ok {
		w.WriteHeader(http.StatusForbidden)
		render(w, r, "sign-in", view{Alert: "Wrong name or password."})
		return
	}
	in := session.SignIn{User: name, Stamp: stamp}
	if r.PostForm.Has("remember") {
		in.Class = session.Remembered
	}
	err = s.SignIn(in)
	if err == nil {
		err = device.Set(s, describe(r.UserAgent()))
	}
	if err != nil {
		fail(w, r, "sign-in failed", http.StatusServiceUnavailable, err)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func signOut(w http.ResponseWriter, r *http.Request, s *session.Session) {
	s.Destroy()
	http.Redirect(w, r, "/sign-in?signed-out", http.StatusSeeOther)
}

func passwordForm(w http.ResponseWriter, r *http.Request, s *session.Session) {
	render(w, r, "password", newView(s))
}

// minPassword is how many characters a password has at least: NIST SP 800-63B-4, 3.1.1.2, where there is no second factor.
const minPassword = 15

func (a *app) changePassword(w http.ResponseWriter, r *http.Request, s *session.Session) {
	if !parseForm(w, r) {
		return
	}
	refuse := func(why string) {
		v := newView(s)
		v.Alert = why
		w.WriteHeader(http.StatusUnprocessableEntity)
		render(w, r, "password", v)
	}
	next := r.PostForm.Get("new")
	if len([]rune(next)) < minPassword {
		refuse("A password has at least 15 characters.")
		return
	}
	name := s.User()
	ok, err := a.accounts.change(name, r.PostForm.Get("old"), next)
	if err != nil {
		fail(w, r, "password not changed", http.StatusInternalServerError, err)
		return
	}
	if !ok {
		refuse("That is not your password.")
		return
	}
	// The new password is written, so that no session of the old one may go on, whatever becomes of this one.
	if keepThisOne(r.Context(), s) != nil {
		s.Discard() // or it is tried again with the response
		if err := a.sessions.EndAll(context.WithoutCancel(r.Context()), name, session.CredentialChanged); err != nil {
			fail(w, r, "password changed, but you may still be signed in on other devices: end that on the page of your devices",
				http.StatusServiceUnavailable, err)
			return
		}
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// keepThisOne ends all other sessions of the user at once, and gives this one a new token.
func keepThisOne(ctx context.Context, s *session.Session) error {
	err := s.Renew()
	if err == nil {
		err = s.EndOthers(session.CredentialChanged)
	}
	if err == nil {
		err = notice.Set(s, "Your password is changed. You are signed in on this device alone.")
	}
	if err == nil {
		err = s.Sync(ctx)
	}
	return err
}
