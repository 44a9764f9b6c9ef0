package main

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/redisstore"
)

// secrets are the users' passwords.
var secrets = map[string]string{"alice": "wonderland", "bob": "builder"}

func TestSignInAndOut(t *testing.T) {
	site := newSite(t)
	b := site.browser()
	b.get("/").wantRedirect("/sign-in")
	b.signIn("alice")
	b.get("/").wantPage("<h1>alice</h1>")
	b.post("/note", "note", "buy <tea>").wantRedirect("/")
	b.get("/").wantPage(`value="buy &lt;tea&gt;"`)

	out := b.post("/sign-out")
	out.wantRedirect("/sign-in")
	if cookie := out.sessionCookie(); cookie == nil || cookie.MaxAge >= 0 {
		t.Errorf("the sign-out answers with the cookie %v, want it cleared", cookie)
	}
	b.get("/").wantRedirect("/sign-in")
	site.wantEmptyRedis()
}

func TestNoticeIsShownOnce(t *testing.T) {
	b := newSite(t).browser()
	b.signIn("alice")
	b.get("/").wantPage("You are signed in.")
	b.get("/").wantPageWithout("You are signed in.")
	b.post("/note", "note", "tea").wantRedirect("/")
	b.get("/").wantPage("Your note is kept.")
	b.get("/").wantPageWithout("Your note is kept.")
}

func TestStrangersGetNoSession(t *testing.T) {
	site := newSite(t)
	b := site.browser()
	b.get("/").wantRedirect("/sign-in")
	b.get("/sign-in").wantPage(`action="/sign-in"`)
	b.post("/note", "note", "tea").wantRedirect("/sign-in")
	b.post("/sign-out").wantRedirect("/sign-in")
	site.wantEmptyRedis()
	if n := site.redis.CommandCount(); n != 0 {
		t.Errorf("%d commands of Redis, want none", n)
	}
}

func TestWrongPassword(t *testing.T) {
	site := newSite(t)
	b := site.browser()
	for _, try := range []struct{ why, name, password string }{
		{"a wrong password", "alice", "wonderlan"},
		{"another's password", "alice", secrets["bob"]},
		{"no password", "alice", ""},
		{"an unknown user", "mallory", secrets["alice"]},
		{"nothing", "", ""},
	} {
		refused := b.post("/sign-in", "name", try.name, "password", try.password)
		if refused.StatusCode != 403 || !strings.Contains(refused.body, "Wrong name or password.") || refused.sessionCookie() != nil {
			t.Errorf("%s: %d %v %q", try.why, refused.StatusCode, refused.sessionCookie(), refused.body)
		}
	}
	b.get("/").wantRedirect("/sign-in")
	site.wantEmptyRedis()
}

func TestWrongPasswordLeavesTheSessionAsItIs(t *testing.T) {
	b := newSite(t).browser()
	b.signIn("alice")
	token := b.token()
	b.post("/sign-in", "name", "bob", "password", "wrong")
	b.get("/").wantPage("<h1>alice</h1>")
	if b.token() != token {
		t.Error("the cookie has changed")
	}
}

// Session fixation: an attacker plants the cookie of a session of his own, and waits for the victim to sign in.
func TestPlantedCookieGainsNothing(t *testing.T) {
	site := newSite(t)
	attacker, victim := site.browser(), site.browser()
	attacker.signIn("bob")
	victim.plant(attacker.token())
	victim.get("/").wantPage("<h1>bob</h1>")

	victim.signIn("alice")
	victim.get("/").wantPage("<h1>alice</h1>")
	if victim.token() == attacker.token() {
		t.Error("the sign-in kept the cookie")
	}
	attacker.get("/").wantRedirect("/sign-in")
}

func TestSigningInAgainEndsTheOldCookie(t *testing.T) {
	site := newSite(t)
	b, old := site.browser(), site.browser()
	b.signIn("alice")
	b.post("/note", "note", "tea").wantRedirect("/")
	old.plant(b.token())
	b.signIn("alice")
	b.get("/").wantPage(`value="tea"`)
	old.get("/").wantRedirect("/sign-in")
}

func TestSignedOutCookieLeadsNowhere(t *testing.T) {
	site := newSite(t)
	b, replay := site.browser(), site.browser()
	b.signIn("alice")
	replay.plant(b.token())
	replay.get("/").wantPage("<h1>alice</h1>")
	b.post("/sign-out").wantRedirect("/sign-in")
	replay.get("/").wantRedirect("/sign-in")
	replay.post("/note", "note", "tea").wantRedirect("/sign-in")
	site.wantEmptyRedis()
}

