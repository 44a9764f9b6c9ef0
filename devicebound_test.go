package session_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/internal/testkit"
	"github.com/sessionkv/session/memstore"
)

const devicePath = "/.device"

// bind runs a test in a bubble of time, with a Manager and alice's device, which is bound.
func bind(t *testing.T, test func(t *testing.T, manager *session.Manager, d *testkit.SecureDevice, logs *testkit.Logs)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		logs := new(testkit.Logs)
		manager := testkit.NewManager(t, session.Config{Store: new(memstore.Store), DeviceBound: devicePath, Logger: logs.Logger()})
		d := testkit.NewSecureDevice(t, manager, devicePath)
		d.SignInBound("alice")
		if !isBound(d.With(d.Bound...)) {
			t.Error("not bound after the sign-in")
		}
		test(t, manager, d, logs)
	})
}

// boundName is that of the cookie that proves the device of a session.
func boundName(id string) string { return "__Host-session-bound-" + id[21:29] }

// isBound makes a request and returns whether it has proved its device.
func isBound(d *testkit.Device) (bound bool) {
	d.Do(func(_ *http.Request, s *session.Session) error { bound = s.DeviceBound(); return nil })
	return bound
}

// unavailable reports whether Load fails.
func unavailable(t *testing.T, manager *session.Manager, d *testkit.Device, header http.Header) error {
	t.Helper()
	var failure error
	d.Raw(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, values := range header {
			r.Header[name] = values
		}
		manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_, failure = session.Load(r.Context())
		})).ServeHTTP(w, r)
	}))
	return failure
}

// The cookie that was copied to another machine leads to nothing, and says so in the log; the owner stays signed in.
func TestStolenCookieOfABoundSessionIsUseless(t *testing.T) {
	bind(t, func(t *testing.T, _ *session.Manager, d *testkit.SecureDevice, logs *testkit.Logs) {
		if got := d.With().View(); got.User != "alice" || isBound(d.With()) {
			t.Errorf("a request that was under way sees %+v", got)
		}
		time.Sleep(2 * time.Minute)
		if got := d.With().View(); got != signedInAs("") {
			t.Errorf("the thief sees %+v", got)
		}
		if !strings.Contains(logs.String(), "bound session without proof") || !strings.Contains(logs.String(), d.ID) {
			t.Errorf("logged: %s", logs)
		}
		d.With().Do(func(_ *http.Request, s *session.Session) error { s.Destroy(); return nil })
		if got := d.With(d.Bound...).View(); got.User != "alice" {
			t.Errorf("the owner sees %+v", got)
		}
	})
}

func TestBoundCookieIsRefreshed(t *testing.T) {
	bind(t, func(t *testing.T, _ *session.Manager, d *testkit.SecureDevice, _ *testkit.Logs) {
		for range 3 {
			time.Sleep(10*time.Minute + 20*time.Second) // it is late, and still on its way
			if !isBound(d.With(d.Bound...)) {
				t.Error("the cookie ends before its time")
			}
			time.Sleep(20 * time.Second)
			if got := d.With(d.Bound...).View(); got.User != "" {
				t.Errorf("with a cookie that is over: %+v", got)
			}
			if response := d.Refresh(); response.StatusCode != 200 {
				t.Fatalf("refresh: status %d", response.StatusCode)
			}
			if !isBound(d.With(d.Bound...)) {
				t.Error("not bound after the refresh")
			}
		}
	})
}

