package session_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/memstore"
)

// newUsers is session.New on a store in memory, so that the examples run anywhere.
func newUsers() *session.Manager {
	sessions, err := session.New(session.Config{Store: new(memstore.Store)})
	if err != nil {
		log.Fatal(err)
	}
	return sessions
}

// A device is the browser of a user.
type device struct {
	handler http.Handler
	cookies map[string]*http.Cookie
}

func newDevice(handler http.Handler) *device { return &device{handler, map[string]*http.Cookie{}} }

// send sends a form, or without one asks for a page, and prints the body of the response.
func (d *device) send(path string, form ...string) {
	method := "GET"
	if len(form) > 0 {
		method = "POST"
	}
	r := httptest.NewRequest(method, "https://example.com"+path, strings.NewReader(strings.Join(form, "&")))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, cookie := range d.cookies {
		r.AddCookie(cookie)
	}
	w := httptest.NewRecorder()
	d.handler.ServeHTTP(w, r)
	for _, cookie := range w.Result().Cookies() {
		d.cookies[cookie.Name] = cookie
		if cookie.MaxAge < 0 {
			delete(d.cookies, cookie.Name)
		}
	}
	fmt.Println(strings.TrimSpace(path + ": " + w.Body.String()))
}

// signInAs is a handler that signs everybody in who asks for it.
func signInAs(user string) func(w http.ResponseWriter, r *http.Request, s *session.Session) {
	return func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		if err := s.SignIn(session.SignIn{User: user}); err != nil {
			http.Error(w, "not signed in", http.StatusInternalServerError)
			return
		}
		fmt.Fprintf(w, "hello %s", s.User())
	}
}

// whoIs is a handler that says who is signed in, or why nobody is any more.
func whoIs(w http.ResponseWriter, _ *http.Request, s *session.Session) {
	fmt.Fprintf(w, "%s", cmp.Or(s.User(), s.Ended().String(), "nobody"))
}

// Signing in with "remember me", signing out, and signing out everywhere.
func ExampleSession_SignIn() {
	sessions := newUsers()
	passwords := map[string]string{"alice": "wonderland"}
	passwordIsRight := func(name, password string) bool { return passwords[name] != "" && passwords[name] == password }
	knownUser := func(name string) string {
		if passwords[name] == "" {
			return "nobody"
		}
		return name
	}
	mux := http.NewServeMux()

	mux.Handle("POST /sign-in", sessions.HandlerFunc(func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		name := knownUser(r.PostFormValue("name"))
		stamp, err := sessions.Stamp(r.Context(), name) // before the password is read
		if err != nil {
			http.Error(w, "try again later", http.StatusServiceUnavailable)
			return
		}
		if !passwordIsRight(name, r.PostFormValue("password")) {
			http.Error(w, "wrong name or password", http.StatusForbidden)
			return
		}
		in := session.SignIn{User: name, Stamp: stamp}
		if r.PostFormValue("remember") == "on" {
			in.Class = session.Remembered // 30 days without use, a year in all
		}
		if err := s.SignIn(in); err != nil {
			http.Error(w, "not signed in", http.StatusInternalServerError)
			return
		}
		fmt.Fprintf(w, "hello %s\n", s.User())
	}))
	mux.Handle("POST /sign-out", sessions.HandlerFunc(func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		s.Destroy()
		fmt.Fprintln(w, "signed out")
	}))
	mux.Handle("POST /sign-out-everywhere", sessions.HandlerFunc(func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		if s.User() == "" {
			http.Error(w, "not signed in", http.StatusUnauthorized)
			return
		}
		if err := sessions.EndAll(r.Context(), s.User(), session.ByUser); err != nil {
			http.Error(w, "not signed out", http.StatusServiceUnavailable)
			return
		}
		s.Destroy() // the cookie of this browser
		fmt.Fprintln(w, "signed out everywhere")
	}))
	handler := http.NewCrossOriginProtection().Handler(mux) // no other site signs your visitors in or out

	mux.Handle("GET /", sessions.HandlerFunc(whoIs))
	laptop, phone := newDevice(handler), newDevice(handler)
	laptop.send("/sign-in", "name=", "password=")
	laptop.send("/sign-in", "name=alice", "password=guess")
	laptop.send("/sign-in", "name=alice", "password=wonderland")
	phone.send("/sign-in", "name=alice", "password=wonderland", "remember=on")
	laptop.send("/")
	laptop.send("/sign-out-everywhere", "")
	laptop.send("/")
	phone.send("/")
	phone.send("/sign-out-everywhere", "")
	phone.send("/sign-out", "")
	// Output:
	// /sign-in: wrong name or password
	// /sign-in: wrong name or password
	// /sign-in: hello alice
	// /sign-in: hello alice
	// /: alice
	// /sign-out-everywhere: signed out everywhere
	// /: nobody
	// /: by_user
	// /sign-out-everywhere: not signed in
	// /sign-out: signed out
}

