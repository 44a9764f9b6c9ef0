package session

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/sessionkv/session/internal/token"
)

// Token saves the session as [Session.Sync] does. It returns the token that this request has given the session, by
// SignIn, by Renew or by beginning it. It returns "" if the session has the token that the request came with. Hand the
// token to the client in the body of the response, which is never cached. The token is the credential. Token panics
// unless Config.Bearer is set.
func (s *Session) Token(ctx context.Context) (string, error) {
	if !s.config.Bearer {
		panic("session: Session.Token is for a Manager with Config.Bearer; the token of any other belongs in the cookie alone")
	}
	if s.hasChanges() {
		if err := s.Sync(ctx); err != nil {
			return "", err
		}
	}
	s.lock()
	defer s.unlock()
	if issued := s.use.record.Issued(); issued != nil {
		return issued.Text, nil
	}
	return "", nil
}

func (s *Session) hasChanges() bool {
	s.lock()
	defer s.unlock()
	return s.closed == nil && !s.use.record.IsUnchanged()
}

// bearerOf returns the credential of the header Authorization: RFC 6750, section 2.1. If there is more than one, it is
// an attack or a fault, and none counts.
func bearerOf(h http.Header) (credential string, ok bool) {
	if len(h["Authorization"]) != 1 {
		return "", false
	}
	scheme, credential, ok := strings.Cut(h["Authorization"][0], " ")
	return strings.TrimLeft(credential, " "), ok && strings.EqualFold(scheme, "Bearer")
}

// bearerReferences is Cookie.references for the header.
func bearerReferences(r *http.Request, now time.Time, room *[maxTokens]token.Reference) []token.Reference {
	credential, ok := bearerOf(r.Header)
	if !ok {
		return nil
	}
	ref, ok := token.Parse(credential, now)
	if !ok {
		return nil
	}
	return append(room[:0], ref)
}

// challenge asks for a token, as an answer of 401 must: RFC 9110, section 11.6.1. RFC 6750, section 3, has the text.
func challenge(h http.Header, r *http.Request) {
	if h["Www-Authenticate"] != nil {
		return
	}
	says := `Bearer realm="session"`
	if r.Header["Authorization"] != nil {
		says += `, error="invalid_token"`
	}
	h.Set("WWW-Authenticate", says)
}
