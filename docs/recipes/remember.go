package recipes

import (
	"net/http"
	"time"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/driver"
)

const day = 24 * time.Hour

func newSessions(store driver.Store) (*session.Manager, error) {
	return session.New(session.Config{
		Store: store,
		Classes: map[session.Class]session.Lifetimes{
			session.Remembered: {IdleTimeout: 14 * day, Lifetime: 90 * day, Persistent: true},
		},
	})
}

// signIn is called when the password was right.
func signIn(r *http.Request, s *session.Session, user string, stamp session.Stamp) error {
	in := session.SignIn{User: user, Stamp: stamp}
	if r.PostFormValue("remember") == "on" {
		in.Class = session.Remembered
	}
	return s.SignIn(in)
}