// The devices of a user. What tells them apart is kept in the session when it begins.
func ExampleManager_List() {
	sessions := newUsers()
	const browser = session.Key[string]("browser")

	mux := http.NewServeMux()
	mux.Handle("POST /sign-in", sessions.HandlerFunc(func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		err := s.SignIn(session.SignIn{User: "alice"})
		if err == nil {
			err = browser.Set(s, r.PostFormValue("browser")) // or what the User-Agent says
		}
		if err != nil {
			http.Error(w, "not signed in", http.StatusInternalServerError)
			return
		}
		fmt.Fprint(w, "hello alice")
	}))
	mux.Handle("GET /devices", sessions.HandlerFunc(func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		list, err := sessions.List(r.Context(), s.User())
		if err != nil {
			http.Error(w, "try again later", http.StatusServiceUnavailable)
			return
		}
		for _, other := range list {
			name, _ := browser.Get(other)
			fmt.Fprintf(w, "%s, this one: %v; ", name, other.ID() == s.ID())
		}
	}))
	mux.Handle("POST /end", sessions.HandlerFunc(func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		err := sessions.End(r.Context(), s.User(), r.PostFormValue("id"), session.ByUser)
		if err != nil && !errors.Is(err, session.ErrEnded) { // it is over already, which is as good
			http.Error(w, "try again later", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, "ended")
	}))
	mux.Handle("GET /", sessions.HandlerFunc(whoIs))

	phone, laptop := newDevice(mux), newDevice(mux)
	phone.send("/sign-in", "browser=Safari")
	laptop.send("/sign-in", "browser=Firefox")
	laptop.send("/devices")
	list, err := sessions.List(context.Background(), "alice")
	if err != nil {
		log.Fatal(err)
	}
	laptop.send("/end", "id="+list[1].ID())
	phone.send("/")
	laptop.send("/devices")
	// Output:
	// /sign-in: hello alice
	// /sign-in: hello alice
	// /devices: Firefox, this one: true; Safari, this one: false;
	// /end: ended
	// /: by_user
	// /devices: Firefox, this one: true;
}

// A password is reset, as by a link in a mail, while somebody signs in with the old one.
func ExampleManager_EndAll() {
	sessions := newUsers()
	password := "wonderland"

	reset := func() error {
		password = "correct horse battery staple"
		return sessions.EndAll(context.Background(), "alice", session.CredentialChanged) // after the new one is written
	}
	handler := sessions.HandlerFunc(func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		stamp, err := sessions.Stamp(r.Context(), "alice") // before the old one is read
		if err != nil {
			http.Error(w, "try again later", http.StatusServiceUnavailable)
			return
		}
		if password != "wonderland" {
			http.Error(w, "wrong password", http.StatusForbidden)
			return
		}
		if err := reset(); err != nil { // at the worst moment
			log.Fatal(err)
		}
		if err := s.SignIn(session.SignIn{User: "alice", Stamp: stamp}); err != nil {
			http.Error(w, "not signed in", http.StatusInternalServerError)
			return
		}
		err = s.Sync(r.Context()) // without it, Config.OnError answers
		fmt.Fprint(w, errors.Is(err, session.ErrRevoked))
	})

	newDevice(handler).send("/sign-in", "password=wonderland")
	// Output: /sign-in: true
}

