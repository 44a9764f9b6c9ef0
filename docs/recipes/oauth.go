package recipes

import (
	"context"
	"crypto/rand"
	"net/http"

	"golang.org/x/oauth2"

	"github.com/sessionkv/session"
)

// verifier is the secret of a sign-in that has begun, by its state (RFC 7636).
func verifier(state string) session.Key[string] { return session.Key[string]("oauth." + state) }

func begin(provider *oauth2.Config) handler {
	return func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		state, secret := rand.Text(), oauth2.GenerateVerifier()
		if err := verifier(state).Set(s, secret); err != nil {
			http.Error(w, "try again later", http.StatusServiceUnavailable)
			return
		}
		http.Redirect(w, r, provider.AuthCodeURL(state, oauth2.S256ChallengeOption(secret)), http.StatusSeeOther)
	}
}

func callback(provider *oauth2.Config, userOf func(context.Context, *oauth2.Token) (string, error)) handler {
	return func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		secret, err := verifier(r.FormValue("state")).Take(r.Context(), s) // of two callbacks with this state, one gets it
		if err != nil {
			http.Error(w, "begin again", http.StatusBadRequest)
			return
		}
		user := ""
		token, err := provider.Exchange(r.Context(), r.FormValue("code"), oauth2.VerifierOption(secret))
		if err == nil {
			user, err = userOf(r.Context(), token)
		}
		if err == nil {
			err = s.SignIn(session.SignIn{User: user})
		}
		if err != nil {
			http.Error(w, "not signed in", http.StatusForbidden)
			return
		}
		http.Redirect(w, r, "/", http.StatusSeeOther)
	}
}
