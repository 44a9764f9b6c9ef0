package session

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sessionkv/session/internal/device"
	"github.com/sessionkv/session/internal/record"
)

// DeviceBound reports whether this request has proved that it comes from the device that has signed in: its browser
// holds a key that cannot be taken elsewhere. It is always false for browsers without such keys. After a sign-in or a
// renewal it is false until the browser has registered its key, which as a rule takes less than a second. See
// Config.DeviceBound.
func (s *Session) DeviceBound() bool {
	s.lock()
	defer s.unlock()
	return s.use != nil && s.use.record.IsProved()
}

// prove tells whether the request comes from the device of a session. The lock is held.
func (s *Session) prove(b *device.Binding) (proved bool, err error) {
	now := time.Now()
	for _, cookie := range s.request.CookiesNamed(s.config.Cookie.bound(b.Session).Name) {
		if b.IsProvedBy(cookie.Value, now) {
			return true, nil
		}
	}
	switch {
	case b.IsFresh(now):
		return false, nil
	case isSkipped(s.request.Header, b.Session):
		return false, ErrUnproven
	}
	return false, errNotProved
}

// refuseBound is prove for requests without cookies. A stolen token must not be of use in a header either.
func refuseBound(*device.Binding) (proved bool, err error) { return false, errNotProved }

var errNotProved = errors.New("session: the request does not come from the device of the session")

// isSkipped reports whether a browser says that it could not ask for a proof of this session.
func isSkipped(h http.Header, id string) bool {
	for _, line := range h["Secure-Session-Skipped"] {
		if strings.Contains(line, `session_identifier="`+id+`"`) {
			return true
		}
	}
	return false
}

// askForKey asks the browser to register a key for the session that it is given. It is done once, together with the
// token. Otherwise somebody who has the token later could register a key of their own.
func (s *Session) askForKey(h http.Header) {
	b := s.use.record.Binding()
	if b == nil || b.HasKey() {
		return
	}
	const name = "Secure-Session-Registration"
	form := `(ES256);path="` + s.config.DeviceBound + `";challenge="`
	isOurs := func(line string) bool { return strings.HasPrefix(line, form) } // of a commit after which nothing has left
	h[name] = append(slices.DeleteFunc(h[name], isOurs), form+b.Challenge(device.Registration, time.Now())+`"`)
}

// dropProofs tells the browser to drop the cookies that prove its device.
func (s *Session) dropProofs(h http.Header) {
	if s.config.DeviceBound == "" {
		return
	}
	bound := s.config.Cookie
	for _, cookie := range s.request.Cookies() {
		if bound.Name = cookie.Name; strings.HasPrefix(cookie.Name, s.config.Cookie.boundPrefix()) {
			bound.clear(h, nil)
		}
	}
}

// serveDevice answers the requests that browsers make for the keys of their sessions: Device Bound Session Credentials,
// a draft of the W3C. Chrome ends the session of a device after 401, 429 and most other failures, and after a redirect.
// Therefore serveDevice answers with none of them.
func (m *Manager) serveDevice(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	id, proof := device.Unquoted(r.Header.Get("Sec-Secure-Session-Id")), r.Header.Get("Secure-Session-Response")
	if r.Method != http.MethodPost || id == "" && proof == "" {
		http.NotFound(w, r)
		return
	}
	var bound boundContext
	bound.init(r.Context(), m.config.StoreTimeout)
	defer bound.release()
	if id != "" {
		m.refresh(&bound, w, id, proof)
		return
	}
	m.register(&bound, w, proof)
}

// register stores the key of a device in the session that its challenge names. No cookie is needed: a browser does not
// send a Lax one if another site has led it to the sign-in.
func (m *Manager) register(ctx context.Context, w http.ResponseWriter, text string) {
	proof, err := device.ParseProof(text)
	if err != nil || proof.Key == nil || !proof.IsSignedBy(proof.Key) {
		m.config.Logger.WarnContext(ctx, "device not registered", "error", errBadProof)
		w.WriteHeader(http.StatusForbidden)
		return
	}
	id, _ := device.SessionOf(proof.Challenge)
	b, err := m.keeper.Register(ctx, id, proof)
	switch {
	case errors.Is(err, record.ErrRefused), errors.Is(err, ErrEnded):
		m.config.Logger.WarnContext(ctx, "device not registered", "id", id, "error", err)
		w.WriteHeader(http.StatusForbidden)
	case err != nil:
		m.unavailable(ctx, w, id, err)
	default:
		m.instruct(w, b)
	}
}

var errBadProof = errors.New("the proof is not one of the key that comes with it")

// refresh gives a device that proves its key a new cookie.
func (m *Manager) refresh(ctx context.Context, w http.ResponseWriter, id, text string) {
	b, err := m.keeper.Refresh(ctx, id, text)
	switch {
	case errors.Is(err, ErrEnded):
		writeJSON(w, map[string]any{"session_identifier": id, "continue": false})
	case errors.Is(err, record.ErrRefused):
		w.Header().Set("Secure-Session-Challenge", `"`+b.Challenge(device.Refresh, time.Now())+`";id="`+b.Session+`"`)
		w.WriteHeader(http.StatusForbidden)
	case err != nil:
		m.unavailable(ctx, w, id, err)
	default:
		m.instruct(w, b)
	}
}

func (m *Manager) unavailable(ctx context.Context, w http.ResponseWriter, id string, err error) {
	m.config.Logger.ErrorContext(ctx, "device not served", "id", id, "error", err)
	w.WriteHeader(http.StatusServiceUnavailable)
}

// instruct gives the browser the cookie that proves the device, and says how to keep it.
func (m *Manager) instruct(w http.ResponseWriter, b *device.Binding) {
	cookie := m.config.Cookie.bound(b.Session).attributes()
	attributes := strings.TrimPrefix(strings.TrimPrefix(cookie.String(), cookie.Name+"="), "; ")
	cookie.Value = b.Cookie(time.Now(), device.CookieTTL)
	cookie.MaxAge = int(device.CookieTTL.Seconds())
	http.SetCookie(w, cookie)
	writeJSON(w, map[string]any{
		"session_identifier":         b.Session,
		"refresh_url":                m.config.DeviceBound,
		"scope":                      map[string]any{"include_site": false},
		"credentials":                []map[string]any{{"type": "cookie", "name": cookie.Name, "attributes": attributes}},
		"allowed_refresh_initiators": []string{"*"}, // otherwise Chrome sends no cookie with a link from elsewhere
	})
}

func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value) // a client that has hung up asks again
}
