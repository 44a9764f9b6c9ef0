package recipes

import (
	"net/http/httptest"
	"testing"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/sessiontest"
)

func TestAccount(t *testing.T) {
	sessions := sessiontest.New(t) // in memory
	r := httptest.NewRequest("GET", "/account", nil)
	sessiontest.Do(t, sessions, r, func(s *session.Session) error {
		return s.SignIn(session.SignIn{User: "alice"})
	})
	w := httptest.NewRecorder()
	sessions.HandlerFunc(account).ServeHTTP(w, r)
	if w.Code != 200 || w.Body.String() != "account of alice" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