func TestInstructionsAreThoseOfTheCookie(t *testing.T) {
	bind(t, func(t *testing.T, _ *session.Manager, d *testkit.SecureDevice, _ *testkit.Logs) {
		time.Sleep(time.Minute)
		response := d.Refresh()
		body, _ := io.ReadAll(response.Body)
		var got struct {
			ID    string `json:"session_identifier"`
			URL   string `json:"refresh_url"`
			Scope struct {
				IncludeSite *bool `json:"include_site"`
			}
			Credentials []struct{ Type, Name, Attributes string }
			Initiators  []string `json:"allowed_refresh_initiators"`
		}
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatal(err)
		}
		if got.ID != d.ID || got.URL != devicePath || got.Scope.IncludeSite == nil || *got.Scope.IncludeSite || len(got.Initiators) != 1 || len(got.Credentials) != 1 {
			t.Fatalf("%s", body)
		}
		c := got.Credentials[0]
		if c.Type != "cookie" || c.Name != boundName(d.ID) || c.Attributes != "Path=/; HttpOnly; Secure; SameSite=Lax" {
			t.Errorf("%+v", c)
		}
		line := response.Header.Get("Set-Cookie")
		if !strings.HasPrefix(line, c.Name+"=") || !strings.Contains(line, "; Path=/; Max-Age=600; HttpOnly; Secure; SameSite=Lax") {
			t.Errorf("Set-Cookie: %s", line)
		}
		for name, want := range map[string]string{"Cache-Control": "no-store", "Cross-Origin-Resource-Policy": "same-origin", "Content-Type": "application/json"} {
			if got := response.Header.Get(name); got != want {
				t.Errorf("%s: %s", name, got)
			}
		}
	})
}

// The challenge leaves with the token and never again. Otherwise a thief could bind the session to a key of their own.
func TestKeyIsAskedForWithTheTokenAlone(t *testing.T) {
	manager := testkit.NewManager(t, session.Config{Store: new(memstore.Store), DeviceBound: devicePath})
	d := testkit.NewDevice(t, manager)
	visitor := d.Do(func(_ *http.Request, s *session.Session) error { return s.Set("n", 1) })
	signIn := d.Do(func(_ *http.Request, s *session.Session) error { return s.SignIn(session.SignIn{User: "alice"}) })
	later := d.Do(func(_ *http.Request, s *session.Session) error { return s.Set("n", 2) })
	renewed := d.Do(func(_ *http.Request, s *session.Session) error { return s.Renew() })
	for name, c := range map[string]struct {
		response *http.Response
		want     bool
	}{"a visitor": {visitor, false}, "SignIn": {signIn, true}, "later": {later, false}, "Renew": {renewed, true}} {
		header := c.response.Header.Get("Secure-Session-Registration")
		if (header != "") != c.want || c.want && !strings.HasPrefix(header, `(ES256);path="/.device";challenge="`) {
			t.Errorf("%s: %q", name, header)
		}
	}
	off := testkit.NewManager(t, session.Config{Store: new(memstore.Store)})
	if header := testkit.NewDevice(t, off).Do(func(_ *http.Request, s *session.Session) error { return s.SignIn(session.SignIn{User: "alice"}) }).Header; header["Secure-Session-Registration"] != nil {
		t.Errorf("it is off: %v", header)
	}
}

func TestRegistrationIsRefused(t *testing.T) {
	bind(t, func(t *testing.T, manager *session.Manager, d *testkit.SecureDevice, _ *testkit.Logs) {
		other := testkit.NewSecureDevice(t, manager, devicePath)
		fresh := func() string {
			return testkit.Offered(testkit.NewDevice(t, manager).Do(func(_ *http.Request, s *session.Session) error { return s.SignIn(session.SignIn{User: "bob"}) }))
		}
		register := func(challenge string) string { return testkit.Proof(t, other.Key, challenge, true) }
		offered := fresh()
		late := fresh()
		spoiled := register(fresh())
		for name, proof := range map[string]string{
			"no JWT":                   "proof",
			"without a key":            testkit.Proof(t, other.Key, fresh(), false),
			"a spoiled signature":      spoiled[:len(spoiled)-3] + "AAA",
			"a challenge of nobody":    register("1.2.3"),
			"an empty challenge":       register(""),
			"a challenge with a colon": register("a:b.1795381135.AAAA"),
			"another's challenge":      register(strings.Replace(offered, offered[:20], d.ID[:20], 1)),
			"another key's signature": testkit.Signed(t, d.Key, map[string]any{"alg": "ES256", "typ": "dbsc+jwt", "jwk": map[string]string{
				"kty": "EC", "crv": "P-256", "x": strings.Repeat("A", 43), "y": strings.Repeat("A", 43),
			}}, map[string]any{"jti": offered}),
		} {
			response := other.Ask(map[string]string{"Secure-Session-Response": proof})
			if response.StatusCode != http.StatusForbidden || len(response.Cookies()) != 0 {
				t.Errorf("%s: status %d", name, response.StatusCode)
			}
		}
		time.Sleep(5*time.Minute + time.Second)
		if response := other.Register(late); response.StatusCode != http.StatusForbidden {
			t.Errorf("a late one: status %d", response.StatusCode)
		}
	})
}

