package recipes

import (
	"context"
	"net/http"

	"github.com/sessionkv/session"
)

func changePassword(change func(ctx context.Context, user, old, new string) error) handler {
	return func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		if s.User() == "" {
			http.Error(w, "not signed in", http.StatusUnauthorized)
			return
		}
		if err := change(r.Context(), s.User(), r.PostFormValue("old"), r.PostFormValue("new")); err != nil {
			http.Error(w, "not changed", http.StatusForbidden)
			return
		}
		if err := s.EndOthers(session.CredentialChanged); err != nil { // after the change, never before it
			http.Error(w, "changed, but you are still signed in elsewhere", http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}