// A user changes the password and stays signed in on this device alone.
func ExampleSession_EndOthers() {
	sessions := newUsers()

	mux := http.NewServeMux()
	mux.Handle("POST /sign-in", sessions.HandlerFunc(signInAs("alice")))
	mux.Handle("POST /password", sessions.HandlerFunc(func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		// Here the new password is written.
		err := s.Renew()
		if err == nil {
			err = s.EndOthers(session.CredentialChanged)
		}
		if err != nil {
			http.Error(w, "password changed, but others may be signed in", http.StatusInternalServerError)
			return
		}
		fmt.Fprint(w, "changed")
	}))
	mux.Handle("GET /", sessions.HandlerFunc(whoIs))

	laptop, phone := newDevice(mux), newDevice(mux)
	laptop.send("/sign-in", "")
	phone.send("/sign-in", "")
	laptop.send("/password", "new=correct horse battery staple")
	laptop.send("/")
	phone.send("/")
	// Output:
	// /sign-in: hello alice
	// /sign-in: hello alice
	// /password: changed
	// /: alice
	// /: credential_changed
}

// OpenID Connect Back-Channel Logout 1.0: the provider posts a token that names the user by sub, one of its sessions by sid,
// or both. The sid of the ID token was kept in the session at the sign-in.
func ExampleManager_EndAll_backChannelLogout() {
	sessions := newUsers()
	const sidKey = session.Key[string]("sid")

	// verify stands for what a library for OpenID Connect does, as section 2.6 asks for it.
	verify := func(logoutToken string) (sub, sid string, err error) {
		sub, sid, _ = strings.Cut(logoutToken, "/")
		return sub, sid, nil
	}
	// endSid ends the sessions of one sid. A session that is renewed at this moment has another ID in the next list.
	endSid := func(ctx context.Context, sub, sid string) error {
		for {
			list, err := sessions.List(ctx, sub)
			if err != nil {
				return err
			}
			list = slices.DeleteFunc(list, func(s *session.Session) bool { got, _ := sidKey.Get(s); return got != sid })
			if len(list) == 0 {
				return nil
			}
			for _, s := range list {
				if err := sessions.End(ctx, sub, s.ID(), session.ByUser); err != nil && !errors.Is(err, session.ErrEnded) {
					return err
				}
			}
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /back-channel-logout", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		sub, sid, err := verify(r.PostFormValue("logout_token"))
		switch {
		case err != nil || sub == "":
			http.Error(w, "no logout token with a sub", http.StatusBadRequest)
			return
		case sid == "":
			err = sessions.EndAll(r.Context(), sub, session.ByUser)
		default:
			err = endSid(r.Context(), sub, sid)
		}
		if err != nil {
			http.Error(w, "not signed out", http.StatusBadRequest) // as section 2.8 says
		}
	})

	mux.Handle("POST /sign-in", sessions.HandlerFunc(func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		err := s.SignIn(session.SignIn{User: "248289761001"}) // the sub of the ID token
		if err == nil {
			err = sidKey.Set(s, r.PostFormValue("sid"))
		}
		fmt.Fprint(w, err)
	}))
	mux.Handle("GET /", sessions.HandlerFunc(whoIs))
	one, two, provider := newDevice(mux), newDevice(mux), newDevice(mux)
	one.send("/sign-in", "sid=08a5019c")
	two.send("/sign-in", "sid=5a6b7c8d")
	provider.send("/back-channel-logout", "logout_token=248289761001/08a5019c")
	one.send("/")
	two.send("/")
	provider.send("/back-channel-logout", "logout_token=248289761001")
	two.send("/")
	// Output:
	// /sign-in: <nil>
	// /sign-in: <nil>
	// /back-channel-logout:
	// /: by_user
	// /: 248289761001
	// /back-channel-logout:
	// /: by_user
}
