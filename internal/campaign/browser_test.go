package campaign

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sessionkv/session/internal/testkit"
)

const (
	devicePath  = "/.device"
	boundPrefix = testkit.CookieName + "-bound-" // of the cookies that prove a device

	quota       = 6 // signatures of a site in quotaWindow
	quotaWindow = 9 * time.Minute
	proactive   = 2 * time.Minute // a cookie that ends within it is refreshed before it is needed
	challenges  = 5               // in a row, after which the session of the device ends
)

// A browser does with cookies and Device Bound Session Credentials what Chromium does, as far as its server can tell. It
// can be used by several goroutines at once.
type browser struct {
	t      testing.TB
	server http.Handler
	loses  func() bool // whether the response to a request about its devices does not arrive

	mu      sync.Mutex
	jar     map[string]crumb
	devices map[string]*credential // by the identifier of the session
	offers  []string               // challenges of registrations that are to be made
	signed  []time.Time
	ended   []int // the statuses that have ended sessions of devices
}

type crumb struct {
	value   string
	expires time.Time // zero: with the browser
}

// A credential is a key and the session that is bound to it.
type credential struct {
	id     string
	key    *ecdsa.PrivateKey
	cookie string        // its name
	turn   chan struct{} // whose holder refreshes
	proof  string        // which was sent, and has not been answered
}

func newBrowser(t testing.TB, server http.Handler) *browser {
	return &browser{t: t, server: server, loses: func() bool { return false }, jar: map[string]crumb{}, devices: map[string]*credential{}}
}

// A visit is a request that the browser makes by itself, or because a page of another site wants it.
type visit struct {
	method, path string
	elsewhere    bool
}

// bringsLax reports whether cookies of SameSite=Lax are sent.
func (v visit) bringsLax() bool { return !v.elsewhere || v.method == http.MethodGet }

// do makes a request, for which it refreshes what has expired.
func (b *browser) do(v visit) *http.Response {
	r := httptest.NewRequestWithContext(b.t.Context(), v.method, "https://example.com"+v.path, nil)
	r.Header.Set("Sec-Fetch-Mode", "navigate")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if v.elsewhere {
		r.Header.Set("Sec-Fetch-Site", "cross-site")
	}
	if v.bringsLax() { // else the request would not have the cookie, whether it is refreshed or not
		for _, c := range b.credentials() {
			left := b.left(c.cookie)
			why := ""
			if left < proactive {
				why = b.refresh(c)
			}
			if why != "" && left <= 0 {
				r.Header.Add("Secure-Session-Skipped", why+`;session_identifier="`+c.id+`"`)
			}
		}
		b.addCookies(r)
	}
	response := b.send(r)
	b.mu.Lock()
	defer b.mu.Unlock()
	if challenge := testkit.Offered(response); challenge != "" {
		b.offers = append(b.offers, challenge)
	}
	return response
}

func (b *browser) send(r *http.Request) *http.Response {
	w := httptest.NewRecorder()
	b.server.ServeHTTP(w, r)
	response := w.Result()
	b.take(response)
	return response
}

// take keeps and drops cookies as a response says.
func (b *browser) take(response *http.Response) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, cookie := range response.Cookies() {
		switch {
		case cookie.MaxAge < 0:
			delete(b.jar, cookie.Name)
		case cookie.MaxAge > 0:
			b.jar[cookie.Name] = crumb{cookie.Value, time.Now().Add(time.Duration(cookie.MaxAge) * time.Second)}
		default:
			b.jar[cookie.Name] = crumb{value: cookie.Value}
		}
	}
}

func (b *browser) addCookies(r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, c := range b.jar {
		if c.expires.IsZero() || time.Now().Before(c.expires) {
			r.AddCookie(&http.Cookie{Name: name, Value: c.value})
		}
	}
}

// left returns how long a cookie is going to be sent.
func (b *browser) left(name string) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return time.Until(b.jar[name].expires)
}

// value returns that of a cookie, "" if there is none.
func (b *browser) value(name string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.jar[name].value
}

// dropProofs lets the cookies expire that prove the device.
func (b *browser) dropProofs() {
	b.mu.Lock()
	defer b.mu.Unlock()
	maps.DeleteFunc(b.jar, func(name string, _ crumb) bool { return strings.HasPrefix(name, boundPrefix) })
}

