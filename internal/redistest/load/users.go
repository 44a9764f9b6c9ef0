package load

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/internal/testkit"
)

const (
	persons   = 8
	devices   = 3                     // of each
	usersPace = 10 * time.Millisecond // between two operations of a person; each leaves keys, which take time to move
)

// A UsersResult is what came of a load of users.
type UsersResult struct {
	Failures
	SignIns, Renewals, Ends int // that were acknowledged
	SignedOut               int // sessions that nobody had ended, and were gone or refused
	Escaped                 int // sessions that had been ended or renewed, and could be used
}

func (r UsersResult) String() string {
	return fmt.Sprintf("%d sign-ins, %d renewals and %d ends acknowledged, %v; %d false sign-outs, %d escapes",
		r.SignIns, r.Renewals, r.Ends, r.Failures, r.SignedOut, r.Escaped)
}

// users is a load of users, and what was lost of what they were told.
type users struct {
	course
	manager *session.Manager
	result  UsersResult
	losses  []loss
}

// A loss is that of what was acknowledged at a time.
type loss struct {
	what string
	at   time.Time
}

// RunUsers lets users sign in, renew their sessions, end them and look at them while fault runs, and for a while before
// and after. fault returns as soon as Redis should serve again. The store must know users. RunUsers compares what a
// user was told last with what each of the user's tokens leads to, unless an operation failed and it is not known
// whether it was done. It fails the test if something is lost that was acknowledged before or after the fault. Changes
// may be lost in the fault itself. The caller judges these by the result.
func RunUsers(t testing.TB, store testkit.UserStore, fault func()) UsersResult {
	t.Helper()
	l := &users{course: course{t: t}}
	l.manager = testkit.NewManager(t, session.Config{Store: store, StoreTimeout: Timeout, OnError: fail})
	var all []*person
	var work []func()
	for i := range persons {
		p := newPerson(l, fmt.Sprint("user", i))
		all, work = append(all, p), append(work, p.live)
	}
	l.run(work, fault)
	for _, p := range all {
		p.lookAtAll()
	}
	l.check()
	return l.result
}

// failure is where the context of a request has the address for its error.
type failure struct{}

func fail(w http.ResponseWriter, r *http.Request, err error) {
	*r.Context().Value(failure{}).(*error) = err
	w.WriteHeader(http.StatusServiceUnavailable)
}

// failed reports whether err leaves it unknown what was done.
func failed(err error) bool {
	return err != nil && !errors.Is(err, session.ErrRenewed) && !errors.Is(err, session.ErrRevoked) && !errors.Is(err, session.ErrEnded)
}

// An answer is what came of a request.
type answer struct {
	err   error
	user  string // whose session it was
	fresh *token // that the request has got, or nil
}

// ask makes a request with a token.
func (l *users) ask(with *token, change func(s *session.Session) error) (a answer) {
	device := testkit.NewDevice(l.t, l.manager)
	if with.cookie != nil {
		device.Cookies = []*http.Cookie{with.cookie}
	}
	var s *session.Session
	handler := l.manager.HandlerFunc(func(_ http.ResponseWriter, _ *http.Request, loaded *session.Session) {
		s, a.user = loaded, loaded.User()
		a.err = change(s)
	})
	begin := time.Now()
	device.Raw(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), failure{}, &a.err)))
	}))
	l.noteAnswer(begin, a.err)
	if len(device.Cookies) > 0 && device.Cookies[0] != with.cookie {
		a.fresh = &token{cookie: device.Cookies[0], id: s.ID()}
	}
	return a
}

// noteAnswer notes how an operation went, for which a refusal is no failure.
func (l *users) noteAnswer(begin time.Time, err error) {
	if !failed(err) {
		err = nil
	}
	l.note(begin, err)
}

func look(*session.Session) error { return nil }

func renew(s *session.Session) error { return s.Renew() }

// count counts what was acknowledged.
func (l *users) count(acknowledged *int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	*acknowledged++
}

// lose notes that what was acknowledged then does not hold.
func (l *users) lose(count *int, what string, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	*count++
	l.losses = append(l.losses, loss{what, at})
}

func (l *users) check() {
	l.t.Helper()
	l.result.Failures = l.failures
	for _, loss := range l.losses {
		if !l.inFault(loss.at) {
			l.t.Errorf("%s, which was acknowledged %v after the beginning of the fault", loss.what, loss.at.Sub(l.start))
		}
	}
	if r := l.result; r.SignIns == 0 || r.Renewals == 0 || r.Ends == 0 {
		l.t.Error("nothing was acknowledged")
	}
	l.course.check()
}
