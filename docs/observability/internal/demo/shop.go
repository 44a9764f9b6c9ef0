package demo

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sessionkv/session"
)

const (
	cart = session.Key[[]string]("cart")

	// inquiry is how long the shop asks others, for the stock or for a password.
	inquiry = 3 * time.Millisecond
)

type shop struct{ sessions *session.Manager }

func (s *shop) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", s.sessions.HandlerFunc(look))
	mux.HandleFunc("GET /poll", poll)
	mux.Handle("POST /cart", s.sessions.HandlerFunc(put))
	mux.Handle("POST /signin", s.sessions.HandlerFunc(s.signIn))
	mux.Handle("POST /password", s.sessions.HandlerFunc(changePassword))
	mux.Handle("POST /signout", s.sessions.HandlerFunc(signOut))
	return mux
}

func look(w http.ResponseWriter, _ *http.Request, s *session.Session) {
	items, _ := cart.Get(s)
	fmt.Fprintf(w, "%s has %d items\n", s.User(), len(items))
}

// poll keeps nobody signed in.
func poll(w http.ResponseWriter, r *http.Request) {
	s, err := session.Peek(r.Context())
	if err != nil {
		http.Error(w, "try again", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, time.Until(s.IdleDeadline()))
}

// put has a parameter size, of the item in bytes.
func put(_ http.ResponseWriter, r *http.Request, s *session.Session) {
	size, _ := strconv.Atoi(r.FormValue("size"))
	time.Sleep(inquiry)
	_ = cart.Update(s, func(items []string) []string { return append(items, strings.Repeat("x", min(max(size, 0), 64<<10))) })
}

func (s *shop) signIn(w http.ResponseWriter, r *http.Request, current *session.Session) {
	user := r.FormValue("user")
	stamp, err := s.sessions.Stamp(r.Context(), user)
	if err != nil {
		http.Error(w, "try again", http.StatusServiceUnavailable)
		return
	}
	time.Sleep(inquiry)
	if err := current.SignIn(session.SignIn{User: user, Stamp: stamp}); errors.Is(err, session.ErrCrossSite) {
		http.Error(w, "from another site", http.StatusForbidden)
	} else if err != nil {
		http.Error(w, "not signed in", http.StatusBadRequest)
	}
}

// changePassword leaves this session alone of its user.
func changePassword(w http.ResponseWriter, _ *http.Request, s *session.Session) {
	if err := errors.Join(s.Renew(), s.EndOthers(session.CredentialChanged)); err != nil {
		http.Error(w, "not signed in", http.StatusForbidden)
	}
}

func signOut(_ http.ResponseWriter, _ *http.Request, s *session.Session) { s.Destroy() }