func (b *browser) credentials() []*credential {
	b.mu.Lock()
	defer b.mu.Unlock()
	ids := slices.Sorted(maps.Keys(b.devices))
	list := make([]*credential, len(ids))
	for i, id := range ids {
		list[i] = b.devices[id]
	}
	return list
}

// maySign reports whether one more signature is within the quota.
func (b *browser) maySign() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.signed = slices.DeleteFunc(b.signed, func(at time.Time) bool { return time.Since(at) > quotaWindow })
	if len(b.signed) >= quota {
		return false
	}
	b.signed = append(b.signed, time.Now())
	return true
}

// ask makes a request about devices, which has no Lax cookie. It is nil if the response is lost.
func (b *browser) ask(headers map[string]string) *http.Response {
	r := httptest.NewRequestWithContext(b.t.Context(), http.MethodPost, "https://example.com"+devicePath, nil)
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	b.server.ServeHTTP(w, r)
	response := w.Result()
	if s := response.StatusCode; s == http.StatusUnauthorized || s == http.StatusTooManyRequests || s/100 == 3 {
		b.t.Errorf("the endpoint has answered %d", s)
	}
	if b.loses() {
		return nil
	}
	b.take(response)
	return response
}

// register makes the registrations that were asked for, each once, whatever comes of it.
func (b *browser) register() {
	b.mu.Lock()
	offers := b.offers
	b.offers = nil
	b.mu.Unlock()
	for _, challenge := range offers {
		if !b.maySign() {
			continue
		}
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			b.t.Fatal(err)
		}
		response := b.ask(map[string]string{"Secure-Session-Response": testkit.Proof(b.t, key, challenge, true)})
		if response == nil || response.StatusCode != http.StatusOK {
			continue
		}
		i := b.instructions(response)
		b.mu.Lock()
		b.devices[i.ID] = &credential{id: i.ID, key: key, cookie: i.Credentials[0].Name, turn: make(chan struct{}, 1)}
		b.mu.Unlock()
	}
}

type instructions struct {
	ID          string `json:"session_identifier"`
	Continue    *bool
	Credentials []struct{ Name string }
}

func (b *browser) instructions(response *http.Response) (i instructions) {
	if err := json.NewDecoder(response.Body).Decode(&i); err != nil || i.ID == "" || i.Continue == nil && len(i.Credentials) != 1 {
		b.t.Errorf("instructions: %v", err)
	}
	return i
}

var challengeForm = regexp.MustCompile(`^"([^"]+)";id="([^"]+)"$`)

// refresh gets the cookie of a credential anew, once for all requests that wait for it. It returns why it could not.
func (b *browser) refresh(c *credential) (why string) {
	before := b.value(c.cookie)
	c.turn <- struct{}{}
	defer func() { <-c.turn }()
	if now := b.value(c.cookie); now != before && b.left(c.cookie) > 0 {
		return "" // another request has done it
	}
	for range challenges {
		headers := map[string]string{"Sec-Secure-Session-Id": c.id}
		if c.proof != "" {
			headers["Secure-Session-Response"] = c.proof
		}
		response := b.ask(headers)
		switch {
		case response == nil:
			return "unreachable"
		case response.StatusCode == http.StatusOK:
			if i := b.instructions(response); i.Continue != nil && !*i.Continue {
				b.end(c, response.StatusCode)
			}
			c.proof = ""
			return ""
		case response.StatusCode >= 500:
			return "server_error"
		}
		challenge := challengeForm.FindStringSubmatch(response.Header.Get("Secure-Session-Challenge"))
		if response.StatusCode != http.StatusForbidden || challenge == nil || challenge[2] != c.id {
			b.end(c, response.StatusCode)
			return ""
		}
		if !b.maySign() {
			return "quota_exceeded"
		}
		c.proof = testkit.Proof(b.t, c.key, challenge[1], false)
	}
	b.end(c, http.StatusForbidden)
	return ""
}

// end forgets a credential.
func (b *browser) end(c *credential, status int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.devices, c.id)
	b.ended = append(b.ended, status)
}
