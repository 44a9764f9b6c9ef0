package campaign

import (
	"crypto/ecdsa"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sessionkv/session/internal/testkit"
	"github.com/sessionkv/session/internal/token"
)

// A booty is what thieves have of a session.
type booty struct {
	token     *http.Cookie
	id        string
	challenge string       // of its registration
	proof     *http.Cookie // that its device had last
	ranOut    *http.Cookie // that its device had eleven minutes ago; nil: the session is still open
}

// A victim is an owner of sessions that thieves copy.
type victim struct {
	*browser
	name string
	sure bool // nothing has failed that may have ended the session
	out  bool // signed out

	attempted, acknowledged atomic.Int64 // increments
	sessions                []booty      // all that it ever had, guarded by the browser's lock
}

// note keeps what thieves copy when an owner has got a response.
func (o *victim) note(response *http.Response) {
	text := o.value(testkit.CookieName)
	ref, ok := token.Parse(text, time.Now())
	if !ok {
		return
	}
	proof := proofOf(ref.ID, "")
	proof.Value = o.value(proof.Name)
	o.mu.Lock()
	defer o.mu.Unlock()
	if n := len(o.sessions); n == 0 || o.sessions[n-1].id != ref.ID {
		token := &http.Cookie{Name: testkit.CookieName, Value: text}
		o.sessions = append(o.sessions, booty{token: token, id: ref.ID, challenge: testkit.Offered(response)})
	}
	if proof.Value != "" {
		o.sessions[len(o.sessions)-1].proof = proof
	}
}

// stolen returns what thieves have by now.
func (o *victim) stolen() []booty {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.sessions)
}

func (o *victim) latest() booty {
	all := o.stolen()
	return all[len(all)-1]
}

// proofOf is the cookie that proves the device of a session, with this value.
func proofOf(id, value string) *http.Cookie {
	return &http.Cookie{Name: boundPrefix + id[21:29], Value: value}
}

// Thieves use what they have of sessions that are bound to devices of others.
type thieves struct {
	t      testing.TB
	server http.Handler
	key    *ecdsa.PrivateKey // of a device of their own
	forged string            // the cookie that proves a session of their own

	refused, served atomic.Int64
}

// ask makes a request that no browser makes.
func (th *thieves) ask(path string, header http.Header, cookies ...*http.Cookie) *http.Response {
	r := httptest.NewRequestWithContext(th.t.Context(), http.MethodPost, "https://example.com"+path, nil)
	maps.Copy(r.Header, header)
	for _, cookie := range cookies {
		r.AddCookie(cookie)
	}
	w := httptest.NewRecorder()
	th.server.ServeHTTP(w, r)
	return w.Result()
}

// steal uses a token without the device's cookie, in the ways that a thief has. While the session is open it only looks.
func (th *thieves) steal(s booty) {
	if s.ranOut == nil {
		th.ask("/", nil, s.token)
		return
	}
	cookies, header := []*http.Cookie{s.token}, http.Header{}
	switch rand.IntN(5) {
	case 0:
		cookies = append(cookies, s.ranOut)
	case 1:
		cookies = append(cookies, proofOf(s.id, th.forged))
	case 2:
		header.Set("Secure-Session-Skipped", `unreachable;session_identifier="`+s.id+`"`)
	case 3:
		th.bind(s)
	}
	path := []string{"/", "/write", "/renew", "/sign-out"}[rand.IntN(4)]
	response := th.ask(path, header, cookies...)
	if who := response.Header.Get("Who"); who != "" {
		th.t.Errorf("a thief is signed in as %q, with status %d for %s", who, response.StatusCode, path)
	}
	if response.StatusCode == http.StatusOK {
		th.refused.Add(1)
	}
}

// bind tries to get a cookie for a session that has a key, with another key.
func (th *thieves) bind(s booty) {
	id := http.Header{"Sec-Secure-Session-Id": {s.id}}
	if challenge := challengeForm.FindStringSubmatch(th.ask(devicePath, id).Header.Get("Secure-Session-Challenge")); challenge != nil {
		id.Set("Secure-Session-Response", testkit.Proof(th.t, th.key, challenge[1], false))
		th.gains(th.ask(devicePath, id))
	}
	th.gains(th.ask(devicePath, http.Header{"Secure-Session-Response": {testkit.Proof(th.t, th.key, s.challenge, true)}}))
}

func (th *thieves) gains(response *http.Response) {
	if len(response.Cookies()) > 0 {
		th.t.Errorf("a thief gets a cookie from the endpoint, with status %d", response.StatusCode)
	}
}

// copy writes with both cookies of a session, which is possible until they run out or the owner signs out. It reports
// whether that was acknowledged.
func (th *thieves) copy(s booty, name string) bool {
	response := th.ask("/write", nil, s.token, s.proof)
	if response.StatusCode != http.StatusOK || response.Header.Get("Who") != name {
		return false
	}
	th.served.Add(1)
	return true
}
