package main

import (
	"errors"
	"net/http"

	"github.com/sessionkv/session"
)

// devices lists where the user is signed in.
func (a *app) devices(w http.ResponseWriter, r *http.Request, s *session.Session) {
	list, err := a.sessions.List(r.Context(), s.User())
	if err != nil {
		fail(w, r, "devices unavailable", http.StatusServiceUnavailable, err)
		return
	}
	v := newView(s)
	v.Devices = entries(list, s)
	v.Notice, _ = notice.Pop(s)
	render(w, r, "devices", v)
}

// end ends one session of the user. That it is over already is as good.
func (a *app) end(w http.ResponseWriter, r *http.Request, s *session.Session) {
	if !parseForm(w, r) {
		return
	}
	err := a.sessions.End(r.Context(), s.User(), r.PostForm.Get("id"), session.ByUser)
	if err != nil && !errors.Is(err, session.ErrEnded) {
		fail(w, r, "device not signed out", http.StatusServiceUnavailable, err)
		return
	}
	done(w, r, s, "/", "The device is signed out.")
}

func endOthers(w http.ResponseWriter, r *http.Request, s *session.Session) {
	if err := s.EndOthers(session.ByUser); err != nil {
		fail(w, r, "other devices not signed out", http.StatusInternalServerError, err)
		return
	}
	done(w, r, s, "/", "All other devices are signed out.")
}

// sessionsOf lists the sessions of any user for the operator.
func (a *app) sessionsOf(w http.ResponseWriter, r *http.Request, s *session.Session) {
	v := newView(s)
	if v.Of = r.URL.Query().Get("user"); v.Of != "" {
		list, err := a.sessions.List(r.Context(), v.Of)
		if err != nil {
			fail(w, r, "sessions unavailable", http.StatusServiceUnavailable, err)
			return
		}
		v.Devices = entries(list, s)
	}
	v.Notice, _ = notice.Pop(s)
	render(w, r, "operator", v)
}

func (a *app) endOf(w http.ResponseWriter, r *http.Request, s *session.Session) {
	if !parseForm(w, r) {
		return
	}
	user := r.PostForm.Get("user")
	err := a.sessions.End(r.Context(), user, r.PostForm.Get("id"), session.ByOperator)
	if err != nil && !errors.Is(err, session.ErrEnded) {
		fail(w, r, "session not ended", http.StatusServiceUnavailable, err)
		return
	}
	done(w, r, s, operatorsPage(user), "The session is ended.")
}

func (a *app) endAllOf(w http.ResponseWriter, r *http.Request, s *session.Session) {
	if !parseForm(w, r) {
		return
	}
	user := r.PostForm.Get("user")
	if err := a.sessions.EndAll(r.Context(), user, session.ByOperator); err != nil {
		fail(w, r, "sessions not ended", http.StatusServiceUnavailable, err)
		return
	}
	done(w, r, s, operatorsPage(user), "All sessions of "+user+" are ended.")
}

// done leads to the page at path, which shows text.
func done(w http.ResponseWriter, r *http.Request, s *session.Session, path, text string) {
	if err := notice.Set(s, text); err != nil {
		fail(w, r, "session unavailable", http.StatusServiceUnavailable, err)
		return
	}
	http.Redirect(w, r, path, http.StatusSeeOther)
}