func TestUsersDoNotGetEachOthersNotes(t *testing.T) {
	site := newSite(t)
	shared, own := site.browser(), site.browser()
	shared.signIn("alice")
	shared.post("/note", "note", "of alice").wantRedirect("/")
	own.signIn("bob")
	own.post("/note", "note", "of bob").wantRedirect("/")
	shared.get("/").wantPage(`value="of alice"`)

	shared.signIn("bob") // where alice has not signed out
	shared.get("/").wantPage("<h1>bob</h1>")
	shared.get("/").wantPage(`value=""`)
	own.get("/").wantPage(`value="of bob"`)
}

func TestRequestsOfOtherSitesAreRefused(t *testing.T) {
	site := newSite(t)
	b := site.browser()
	b.signIn("alice")
	b.get("/")
	before := site.redis.CommandCount()
	for name, value := range map[string]string{
		"Sec-Fetch-Site": "cross-site",
		"Origin":         "https://attacker.example", // what older browsers say
	} {
		for path, form := range map[string][]string{
			"/sign-in":  {"name", "bob", "password", secrets["bob"]},
			"/note":     {"note", "planted"},
			"/sign-out": nil,
		} {
			request := b.request("POST", path, form...)
			request.Header.Del("Sec-Fetch-Site")
			request.Header.Set(name, value)
			if refused := b.do(request); refused.StatusCode != 403 || refused.sessionCookie() != nil {
				t.Errorf("POST %s with %s: %d %v, want 403", path, name, refused.StatusCode, refused.sessionCookie())
			}
		}
	}
	if n := site.redis.CommandCount() - before; n != 0 {
		t.Errorf("%d commands of Redis, want none", n)
	}
	b.get("/").wantPage("<h1>alice</h1>")
	b.get("/").wantPage(`value=""`)
}

func TestSlowRequestDoesNotBringTheSessionBack(t *testing.T) {
	site := newSite(t)
	b := site.browser()
	b.signIn("alice")
	finish := b.startSlowly("/note", "note", "late")
	b.post("/sign-out").wantRedirect("/sign-in")
	if late := finish(); late.sessionCookie() != nil {
		t.Errorf("the late response sets the cookie %v", late.sessionCookie())
	}
	site.wantEmptyRedis()
	b.get("/").wantRedirect("/sign-in")
}

func TestSlowRequestDoesNotReachTheNextUser(t *testing.T) {
	b := newSite(t).browser()
	b.signIn("alice")
	finish := b.startSlowly("/note", "note", "of alice")
	b.signIn("bob")
	if late := finish(); late.sessionCookie() != nil {
		t.Errorf("the late response sets the cookie %v", late.sessionCookie())
	}
	b.get("/").wantPage("<h1>bob</h1>")
	b.get("/").wantPage(`value=""`)
}

func TestTooLargeFormIsRefused(t *testing.T) {
	b := newSite(t).browser()
	b.signIn("alice")
	b.post("/note", "note", "tea").wantRedirect("/")
	if refused := b.post("/note", "note", strings.Repeat("x", maxBody)); refused.StatusCode != 400 {
		t.Errorf("status %d, want 400", refused.StatusCode)
	}
	b.get("/").wantPage(`value="tea"`)
}

// That Redis is down does not mean that nobody is signed in.
func TestRedisDown(t *testing.T) {
	site := newSite(t)
	b := site.browser()
	b.signIn("alice")
	token := b.token()
	site.redis.SetError("LOADING Redis is loading the dataset in memory")
	for _, failed := range []answer{
		b.get("/"),
		b.post("/sign-out"),
		b.post("/sign-in", "name", "bob", "password", secrets["bob"]),
		site.browser().post("/sign-in", "name", "bob", "password", secrets["bob"]), // without a cookie, so the save fails
	} {
		if failed.StatusCode != 503 || failed.sessionCookie() != nil {
			t.Errorf("%s: %d %v, want 503", failed.Request.URL, failed.StatusCode, failed.sessionCookie())
		}
	}
	site.redis.SetError("")
	b.get("/").wantPage("<h1>alice</h1>")
	if b.token() != token {
		t.Error("the cookie has changed")
	}
}

// A site is the example over HTTPS, as the cookie demands, and its Redis.
type site struct {
	t      *testing.T
	server *httptest.Server
	redis  *miniredis.Miniredis
}

