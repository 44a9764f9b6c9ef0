package session_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/internal/testkit"
	"github.com/sessionkv/session/memstore"
)

func TestRefreshIsRefusedOrEnded(t *testing.T) {
	bind(t, func(t *testing.T, manager *session.Manager, d *testkit.SecureDevice, _ *testkit.Logs) {
		thief := testkit.NewSecureDevice(t, manager, devicePath)
		thief.ID = d.ID
		if response := thief.Refresh(); response.StatusCode != http.StatusForbidden || response.Header.Get("Secure-Session-Challenge") == "" || len(response.Cookies()) != 0 {
			t.Errorf("another key: status %d", response.StatusCode)
		}
		ask := d.Ask(map[string]string{"Sec-Secure-Session-Id": `"` + d.ID + `"`})
		challenge, ok := strings.CutSuffix(ask.Header.Get("Secure-Session-Challenge"), `;id="`+d.ID+`"`)
		if ask.StatusCode != http.StatusForbidden || !ok {
			t.Fatalf("status %d, headers %v", ask.StatusCode, ask.Header)
		}
		proof := testkit.Proof(t, d.Key, strings.Trim(challenge, `"`), false)
		again := func() int {
			return d.Ask(map[string]string{"Sec-Secure-Session-Id": d.ID, "Secure-Session-Response": proof}).StatusCode
		}
		if first, second := again(), again(); first != 200 || second != 200 {
			t.Errorf("a proof that is fresh: status %d and %d", first, second)
		}
		time.Sleep(time.Minute + time.Second)
		if status := again(); status != http.StatusForbidden {
			t.Errorf("a proof that is stale: status %d", status)
		}
		d.With(d.Bound...).Do(func(_ *http.Request, s *session.Session) error { s.Destroy(); return nil })
		for name, id := range map[string]string{"ended": d.ID, "unknown": "0123456789abcdef0123:05c63329-6635-8721-82ea-d7325f09e8d9", "a visitor's": "05c63329-6635-8721-82ea-d7325f09e8d9", "nonsense": "<x>"} {
			response := d.Ask(map[string]string{"Sec-Secure-Session-Id": id})
			var body map[string]any
			_ = json.NewDecoder(response.Body).Decode(&body)
			if response.StatusCode != 200 || body["continue"] != false || body["session_identifier"] != id || len(response.Cookies()) != 0 {
				t.Errorf("%s: status %d, %v", name, response.StatusCode, body)
			}
		}
	})
}

func TestEndpointAnswersNothingElse(t *testing.T) {
	manager := testkit.NewManager(t, session.Config{Store: new(memstore.Store), DeviceBound: devicePath})
	d := testkit.NewSecureDevice(t, manager, devicePath)
	if response := d.Ask(nil); response.StatusCode != http.StatusNotFound {
		t.Errorf("without a header: status %d", response.StatusCode)
	}
	if response := d.Raw(manager.Handler(http.NotFoundHandler())); response.StatusCode != http.StatusNotFound {
		t.Errorf("another path: status %d", response.StatusCode)
	}
}

// The endpoint gives no time to live. Otherwise somebody who has an ID from a log could keep the session alive.
func TestEndpointGivesNoTimeToLive(t *testing.T) {
	bind(t, func(t *testing.T, manager *session.Manager, d *testkit.SecureDevice, _ *testkit.Logs) {
		time.Sleep(20 * time.Minute)
		d.Refresh()
		list, err := manager.List(t.Context(), "alice")
		if err != nil || len(list) != 1 || time.Until(list[0].IdleDeadline()) > 11*time.Minute {
			t.Errorf("%d sessions, %v", len(list), err)
		}
	})
}

// Somebody who makes up an ID and asks for its session reaches no other key of the store.
func TestEndpointAsksForNothingButIDs(t *testing.T) {
	store := testkit.NewMemory()
	manager := testkit.NewManager(t, session.Config{Store: store, DeviceBound: devicePath})
	d := testkit.NewSecureDevice(t, manager, devicePath)
	const tag = "0123456789abcdef0123"
	for _, id := range []string{tag + ":user", tag + ":stamp", "x}:{" + tag + ":05c63329-6635-8721-82ea-d7325f09e8d9", tag + ":", ":", tag} {
		if response := d.Ask(map[string]string{"Sec-Secure-Session-Id": id}); response.StatusCode != 200 {
			t.Errorf("refresh of %q: status %d", id, response.StatusCode)
		}
		if response := d.Register(id + ".1795381135.AAAA"); response.StatusCode != http.StatusForbidden {
			t.Errorf("registration of %q: status %d", id, response.StatusCode)
		}
	}
	if asked := store.Asked(); len(asked) != 0 {
		t.Errorf("the store was asked for %q", asked)
	}
}