// A registration that is repeated finds its own key; another key never takes its place.
func TestSessionHasOneKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		manager := testkit.NewManager(t, session.Config{Store: new(memstore.Store), DeviceBound: devicePath})
		d, thief := testkit.NewSecureDevice(t, manager, devicePath), testkit.NewSecureDevice(t, manager, devicePath)
		challenge := testkit.Offered(d.Do(func(r *http.Request, s *session.Session) error {
			err := errors.Join(s.SignIn(session.SignIn{User: "alice"}), s.Sync(r.Context()))
			d.ID = s.ID()
			return err
		}))
		for range 2 {
			if response := d.Register(challenge); response.StatusCode != 200 {
				t.Errorf("status %d", response.StatusCode)
			}
		}
		if response := thief.Register(challenge); response.StatusCode != http.StatusForbidden {
			t.Errorf("another key: status %d", response.StatusCode)
		}
		if response := d.Refresh(); response.StatusCode != 200 {
			t.Errorf("the first key: status %d", response.StatusCode)
		}
	})
}

// A countedStore counts saves.
type countedStore struct {
	memstore.Store
	saves int
}

func (c *countedStore) Save(ctx context.Context, id string, was, value []byte, ttl time.Duration) ([]byte, error) {
	c.saves++
	return c.Store.Save(ctx, id, was, value, ttl)
}

// The response to a registration, which brings the cookie, can be lost, and a browser does not register again. It goes on
// without; from the first request with the cookie on, which is saved once, there is no other way.
func TestSessionIsBoundWhenTheCookieHasArrived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(countedStore)
		manager := testkit.NewManager(t, session.Config{Store: store, DeviceBound: devicePath, Logger: new(testkit.Logs).Logger()})
		d := testkit.NewSecureDevice(t, manager, devicePath)
		d.SignInBound("alice")
		before := store.saves
		visit := func(as *testkit.Device, user string, bound bool, saves int) {
			t.Helper()
			if got := as.View(); got.User != user || isBound(as) != bound || store.saves != before+saves {
				t.Errorf("got %+v, bound %v, after %d saves", got, isBound(as), store.saves-before)
			}
		}
		time.Sleep(9 * time.Minute)
		visit(d.With(), "alice", false, 0)
		visit(d.With(d.Bound...), "alice", true, 1)
		visit(d.With(d.Bound...), "alice", true, 1)
		time.Sleep(59 * time.Second)
		visit(d.With(), "alice", false, 1)
		time.Sleep(time.Second)
		visit(d.With(), "", false, 1)
	})
}

// A Load counts as such a request also behind a Peek, which is none, and leaves what was changed in between to the save.
func TestSessionIsBoundByALoadBehindAPeek(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := new(countedStore)
		manager := testkit.NewManager(t, session.Config{Store: store, DeviceBound: devicePath, Logger: new(testkit.Logs).Logger()})
		d := testkit.NewSecureDevice(t, manager, devicePath)
		d.SignInBound("alice")
		before := store.saves
		d.With(d.Bound...).Raw(manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			s, err := session.Peek(r.Context())
			if err != nil || store.saves != before {
				t.Errorf("after the Peek: %v, %d saves", err, store.saves-before)
				return
			}
			err = visits.Set(s, 1)
			_, loaded := session.Load(r.Context())
			if n, _ := visits.Get(s); err != nil || loaded != nil || n != 1 || store.saves != before+1 {
				t.Errorf("after the Load: %v, %v, %d, %d saves", err, loaded, n, store.saves-before)
			}
			if err := s.Sync(r.Context()); err != nil { // the change
				t.Error(err)
			}
			if err := s.Sync(r.Context()); err != nil || store.saves != before+2 {
				t.Errorf("after the Syncs: %v, %d saves", err, store.saves-before)
			}
		})))
		time.Sleep(time.Minute)
		if got := d.With().View(); got.User != "" {
			t.Errorf("without the cookie: %+v", got)
		}
	})
}

