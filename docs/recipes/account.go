package recipes

import (
	"fmt"
	"net/http"

	"github.com/sessionkv/session"
)

func account(w http.ResponseWriter, _ *http.Request, s *session.Session) {
	if s.User() == "" {
		http.Error(w, "not signed in", http.StatusUnauthorized)
		return
	}
	fmt.Fprintf(w, "account of %s", s.User())
}