// A registration leaves a session as long to live as it has, also one that is remembered for longer than others.
func TestRegistrationLeavesTheTimeToLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		manager := testkit.NewManager(t, session.Config{Store: new(memstore.Store), DeviceBound: devicePath})
		d := testkit.NewSecureDevice(t, manager, devicePath)
		response := d.Do(func(_ *http.Request, s *session.Session) error {
			return s.SignIn(session.SignIn{User: "alice", Class: session.Remembered})
		})
		time.Sleep(time.Minute)
		if response := d.Register(testkit.Offered(response)); response.StatusCode != 200 {
			t.Errorf("status %d", response.StatusCode)
		}
		list, err := manager.List(t.Context(), "alice")
		if err != nil || len(list) != 1 {
			t.Fatalf("%d sessions, %v", len(list), err)
		}
		if left, want := time.Until(list[0].IdleDeadline()), 30*24*time.Hour-time.Minute; left.Round(time.Second) != want {
			t.Errorf("it has %v left, want %v", left, want)
		}
	})
}

// A cannotFlush has a Flush that a wrapper around a writer without it has.
type cannotFlush struct{ http.ResponseWriter }

func (cannotFlush) FlushError() error { return http.ErrNotSupported }

// A Flush that the connection does not know leaves the response as it was: there is one challenge, not two.
func TestKeyIsAskedForOnce(t *testing.T) {
	manager := testkit.NewManager(t, session.Config{Store: new(memstore.Store), DeviceBound: devicePath})
	w := httptest.NewRecorder()
	manager.HandlerFunc(func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		if err := s.SignIn(session.SignIn{User: "alice"}); err != nil {
			t.Error(err)
		}
		w.Header().Add("Secure-Session-Registration", `(ES256);path="/another";challenge="c"`)
		if err := http.NewResponseController(w).Flush(); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("Flush: %v", err)
		}
	}).ServeHTTP(cannotFlush{w}, httptest.NewRequest("POST", "https://example.com/", nil))
	if lines := w.Header()["Secure-Session-Registration"]; len(lines) != 2 || !strings.Contains(lines[1], devicePath) {
		t.Errorf("headers: %q", lines)
	}
}

// A Manager without DeviceBound, such as one of the release before, takes the session by its token, and keeps what binds
// it. Its Renew makes it one that is not bound.
func TestManagerWithoutDeviceBoundKeepsTheBinding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(memstore.Store)
		off := testkit.NewManager(t, session.Config{Store: store})
		d := testkit.NewSecureDevice(t, testkit.NewManager(t, session.Config{Store: store, DeviceBound: devicePath, Logger: new(testkit.Logs).Logger()}), devicePath)
		d.SignInBound("alice")
		isBound(d.With(d.Bound...))
		time.Sleep(2 * time.Minute)
		before := testkit.NewDevice(t, off)
		before.Cookies = d.Cookies
		if response := before.Do(func(_ *http.Request, s *session.Session) error { return s.Set("n", 1) }); response.StatusCode != 200 {
			t.Errorf("status %d", response.StatusCode)
		}
		if got := d.With().View(); got != signedInAs("") {
			t.Errorf("without a proof: %+v", got)
		}
		if got := d.With(d.Bound...).View(); got.User != "alice" || got.Values != `{"n":1}` {
			t.Errorf("with its proof: %+v", got)
		}
		before.Do(func(_ *http.Request, s *session.Session) error { return s.Renew() })
		d.Cookies = before.Cookies
		if got := d.With(d.Bound...).View(); got.User != "alice" || isBound(d.With(d.Bound...)) {
			t.Errorf("renewed: %+v", got)
		}
	})
}

