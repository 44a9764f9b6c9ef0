package testkit

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"testing"

	"github.com/sessionkv/session"
)

// A SecureDevice is a Device whose browser has a key for its session, as in Device Bound Session Credentials. The test
// takes each step that a browser would take by itself.
type SecureDevice struct {
	*Device
	Key   *ecdsa.PrivateKey
	ID    string         // of the session that is bound
	Bound []*http.Cookie // the cookie that proves the key
	Path  string         // of the endpoint
}

// NewSecureDevice returns a SecureDevice without a session.
func NewSecureDevice(t testing.TB, manager *session.Manager, path string) *SecureDevice {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &SecureDevice{Device: NewDevice(t, manager), Key: key, Path: path}
}

var challengeForm = regexp.MustCompile(`challenge="([^"]*)"`)

// Offered returns the challenge that a response offers for a registration, "" if there is none.
func Offered(response *http.Response) string {
	match := challengeForm.FindStringSubmatch(response.Header.Get("Secure-Session-Registration"))
	if match == nil {
		return ""
	}
	return match[1]
}

// Proof signs a challenge. A key, which registers, stands in its header.
func Proof(t testing.TB, key *ecdsa.PrivateKey, challenge string, registers bool) string {
	t.Helper()
	header := map[string]any{"alg": "ES256", "typ": "dbsc+jwt"}
	if registers {
		point, err := key.PublicKey.Bytes()
		if err != nil {
			t.Fatal(err)
		}
		header["jwk"] = map[string]string{
			"kty": "EC", "crv": "P-256",
			"x": base64.RawURLEncoding.EncodeToString(point[1:33]), "y": base64.RawURLEncoding.EncodeToString(point[33:]),
		}
	}
	return Signed(t, key, header, map[string]any{"jti": challenge})
}

// Signed is a JWT with a signature by key.
func Signed(t testing.TB, key *ecdsa.PrivateKey, header, claims any) string {
	t.Helper()
	var text string
	for _, part := range []any{header, claims} {
		raw, err := json.Marshal(part)
		if err != nil {
			t.Fatal(err)
		}
		text += "." + base64.RawURLEncoding.EncodeToString(raw)
	}
	text = text[1:]
	digest := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	signature := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// Ask makes a request of the endpoint, with these headers and no cookie, and returns its response.
func (d *SecureDevice) Ask(header map[string]string) *http.Response {
	d.t.Helper()
	r := httptest.NewRequestWithContext(d.t.Context(), http.MethodPost, "https://example.com"+d.Path, nil)
	for name, value := range header {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	d.manager.Handler(http.NotFoundHandler()).ServeHTTP(w, r)
	return w.Result()
}

// Register answers the challenge of a sign-in.
func (d *SecureDevice) Register(challenge string) *http.Response {
	d.t.Helper()
	response := d.Ask(map[string]string{"Secure-Session-Response": Proof(d.t, d.Key, challenge, true)})
	d.take(response)
	return response
}

// Refresh asks for a challenge and answers it.
func (d *SecureDevice) Refresh() *http.Response {
	d.t.Helper()
	response := d.Ask(map[string]string{"Sec-Secure-Session-Id": d.ID})
	if response.StatusCode != http.StatusForbidden {
		return response
	}
	challenge := regexp.MustCompile(`^"([^"]*)"`).FindStringSubmatch(response.Header.Get("Secure-Session-Challenge"))
	if challenge == nil {
		d.t.Errorf("no challenge: %v", response.Header)
		return response
	}
	response = d.Ask(map[string]string{"Sec-Secure-Session-Id": d.ID, "Secure-Session-Response": `"` + Proof(d.t, d.Key, challenge[1], false) + `"`})
	d.take(response)
	return response
}

// take keeps the cookie of a response of the endpoint.
func (d *SecureDevice) take(response *http.Response) {
	if cookies := response.Cookies(); len(cookies) > 0 {
		d.Bound = cookies
	}
}

// SignInBound signs in and registers the key.
func (d *SecureDevice) SignInBound(user string) {
	d.t.Helper()
	response := d.Do(func(r *http.Request, s *session.Session) error {
		err := s.SignIn(session.SignIn{User: user})
		if err == nil {
			err = s.Sync(r.Context())
		}
		d.ID = s.ID()
		return err
	})
	if response := d.Register(Offered(response)); response.StatusCode != http.StatusOK || len(d.Bound) == 0 {
		d.t.Errorf("registration: status %d, headers %v", response.StatusCode, response.Header)
	}
}

// With returns a Device that sends these cookies and the session's.
func (d *SecureDevice) With(more ...*http.Cookie) *Device {
	with := *d.Device
	with.Cookies = append(append([]*http.Cookie(nil), d.Cookies...), more...)
	return &with
}