func newSite(t *testing.T) *site {
	t.Helper()
	redis := miniredis.RunT(t)
	store, err := redisstore.Open(redis.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	sessions, err := session.New(session.Config{Store: store})
	if err != nil {
		t.Fatal(err)
	}
	accounts := newPasswords(1)
	for name, password := range secrets {
		if err := accounts.set(name, password); err != nil {
			t.Fatal(err)
		}
	}
	server := httptest.NewTLSServer(routes(sessions, accounts))
	t.Cleanup(server.Close)
	return &site{t, server, redis}
}

func (s *site) wantEmptyRedis() {
	s.t.Helper()
	if keys := s.redis.Keys(); len(keys) != 0 {
		s.t.Errorf("Redis has %q, want nothing", keys)
	}
}

// A browser keeps cookies and follows no redirects.
type browser struct {
	t      *testing.T
	client *http.Client
	url    string
}

func (s *site) browser() *browser {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	transport := s.server.Client().Transport.(*http.Transport).Clone()
	transport.ExpectContinueTimeout = time.Minute // for startSlowly
	s.t.Cleanup(transport.CloseIdleConnections)
	return &browser{s.t, &http.Client{
		Transport:     transport,
		Jar:           jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, s.server.URL}
}

// request is what a page of the site itself makes a browser send. The form is names and values in turn.
func (b *browser) request(method, path string, form ...string) *http.Request {
	b.t.Helper()
	values := url.Values{}
	for i := 0; i < len(form); i += 2 {
		values.Set(form[i], form[i+1])
	}
	request, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, strings.NewReader(values.Encode()))
	if err != nil {
		b.t.Fatal(err)
	}
	request.Header.Set("Sec-Fetch-Site", "same-origin")
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return request
}

func (b *browser) get(path string) answer {
	b.t.Helper()
	return b.do(b.request("GET", path))
}

func (b *browser) post(path string, form ...string) answer {
	b.t.Helper()
	return b.do(b.request("POST", path, form...))
}

func (b *browser) signIn(name string) {
	b.t.Helper()
	b.post("/sign-in", "name", name, "password", secrets[name]).wantRedirect("/")
}

func (b *browser) do(request *http.Request) answer {
	b.t.Helper()
	a, err := b.try(request)
	if err != nil {
		b.t.Fatal(err)
	}
	return a
}

func (b *browser) try(request *http.Request) (answer, error) {
	response, err := b.client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return answer{b.t, response, string(body)}, err
}

// startSlowly posts a form and returns when the handler is waiting for it, with its session loaded. The form is sent, and
// the answer returned, when finish is called.
func (b *browser) startSlowly(path string, form ...string) (finish func() answer) {
	b.t.Helper()
	request := b.request("POST", path, form...)
	body := &slowBody{ReadCloser: request.Body, asked: make(chan struct{}), send: make(chan struct{})}
	request.Body, request.GetBody = body, nil
	request.Header.Set("Expect", "100-continue") // the server says "continue" when the handler begins to read
	var (
		a    answer
		err  error
		done = make(chan struct{})
	)
	go func() {
		defer close(done)
		a, err = b.try(request)
	}()
	select {
	case <-body.asked:
	case <-done:
		b.t.Fatalf("the request ended without its form: %v", err)
	}
	return func() answer {
		b.t.Helper()
		close(body.send)
		<-done
		if err != nil {
			b.t.Fatal(err)
		}
		return a
	}
}

// slowBody tells when it is read for the first time, and waits.
type slowBody struct {
	io.ReadCloser
	once        sync.Once
	asked, send chan struct{}
}

func (s *slowBody) Read(p []byte) (int, error) {
	s.once.Do(func() {
		close(s.asked)
		<-s.send
	})
	return s.ReadCloser.Read(p)
}

const cookieName = "__Host-session"

// token is the value of the session's cookie, or "".
func (b *browser) token() string {
	b.t.Helper()
	for _, cookie := range b.client.Jar.Cookies(b.address()) {
		if cookie.Name == cookieName {
			return cookie.Value
		}
	}
	return ""
}

// plant gives the browser another's cookie.
func (b *browser) plant(token string) {
	b.t.Helper()
	b.client.Jar.SetCookies(b.address(), []*http.Cookie{{Name: cookieName, Value: token, Path: "/", Secure: true}})
}

func (b *browser) address() *url.URL {
	b.t.Helper()
	address, err := url.Parse(b.url)
	if err != nil {
		b.t.Fatal(err)
	}
	return address
}

type answer struct {
	t *testing.T
	*http.Response
	body string
}

// sessionCookie is what the answer sets the session's cookie to, or nil.
func (a answer) sessionCookie() *http.Cookie {
	for _, cookie := range a.Cookies() {
		if cookie.Name == cookieName {
			return cookie
		}
	}
	return nil
}

func (a answer) wantRedirect(to string) {
	a.t.Helper()
	if got := a.Header.Get("Location"); a.StatusCode != 303 || got != to {
		a.t.Errorf("%s %s: %d to %q, want 303 to %q: %s", a.Request.Method, a.Request.URL, a.StatusCode, got, to, a.body)
	}
}

func (a answer) wantPage(with string) {
	a.t.Helper()
	if a.StatusCode != 200 || !strings.Contains(a.body, with) {
		a.t.Errorf("%s %s: %d, want 200 with %q: %s", a.Request.Method, a.Request.URL, a.StatusCode, with, a.body)
	}
}

func (a answer) wantPageWithout(text string) {
	a.t.Helper()
	if a.StatusCode != 200 || strings.Contains(a.body, text) {
		a.t.Errorf("%s %s: %d, want 200 without %q: %s", a.Request.Method, a.Request.URL, a.StatusCode, text, a.body)
	}
}