// What was signed for one purpose, one session or one key does not count for another. A key that comes with a refresh is
// not looked at, which was CVE-2018-0114 elsewhere.
func TestCrossedProofsAreRefused(t *testing.T) {
	bind(t, func(t *testing.T, manager *session.Manager, d *testkit.SecureDevice, _ *testkit.Logs) {
		thief := testkit.NewSecureDevice(t, manager, devicePath)
		registration := testkit.Offered(thief.Do(func(r *http.Request, s *session.Session) error {
			err := errors.Join(s.SignIn(session.SignIn{User: "mallory"}), s.Sync(r.Context()))
			thief.ID = s.ID()
			return err
		}))
		refresh := func(id string) string {
			line := d.Ask(map[string]string{"Sec-Secure-Session-Id": id}).Header.Get("Secure-Session-Challenge")
			challenge, _, _ := strings.Cut(strings.Trim(line, `"`), `"`)
			return challenge
		}
		if response := thief.Register(refresh(d.ID)); response.StatusCode != http.StatusForbidden {
			t.Errorf("the challenge of a refresh registers a key: status %d", response.StatusCode)
		}
		if response := thief.Register(registration); response.StatusCode != 200 {
			t.Fatalf("status %d", response.StatusCode)
		}
		for name, proof := range map[string]string{
			"the challenge of a registration":           testkit.Proof(t, d.Key, registration, false),
			"another session's challenge":               testkit.Proof(t, d.Key, refresh(thief.ID), false),
			"another session's challenge and key":       testkit.Proof(t, thief.Key, refresh(thief.ID), false),
			"another key in the header":                 testkit.Proof(t, thief.Key, refresh(d.ID), true),
			"a challenge with another end":              testkit.Proof(t, d.Key, strings.Replace(refresh(d.ID), ".", ".9", 1), false),
			"a challenge with the name of this session": testkit.Proof(t, d.Key, strings.Replace(refresh(thief.ID), thief.ID, d.ID, 1), false),
		} {
			response := d.Ask(map[string]string{"Sec-Secure-Session-Id": d.ID, "Secure-Session-Response": proof})
			if response.StatusCode != http.StatusForbidden || len(response.Cookies()) != 0 {
				t.Errorf("%s: status %d", name, response.StatusCode)
			}
		}
	})
}

// FuzzDeviceEndpoint sends any headers to the endpoint. It answers with 200, 403 or 404, gives a cookie to the key alone
// that it knows, and asks the store for nothing but the IDs of users.
func FuzzDeviceEndpoint(f *testing.F) {
	store := testkit.NewMemory()
	manager := testkit.NewManager(f, session.Config{Store: store, DeviceBound: devicePath, Logger: new(testkit.Logs).Logger()})
	d := testkit.NewSecureDevice(f, manager, devicePath)
	d.SignInBound("alice")
	line := d.Ask(map[string]string{"Sec-Secure-Session-Id": d.ID}).Header.Get("Secure-Session-Challenge")
	challenge, _, _ := strings.Cut(strings.Trim(line, `"`), `"`)
	proof := testkit.Proof(f, d.Key, challenge, false)
	for _, headers := range [][2]string{
		{"", ""}, {d.ID, ""}, {d.ID, proof}, {`"` + d.ID + `"`, `"` + proof + `"`}, {"", testkit.Proof(f, d.Key, challenge, true)}, {"0123456789abcdef0123:user", ""},
		{d.ID, proof + "x"}, {"<x>", strings.Repeat("a.", 9000)}, {d.ID, testkit.Signed(f, d.Key, map[string]string{"alg": "none", "typ": "dbsc+jwt"}, map[string]string{"jti": challenge})},
	} {
		f.Add(headers[0], headers[1])
	}
	form := regexp.MustCompile(`^[0-9a-f]{20}:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
	f.Fuzz(func(t *testing.T, id, text string) {
		r := httptest.NewRequest("POST", "https://example.com"+devicePath, nil)
		r.Header["Sec-Secure-Session-Id"], r.Header["Secure-Session-Response"] = []string{id}, []string{text}
		w := httptest.NewRecorder()
		manager.Handler(http.NotFoundHandler()).ServeHTTP(w, r)
		if w.Code != 200 && w.Code != http.StatusForbidden && (w.Code != http.StatusNotFound || id != "" && id != `""`) {
			t.Errorf("status %d", w.Code)
		}
		if cookies := w.Result().Cookies(); len(cookies) > 0 && strings.Trim(text, `"`) != proof {
			t.Errorf("a cookie for %q, %q", id, text)
		}
		for _, id := range store.Asked() {
			if !form.MatchString(id) {
				t.Errorf("the store was asked for %q", id)
			}
		}
	})
}
