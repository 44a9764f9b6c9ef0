package recipes

import (
	"net/http"

	"github.com/sessionkv/session"
)

// forUsers returns a middleware that lets only users through to the next handler.
func forUsers(sessions *session.Manager) func(next http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return sessions.HandlerFunc(func(w http.ResponseWriter, r *http.Request, s *session.Session) {
			if s.User() == "" {
				http.Error(w, "not signed in", http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}