// A browser that could not ask for a proof is not signed out: it is not known whether there is a session.
func TestSkippedProofIsNoSignOut(t *testing.T) {
	bind(t, func(t *testing.T, manager *session.Manager, d *testkit.SecureDevice, _ *testkit.Logs) {
		time.Sleep(15 * time.Minute)
		skipped := func(id string) http.Header {
			return http.Header{"Secure-Session-Skipped": {`quota_exceeded;session_identifier="` + id + `"`}}
		}
		if err := unavailable(t, manager, d.With(), skipped(d.ID)); !errors.Is(err, session.ErrUnproven) {
			t.Errorf("got %v", err)
		}
		if err := unavailable(t, manager, d.With(), skipped("another")); err != nil {
			t.Errorf("of another session: %v", err)
		}
		if err := unavailable(t, manager, d.With(d.Bound...), skipped(d.ID)); !errors.Is(err, session.ErrUnproven) {
			t.Errorf("with a cookie that is over: %v", err)
		}
	})
}

// After a renewal no old key counts, and the old session of the browser ends without touching the new cookie.
func TestRenewedSessionIsBoundAnew(t *testing.T) {
	bind(t, func(t *testing.T, manager *session.Manager, d *testkit.SecureDevice, _ *testkit.Logs) {
		old := *d
		owner := d.With(d.Bound...)
		response := owner.Do(func(r *http.Request, s *session.Session) error {
			err := errors.Join(s.Renew(), s.Sync(r.Context()))
			d.ID = s.ID()
			return err
		})
		d.Cookies = owner.Cookies
		if isBound(d.With(old.Bound...)) {
			t.Error("the old cookie proves the new session")
		}
		if response := old.Refresh(); response.StatusCode != 200 || len(response.Cookies()) != 0 {
			t.Errorf("the old session's refresh: status %d, cookies %v", response.StatusCode, response.Cookies())
		}
		if response := d.Refresh(); response.StatusCode != 200 || len(response.Cookies()) != 0 {
			t.Errorf("a refresh with the old key: status %d", response.StatusCode)
		}
		if response := d.Register(testkit.Offered(response)); response.StatusCode != 200 || !isBound(d.With(d.Bound...)) {
			t.Errorf("the new registration: status %d", response.StatusCode)
		}
	})
}

// A planted session that is bound to the attacker's key is not so after the victim's sign-in.
func TestPlantedSessionIsNotBoundAfterTheSignIn(t *testing.T) {
	bind(t, func(t *testing.T, manager *session.Manager, attacker *testkit.SecureDevice, _ *testkit.Logs) {
		victim := attacker.With(attacker.Bound...)
		victim.Do(func(_ *http.Request, s *session.Session) error { return s.SignIn(session.SignIn{User: "bob"}) })
		list, err := manager.List(t.Context(), "bob")
		if err != nil || len(list) != 1 {
			t.Fatalf("%d sessions, %v", len(list), err)
		}
		attacker.ID = list[0].ID()
		if response := attacker.Refresh(); response.StatusCode != 200 || len(response.Cookies()) != 0 {
			t.Errorf("the attacker's refresh: status %d, cookies %v", response.StatusCode, response.Cookies())
		}
	})
}

// A registration that races with a save of a handler keeps both.
func TestRegistrationBesideASaveKeepsBoth(t *testing.T) {
	manager := testkit.NewManager(t, session.Config{Store: new(memstore.Store), DeviceBound: devicePath})
	d := testkit.NewSecureDevice(t, manager, devicePath)
	challenge := testkit.Offered(d.Do(func(_ *http.Request, s *session.Session) error { return s.SignIn(session.SignIn{User: "alice"}) }))
	d.Do(func(_ *http.Request, s *session.Session) error {
		if response := d.Register(challenge); response.StatusCode != 200 {
			t.Errorf("status %d", response.StatusCode)
		}
		return s.Set("n", 1)
	})
	if got := d.With(d.Bound...).View(); got.Values != `{"n":1}` || !isBound(d.With(d.Bound...)) {
		t.Errorf("got %+v", got)
	}
}

// A browser that signed in twice, the second time from another site, has the keys of two living sessions. Each has a
// cookie of its own. Otherwise the session that is refreshed last would sign the browser out of the other.
func TestTwoBoundSessionsOfABrowser(t *testing.T) {
	bind(t, func(t *testing.T, manager *session.Manager, first *testkit.SecureDevice, _ *testkit.Logs) {
		second := testkit.NewSecureDevice(t, manager, devicePath)
		second.SignInBound("alice")
		both := append(first.Bound, second.Bound...)
		if !isBound(first.With(both...)) || !isBound(second.With(both...)) || first.Bound[0].Name == second.Bound[0].Name {
			t.Errorf("cookies %s and %s", first.Bound[0].Name, second.Bound[0].Name)
		}
	})
}

func TestDestroyClearsBothCookies(t *testing.T) {
	bind(t, func(t *testing.T, _ *session.Manager, d *testkit.SecureDevice, _ *testkit.Logs) {
		response := d.With(d.Bound...).Do(func(_ *http.Request, s *session.Session) error { s.Destroy(); return nil })
		cleared := map[string]bool{}
		for _, cookie := range response.Cookies() {
			cleared[cookie.Name] = cookie.MaxAge < 0
		}
		if !cleared["__Host-session"] || !cleared[boundName(d.ID)] {
			t.Errorf("Set-Cookie: %q", response.Header["Set-Cookie"])
		}
	})
}

func TestDeviceBoundFaults(t *testing.T) {
	for mentions, config := range map[string]session.Config{
		"must be the path of a URL": {DeviceBound: "device"},
		"without an escape":         {DeviceBound: `/a"b`},
		"within Cookie.Path":        {DeviceBound: "/.device", Cookie: session.Cookie{Path: "/app"}},
		"for its cookie to arrive":  {DeviceBound: "/apple", Cookie: session.Cookie{Path: "/app"}},
		"needs HTTPS":               {DeviceBound: "/d", Cookie: session.Cookie{InsecureHTTP: true}},
		"Cookie.Partitioned":        {DeviceBound: "/d", Cookie: session.Cookie{Partitioned: true}},
		"Cookie.Domain":             {DeviceBound: "/d", Cookie: session.Cookie{Domain: "example.com"}},
		"SameSite=None":             {DeviceBound: "/d", Cookie: session.Cookie{SameSite: http.SameSiteNoneMode}},
		"Bearer is not":             {DeviceBound: "/d", Bearer: true},
		"a Store that knows users":  {DeviceBound: "/d", Store: testkit.ConstStore{}},
	} {
		if config.Store == nil {
			config.Store = new(memstore.Store)
		}
		if _, err := session.New(config); err == nil || !strings.Contains(err.Error(), mentions) {
			t.Errorf("%s: %v", mentions, err)
		}
	}
}

// A stolen cookie is of no use in a header either, with a Manager for apps on the same store.
func TestBoundSessionIsNoBearer(t *testing.T) {
	store := new(memstore.Store)
	browsers := testkit.NewManager(t, session.Config{Store: store, DeviceBound: devicePath})
	d := testkit.NewSecureDevice(t, browsers, devicePath)
	d.SignInBound("alice")
	thief := &client{testkit.NewManager(t, session.Config{Store: store, Bearer: true}), d.Cookies[0].Value}
	if got := thief.user(); got != "" {
		t.Errorf("the thief is %q", got)
	}
}

// After the handler, and in OnError, the session can be read as before.
func TestSessionCanBeReadAfterItsHandler(t *testing.T) {
	bind(t, func(t *testing.T, _ *session.Manager, d *testkit.SecureDevice, _ *testkit.Logs) {
		var kept *session.Session
		d.With(d.Bound...).Do(func(_ *http.Request, s *session.Session) error {
			kept = s
			return nil
		})
		if kept.LastUsed().IsZero() || !kept.DeviceBound() {
			t.Errorf("last used at %v, bound: %v", kept.LastUsed(), kept.DeviceBound())
		}
	})
}
