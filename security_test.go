package session_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/redistest"
	"github.com/sessionkv/session/internal/sessiontest"
	"github.com/sessionkv/session/redisstore"
)

// malformed returns the IDs that m was asked for and that no token leads to.
func malformed(m *sessiontest.Memory) (ids []string) {
	for _, id := range m.Asked() {
		if !sessiontest.IsID(id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// A1: what an attacker would have to guess comes from crypto/rand. The one use of math/rand is the pause between two tries.
func TestMathRandIsUsedForPausesAlone(t *testing.T) {
	var users []string
	for _, file := range sources(t) {
		for _, spec := range file.Imports {
			path := strings.Trim(spec.Path.Value, `"`)
			if !strings.HasPrefix(path, "math/rand") {
				continue
			}
			name := "rand"
			if spec.Name != nil {
				name = spec.Name.Name
			}
			for _, decl := range file.Decls {
				ast.Inspect(decl, func(n ast.Node) bool {
					if selector, ok := n.(*ast.SelectorExpr); ok {
						if base, ok := selector.X.(*ast.Ident); ok && base.Name == name {
							users = append(users, decl.(*ast.FuncDecl).Name.Name)
						}
					}
					return true
				})
			}
		}
	}
	if !slices.Equal(users, []string{"pause"}) {
		t.Errorf("math/rand is used in %q", users)
	}
}

// sources parses the Go files that an application is built with.
func sources(t *testing.T) (files []*ast.File) {
	t.Helper()
	for _, folder := range []string{".", "driver", "redisstore", "internal/object", "internal/record", "internal/token", "internal/value"} {
		files = append(files, goFiles(t, folder)...)
	}
	return files
}

// goFiles parses the Go files of a folder that are no tests.
func goFiles(t *testing.T, folder string) []*ast.File {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	if len(files) == 0 {
		t.Fatalf("no Go files in %s", folder)
	}
	return files
}

// A6: a token anywhere but in the cookie is not looked at.
func TestTokensAreReadFromTheCookieAlone(t *testing.T) {
	b, mini := sessiontest.MiniRedis(t)
	manager := sessiontest.NewManager(t, session.Config{Store: b.Store})
	cookies, _ := sessiontest.Begin(t, manager, map[string]any{"user": "alice"})
	token := cookies[0].Value
	form := url.Values{"__Host-session": {token}, "session": {token}, "id": {token}, "sid": {token}}.Encode()
	header := func(name, value string) *http.Request {
		r := httptest.NewRequest("GET", "https://example.com/", nil)
		r.Header.Set(name, value)
		return r
	}
	post := httptest.NewRequest("POST", "https://example.com/", strings.NewReader(form))
	post.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	tests := map[string]*http.Request{
		"query":                 httptest.NewRequest("GET", "https://example.com/?"+form, nil),
		"path":                  httptest.NewRequest("GET", "https://example.com/;__Host-session="+token+"/__Host-session/"+token, nil),
		"user of the URL":       httptest.NewRequest("GET", "https://"+token+":"+token+"@example.com/", nil),
		"form":                  post,
		"Authorization, bearer": header("Authorization", "Bearer "+token),
		"Authorization, basic":  header("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(token+":"+token))),
		"X-Session":             header("X-Session", token),
		"field named as cookie": header("__Host-session", token),
		"Set-Cookie":            header("Set-Cookie", "__Host-session="+token),
		"Cookie2":               header("Cookie2", "__Host-session="+token),
		"Referer":               header("Referer", "https://example.com/?"+form),
		"a cookie named id":     header("Cookie", "id="+token),
		"a cookie without Host": header("Cookie", "session="+token),
	}
	for name, r := range tests {
		t.Run(name, func(t *testing.T) {
			before := mini.CommandCount()
			manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				_ = r.ParseForm()
				if s := sessiontest.Load(t, r); s.ID() != "" || len(s.Keys()) != 0 {
					t.Errorf("there is a session %q", s.ID())
				}
			})).ServeHTTP(httptest.NewRecorder(), r)
			if after := mini.CommandCount(); after != before {
				t.Errorf("%d commands", after-before)
			}
		})
	}
	if got := sessiontest.Values(t, manager, cookies); got != `{"user":"alice"}` {
		t.Errorf("in the cookie it leads to %s", got)
	}
}

// A6, A7: no part of a response but Set-Cookie has the token, and no part names the library.
func TestTokensLeaveInSetCookieAlone(t *testing.T) {
	b, mini := sessiontest.MiniRedis(t)
	manager := sessiontest.NewManager(t, session.Config{Store: b.Store, Logger: new(sessiontest.Logs).Logger()})
	browser := sessiontest.NewBrowser(t, sessiontest.Serve(t, manager.Handler(sessiontest.Routes{
		"/begin": func(w http.ResponseWriter, r *http.Request) {
			s := sessiontest.Load(t, r)
			_ = user.Set(s, "alice")
			fmt.Fprintf(w, "%v %+v %s", s, s, s.ID())
		},
		"/read": func(w http.ResponseWriter, r *http.Request) {
			text, _ := sessiontest.Load(t, r).MarshalJSON()
			_, _ = w.Write(text)
		},
		"/renew": func(w http.ResponseWriter, r *http.Request) { _ = sessiontest.Load(t, r).Renew() },
		"/redirect": func(w http.ResponseWriter, r *http.Request) {
			_ = sessiontest.Load(t, r).Renew()
			http.Redirect(w, r, "/read", http.StatusSeeOther)
		},
		"/error": func(w http.ResponseWriter, r *http.Request) {
			_ = sessiontest.Load(t, r).Renew()
			http.Error(w, "no", http.StatusInternalServerError)
		},
		"/unsaved": func(w http.ResponseWriter, r *http.Request) {
			_ = sessiontest.Load(t, r).Renew()
			mini.SetError("OOM")
		},
		"/refused": func(w http.ResponseWriter, r *http.Request) {
			_, err := session.Load(r.Context())
			http.Error(w, fmt.Sprintf("%v %+v", err, err), http.StatusServiceUnavailable)
		},
		"/destroy": func(w http.ResponseWriter, r *http.Request) { sessiontest.Load(t, r).Destroy() },
	})))
	for _, path := range []string{"/begin", "/read", "/renew", "/redirect", "/error", "/unsaved", "/refused", "/destroy"} {
		before := browser.Token()
		if path == "/destroy" {
			mini.SetError("")
		}
		got := browser.Get(path)
		tokens := []string{before, browser.Token()}
		for _, line := range got.Header["Set-Cookie"] {
			name, _, _ := strings.Cut(line, ";")
			tokens = append(tokens, strings.TrimPrefix(name, "__Host-session="))
		}
		got.Header.Del("Set-Cookie")
		response := fmt.Sprint(got.Status, got.Header, got.Trailer, got.Text)
		for _, token := range tokens {
			if token != "" && strings.Contains(response, token) {
				t.Errorf("%s: the token is in %s", path, response)
			}
		}
		if strings.Contains(response, "sessionkv") {
			t.Errorf("%s names the library: %s", path, response)
		}
	}
}

// B7, CVE-2015-5143, CVE-2015-5963, CVE-2015-5964: whoever has no session cannot fill the store, whatever cookie they send,
// as long as the handler sets nothing.
func TestRequestsWithoutASessionStoreNothing(t *testing.T) {
	b, mini := sessiontest.MiniRedis(t)
	manager := sessiontest.NewManager(t, session.Config{Store: b.Store})
	handler := func(_ http.ResponseWriter, r *http.Request, s *session.Session) {
		user.Get(s)
		user.Pop(s)
		s.Delete("user")
		s.Clear()
		if err := s.Renew(); err != nil {
			t.Error(err)
		}
		s.Destroy()
		_ = user.Set(s, "nobody")
		user.Delete(s)
		if err := s.Save(r.Context()); err != nil {
			t.Error(err)
		}
	}
	tests := map[string]struct {
		cookies  func() []*http.Cookie
		commands int
	}{
		"no cookie":          {func() []*http.Cookie { return nil }, 0},
		"malformed":          {func() []*http.Cookie { return sessiontest.Carrying(rand.Text()) }, 0},
		"past its deadline":  {func() []*http.Cookie { return sessiontest.Carrying(sessiontest.Forge(time.Now().Add(-time.Second))) }, 0},
		"never issued":       {func() []*http.Cookie { return sessiontest.Carrying(sessiontest.Forge(time.Now().Add(time.Hour))) }, 1000},
		"four never issued":  {func() []*http.Cookie { return repeat(4) }, 4000},
		"five never issued":  {func() []*http.Cookie { return repeat(5) }, 0},
		"fifty never issued": {func() []*http.Cookie { return repeat(50) }, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			before := mini.CommandCount()
			for range 1000 {
				if response := sessiontest.Request(t, manager, test.cookies(), handler); response.StatusCode != 200 || response.Header.Get("Set-Cookie") != "" {
					t.Fatalf("status %d, headers %v", response.StatusCode, response.Header)
				}
			}
			if commands := mini.CommandCount() - before; commands != test.commands {
				t.Errorf("%d commands, want %d", commands, test.commands)
			}
			if size := b.Do("DBSIZE"); size != int64(0) {
				t.Errorf("%v keys", size)
			}
		})
	}
}

// repeat returns n well-formed cookies that lead to nothing.
func repeat(n int) (cookies []*http.Cookie) {
	for range n {
		cookies = append(cookies, sessiontest.Carrying(sessiontest.Forge(time.Now().Add(time.Hour)))...)
	}
	return cookies
}

// B2, B3, CVE-2022-25896: what an attacker has planted in the victim's browser is worth nothing after the sign-in, and
// brings no data of the attacker's if the handler clears it, not even what the attacker adds during the sign-in.
func TestPlantedSessionGainsNothingFromASignIn(t *testing.T) {
	b, _ := sessiontest.MiniRedis(t)
	manager := sessiontest.NewManager(t, session.Config{Store: b.Store})
	planted, id := sessiontest.Begin(t, manager, map[string]any{"cart": "attacker's"})
	response := sessiontest.Request(t, manager, planted, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		s.Clear()
		if err := s.Renew(); err != nil {
			t.Error(err)
		}
		_ = user.Set(s, "victim")
		sessiontest.Request(t, manager, planted, func(_ http.ResponseWriter, _ *http.Request, attacker *session.Session) {
			_ = attacker.Set("returnTo", "https://attacker.example")
		})
	})
	signedIn := response.Cookies()
	if len(signedIn) != 1 || signedIn[0].Value == planted[0].Value {
		t.Fatalf("cookies %v", signedIn)
	}
	if got := sessiontest.Values(t, manager, signedIn); got != `{"user":"victim"}` {
		t.Errorf("the victim has %s", got)
	}
	after := sessiontest.Request(t, manager, planted, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		if s.ID() != "" || len(s.Keys()) != 0 {
			t.Errorf("the attacker has a session %q with %q", s.ID(), s.Keys())
		}
	})
	if after.Header.Get("Set-Cookie") != "" || b.Get(t, id) != "" {
		t.Errorf("headers %v, stored %s", after.Header, b.Get(t, id))
	}
	again := sessiontest.Request(t, manager, signedIn, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { _ = s.Renew() })
	if fresh := again.Cookies(); len(fresh) != 1 || fresh[0].Value == signedIn[0].Value || sessiontest.Values(t, manager, signedIn) != "{}" {
		t.Errorf("a second sign-in: cookies %v, the first token leads to %s", fresh, sessiontest.Values(t, manager, signedIn))
	}
}

// An everlastingStore forgets nothing.
type everlastingStore struct{ driver.Store }

func (s everlastingStore) Load(ctx context.Context, id string, _ time.Duration) ([]byte, error) {
	return s.Store.Load(ctx, id, 1000*time.Hour)
}

func (s everlastingStore) Save(ctx context.Context, id string, was, value []byte, _ time.Duration) ([]byte, error) {
	return s.Store.Save(ctx, id, was, value, 1000*time.Hour)
}

// C2, C3, C4, CVE-2024-35220: the end of Lifetime comes for a busy session too, on a store that forgets nothing, and only
// Renew moves it.
func TestLifetimeEndsABusySession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := sessiontest.NewMemory()
		store := &sessiontest.FaultyStore{Store: everlastingStore{memory}}
		manager := sessiontest.NewManager(t, session.Config{Store: store, IdleTimeout: 10 * time.Minute, Lifetime: time.Hour})
		start := time.Now()
		cookies, id := sessiontest.Begin(t, manager, map[string]any{"n": 0})
		use := func(n int) {
			t.Helper()
			response := sessiontest.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
				if want := start.Add(time.Hour); s.ID() != id || !s.Deadline().Equal(want) {
					t.Errorf("after %v: session %q until %v, want %q until %v", time.Since(start), s.ID(), s.Deadline(), id, want)
				}
				_ = s.Set("n", n)
			})
			if response.Header.Get("Set-Cookie") != "" {
				t.Errorf("after %v: headers %v", time.Since(start), response.Header)
			}
		}
		for n := range 11 {
			time.Sleep(5 * time.Minute)
			use(n + 1)
		}
		time.Sleep(5*time.Minute - time.Second)
		use(12)
		slow := sessiontest.Request(t, manager, cookies, func(_ http.ResponseWriter, r *http.Request, s *session.Session) {
			time.Sleep(time.Second)
			_ = s.Set("n", 13)
			if err := s.Save(r.Context()); err != session.ErrEnded {
				t.Errorf("Save at the deadline: %v", err)
			}
		})
		if stored := memory.Stored()[id]; slow.Header.Get("Set-Cookie") != "" || !strings.HasSuffix(stored, `"n":12}`) {
			t.Errorf("headers %v, stored %s", slow.Header, stored)
		}
		store.Calls()
		if got := sessiontest.Values(t, manager, cookies); got != "{}" {
			t.Errorf("after its Lifetime the session has %s", got)
		}
		if calls := store.Calls(); calls != "0 loads, 0 saves, 0 deletes" {
			t.Errorf("a token past its deadline: %s", calls)
		}

		start = time.Now()
		cookies, _ = sessiontest.Begin(t, manager, map[string]any{"n": 0})
		time.Sleep(50 * time.Minute)
		renewed := sessiontest.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
			_ = s.Renew()
		}).Cookies()
		time.Sleep(time.Hour - time.Second)
		if got := sessiontest.Values(t, manager, renewed); got != `{"n":0}` {
			t.Errorf("a renewed session, within its Lifetime: %s", got)
		}
		time.Sleep(time.Second)
		if got := sessiontest.Values(t, manager, renewed); got != "{}" {
			t.Errorf("a renewed session, after its Lifetime: %s", got)
		}
	})
}

// C1, C2: what the zero Config means.
func TestDefaultTimeouts(t *testing.T) {
	b, mini := sessiontest.MiniRedis(t)
	manager := sessiontest.NewManager(t, session.Config{Store: b.Store})
	cookies, id := sessiontest.Begin(t, manager, map[string]any{"n": 1})
	if ttl := mini.TTL("session:" + id); ttl != 30*time.Minute {
		t.Errorf("idle for %v", ttl)
	}
	sessiontest.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		if rest := time.Until(s.Deadline()); rest > 8*time.Hour+time.Second || rest < 8*time.Hour-time.Minute {
			t.Errorf("%v to the deadline", rest)
		}
	})
}

// C3, C6: the deadline is the token's. Neither a PERSIST by hand nor a time to live of any length in Redis moves it, and a key
// without a time to live gets one as soon as it is used.
func TestDeadlineHoldsWhateverRedisSays(t *testing.T) {
	tests := map[string]struct {
		deadline time.Time
		lives    bool
	}{
		"a second ago":   {time.Now().Add(-time.Second), false},
		"a year ago":     {time.Now().AddDate(-1, 0, 0), false},
		"in 1970":        {time.Unix(0, 0), false},
		"in an hour":     {time.Now().Add(time.Hour), true},
		"in five bytes":  {time.Unix(1<<40-1, 0), true},
		"before 1970":    {time.Unix(-1, 0), true}, // five bytes have no sign: the year 36812
		"the first byte": {time.Unix(1<<32, 0), true},
	}
	sessiontest.OnEachRedis(t, func(t *testing.T, b sessiontest.Backend) {
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				manager := sessiontest.NewManager(t, session.Config{Store: b.Store, IdleTimeout: time.Minute, Lifetime: 2 * time.Hour})
				token := sessiontest.Forge(test.deadline)
				b.Do("SET", "session:"+sessiontest.IDOf(token), `{"user":"alice"}`)
				b.Do("PERSIST", "session:"+sessiontest.IDOf(token))
				want, ttl := "{}", int64(-1)
				if test.lives {
					want, ttl = `{"user":"alice"}`, 60_000
				}
				if got := sessiontest.Values(t, manager, sessiontest.Carrying(token)); got != want {
					t.Errorf("got %s, want %s", got, want)
				}
				left := b.Do("PTTL", "session:"+sessiontest.IDOf(token)).(int64)
				if left > ttl || left < ttl-10_000 {
					t.Errorf("%d ms to live, want %d", left, ttl)
				}
			})
		}
	})
}

// A4, F5, CVE-2026-39324: another token is another session. No bit of a token can be changed, and so its deadline cannot be
// moved; nothing falls back to a weaker check.
func TestChangedTokenLeadsToNothing(t *testing.T) {
	b, _ := sessiontest.MiniRedis(t)
	manager := sessiontest.NewManager(t, session.Config{Store: b.Store})
	cookies, id := sessiontest.Begin(t, manager, map[string]any{"user": "alice"})
	live := cookies[0].Value
	raw, err := base64.RawURLEncoding.DecodeString(live)
	if err != nil || sessiontest.IDOf(live) != id {
		t.Fatalf("%v, ID %s", err, id)
	}
	changed := map[string]string{
		"the ID":             id,
		"the key":            "session:" + id,
		"standard base64":    base64.StdEncoding.EncodeToString(raw),
		"hexadecimal":        fmt.Sprintf("%x", raw),
		"the bytes":          string(raw),
		"percent-encoded":    fmt.Sprintf("%%%02X%s", live[0], live[1:]),
		"quoted":             `"` + live + `"`,
		"with a line break":  live[:20] + "\n" + live[20:],
		"with a signature":   live + "." + live,
		"upper case":         strings.ToUpper(live),
		"the hash as random": base64.RawURLEncoding.EncodeToString(append(raw[:5:5], fmt.Sprintf("%-27.27s", id)...)),
	}
	for bit := range 8 * len(raw) {
		flipped := slices.Clone(raw)
		flipped[bit/8] ^= 1 << (bit % 8)
		changed[fmt.Sprintf("bit %d", bit)] = base64.RawURLEncoding.EncodeToString(flipped)
	}
	for i := range len(live) {
		for _, c := range []byte{live[i] ^ 1, live[i] ^ 0x20, '=', ' ', 0} {
			changed[fmt.Sprintf("character %d as %q", i, c)] = live[:i] + string(rune(c)) + live[i+1:]
		}
	}
	later := slices.Clone(raw)
	binary.BigEndian.PutUint32(later[1:], binary.BigEndian.Uint32(later[1:])+3600)
	changed["an hour more"] = base64.RawURLEncoding.EncodeToString(later)
	for name, token := range changed {
		if token == live {
			t.Fatalf("%s is the token itself", name)
		}
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Cookie", "__Host-session="+token)
		w := httptest.NewRecorder()
		manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if s := sessiontest.Load(t, r); s.ID() != "" && name != "quoted" { // RFC 6265 lets a value stand in quotes
				t.Errorf("%s: there is a session %q", name, s.ID())
			}
		})).ServeHTTP(w, r)
		if w.Code != 200 || w.Header().Get("Set-Cookie") != "" {
			t.Errorf("%s: status %d, headers %v", name, w.Code, w.Header())
		}
	}
}

// C5, B3: whatever a request with the old token does, before, during or after a sign-in, the browser ends with the new one.
func TestBrowserEndsWithTheTokenOfTheSignIn(t *testing.T) {
	for work, do := range sessiontest.SlowWorks() {
		for _, order := range []string{"the old request ends last", "the sign-in ends last", "the old request comes late"} {
			if order == "the old request comes late" && !slices.Contains([]string{"reads", "deletes", "clears", "renews", "destroys"}, work) {
				continue // it has no session, and a Set begins one: docs/security.md, "A Set without a session"
			}
			t.Run(work+", "+order, func(t *testing.T) {
				b, _ := sessiontest.MiniRedis(t)
				manager := sessiontest.NewManager(t, session.Config{Store: b.Store})
				waiting := sessiontest.NewGate()
				old, signIn := waiting.Wait, func() {}
				if order == "the sign-in ends last" {
					old, signIn = signIn, old
				}
				browser := sessiontest.NewBrowser(t, sessiontest.Serve(t, manager.Handler(sessiontest.Routes{
					"/begin": func(w http.ResponseWriter, r *http.Request) { _ = sessiontest.Load(t, r).Set("n", 1) },
					"/old": func(w http.ResponseWriter, r *http.Request) {
						s := sessiontest.Load(t, r)
						old()
						do(w, s)
					},
					"/sign-in": func(w http.ResponseWriter, r *http.Request) {
						s := sessiontest.Load(t, r)
						signIn()
						_ = s.Renew()
						_ = user.Set(s, "alice")
					},
					"/who": func(w http.ResponseWriter, r *http.Request) {
						name, _ := user.Get(sessiontest.Load(t, r))
						fmt.Fprint(w, name)
					},
				})))
				browser.Get("/begin")
				planted := browser.Token()
				var signedIn sessiontest.Answer
				switch order {
				case "the old request ends last":
					done := browser.Start("/old")
					<-waiting.Reached
					signedIn = browser.Get("/sign-in")
					close(waiting.Open)
					<-done
				case "the sign-in ends last":
					done := browser.Start("/sign-in")
					<-waiting.Reached
					browser.Get("/old")
					close(waiting.Open)
					signedIn = <-done
				default:
					signedIn = browser.Get("/sign-in")
					late := sessiontest.Request(t, manager, sessiontest.Carrying(planted), func(w http.ResponseWriter, _ *http.Request, s *session.Session) { do(w, s) })
					if late.Header.Get("Set-Cookie") != "" {
						t.Errorf("Set-Cookie: %s", late.Header.Get("Set-Cookie"))
					}
				}
				if token := browser.Token(); token == "" || token == planted || !strings.Contains(signedIn.SetCookie(), "="+token+";") {
					t.Errorf("the browser has %q, it was sent %q", token, signedIn.SetCookie())
				}
				if got := browser.Get("/who"); got.Text != "alice" {
					t.Errorf("signed in as %q", got.Text)
				}
			})
		}
	}
}

// CVE-2023-20862: a session without values is not one without changes.
func TestEmptiedSessionIsSaved(t *testing.T) {
	sessiontest.OnEachRedis(t, func(t *testing.T, b sessiontest.Backend) {
		for name, empty := range map[string]func(s *session.Session){
			"Delete": func(s *session.Session) { s.Delete("user") },
			"Clear":  func(s *session.Session) { s.Clear() },
			"Pop":    func(s *session.Session) { user.Pop(s) },
			"Key":    func(s *session.Session) { user.Delete(s) },
		} {
			t.Run(name, func(t *testing.T) {
				manager := sessiontest.NewManager(t, session.Config{Store: b.Store})
				cookies, id := sessiontest.Begin(t, manager, map[string]any{"user": "alice"})
				sessiontest.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { empty(s) })
				if got := sessiontest.Values(t, manager, cookies); got != "{}" {
					t.Errorf("the next request sees %s", got)
				}
				if form := regexp.MustCompile(`^\{"_rev":"[A-Za-z0-9_-]{16}"\}$`); !form.MatchString(b.Get(t, id)) {
					t.Errorf("stored %s", b.Get(t, id))
				}
			})
		}
	})
}

// E1: Secure is the configuration's business, never that of a header anybody can send.
func TestSecureDoesNotDependOnTheRequest(t *testing.T) {
	b, _ := sessiontest.MiniRedis(t)
	for _, insecure := range []bool{false, true} {
		manager := sessiontest.NewManager(t, session.Config{Store: b.Store, Cookie: session.Cookie{InsecureHTTP: insecure}})
		for _, address := range []string{"http://example.com/", "https://example.com/"} {
			for _, field := range []string{"X-Forwarded-Proto: http", "X-Forwarded-Proto: https", "Forwarded: proto=http", "X-None: "} {
				r := httptest.NewRequest("GET", address, nil)
				name, value, _ := strings.Cut(field, ": ")
				r.Header.Set(name, value)
				w := httptest.NewRecorder()
				manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _ = sessiontest.Load(t, r).Set("n", 1) })).ServeHTTP(w, r)
				cookie := w.Result().Cookies()[0]
				if cookie.Secure == insecure || !cookie.HttpOnly || strings.HasPrefix(cookie.Name, "__Host-") == insecure {
					t.Errorf("%s with %s: %s", address, field, w.Header().Get("Set-Cookie"))
				}
			}
		}
	}
}

// hostileHeaders are header lines of requests, with N for the cookie's name, T for a live token and O for another. A
// request is anonymous or the right one's, and costs a lookup for each well-formed token, if there are at most four.
var hostileHeaders = map[string]struct {
	lines, want string
	loads       int
}{
	"as browsers send it":             {"Cookie: N=T", "200 alice", 1},
	"among others":                    {"Cookie: a=b; N=T; c=d", "200 alice", 1},
	"a lower-case field":              {"cookie: N=T", "200 alice", 1},
	"two fields, as from HTTP/2":      {"Cookie: a=b\r\nCookie: N=T", "200 alice", 1},
	"twice in one field":              {"Cookie: N=T; N=T", "200 alice", 1},
	"twice in two fields":             {"Cookie: N=T\r\nCookie: N=T", "200 alice", 1},
	"RFC 2965, $Version":              {"Cookie: $Version=1; N=T; $Path=/", "200 alice", 1},
	"in quotes":                       {`Cookie: N="T"`, "200 alice", 1},
	"white space around the field":    {"Cookie:  \t N=T \t ", "200 alice", 1},
	"two that live":                   {"Cookie: N=T; N=O", "200 nobody", 2},
	"two that live, two fields":       {"Cookie: N=O\r\nCookie: N=T", "200 nobody", 2},
	"a space before the value":        {"Cookie: N= T", "200 nobody", 0},
	"a space in the value":            {"Cookie: N=T T", "200 nobody", 0},
	"a comma in place of a semicolon": {"Cookie: N=T,N=O", "200 nobody", 0},
	"an ampersand":                    {"Cookie: a=b&N=T", "200 nobody", 0},
	"lower case":                      {"Cookie: __host-session=T", "200 nobody", 0},
	"upper case":                      {"Cookie: __HOST-SESSION=T", "200 nobody", 0},
	"U+00A0 before the name":          {"Cookie: \u00a0N=T", "200 nobody", 0},
	"U+2000 before the name":          {"Cookie: \u2000N=T", "200 nobody", 0},
	"0xA0 before the name":            {"Cookie: \xa0N=T", "200 nobody", 0},
	"U+2000 after the name":           {"Cookie: N\u2000=T", "200 nobody", 0},
	"without a name":                  {"Cookie: =N=T", "200 nobody", 0},
	"a name in the value":             {"Cookie: a=N=T", "200 nobody", 0},
	"no value":                        {"Cookie: N=", "200 nobody", 0},
	"no equals sign":                  {"Cookie: N", "200 nobody", 0},
	"a quote in the value":            {`Cookie: N="T`, "200 nobody", 0},
	"a backslash":                     {`Cookie: N=\T`, "200 nobody", 0},
	"a byte above 0x7f":               {"Cookie: N=T\x80", "200 nobody", 0},
	"a letter that looks the same":    {"Cookie: N=\u0410AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "200 nobody", 0},
	"percent signs":                   {"Cookie: N=%41T", "200 nobody", 0},
	"glob characters":                 {"Cookie: N=" + strings.Repeat("*", 43), "200 nobody", 0},
	"a path":                          {"Cookie: N=" + strings.Repeat("../", 14) + "x", "200 nobody", 0},
	"a key":                           {"Cookie: N=session:00000000-0000-8000-8000-000000000000", "200 nobody", 0},
	"an ID":                           {"Cookie: N=00000000-0000-8000-8000-000000000000", "200 nobody", 0},
	"attributes of Set-Cookie":        {"Cookie: N=x; Path=/; N=T; HttpOnly", "200 alice", 1},
	"64 kB":                           {"Cookie: N=" + strings.Repeat("A", 64<<10), "200 nobody", 0},
	"64 kB beside the token":          {"Cookie: N=" + strings.Repeat("A", 64<<10) + "; N=T", "200 alice", 1},
	"five of the name":                {"Cookie: N=T" + strings.Repeat("; N=?", 4), "200 nobody", 0},
	"a thousand of the name":          {"Cookie: N=T" + strings.Repeat("; N=?", 1000), "200 nobody", 0},
	"a thousand that are malformed":   {"Cookie: N=T" + strings.Repeat("; N=x", 1000), "200 alice", 1},
	"NUL":                             {"Cookie: N=T\x00", "400 ", 0},
	"DEL":                             {"Cookie: N=T\x7f", "400 ", 0},
	"a bare CR":                       {"Cookie: N=T\rx", "400 ", 0},
	"2 MiB":                           {"Cookie: N=" + strings.Repeat("A", 2<<20), "431 ", 0},
}

// A5, F1, F2, F3, F4: hostile headers over the wire, through the server's own parser.
func TestHostileCookieHeaders(t *testing.T) {
	memory := sessiontest.NewMemory()
	store := &sessiontest.FaultyStore{Store: memory}
	var log sessiontest.Logs
	manager := sessiontest.NewManager(t, session.Config{Store: store, Logger: log.Logger()})
	alice, _ := sessiontest.Begin(t, manager, map[string]any{"user": "alice"})
	other, _ := sessiontest.Begin(t, manager, map[string]any{"user": "other"})
	server := httptest.NewServer(manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, ok := user.Get(sessiontest.Load(t, r)); ok {
			fmt.Fprint(w, name)
			return
		}
		fmt.Fprint(w, "nobody")
	})))
	defer server.Close()
	store.Calls()
	for name, test := range hostileHeaders {
		t.Run(name, func(t *testing.T) {
			response, text := exchange(t, server, fill(test.lines, alice[0].Value, other[0].Value))
			if response.StatusCode != 200 {
				text = "" // the server's own
			}
			if got := fmt.Sprint(response.StatusCode, " ", text); got != test.want {
				t.Errorf("got %.60q, want %q", got, test.want)
			}
			if response.Header.Get("Set-Cookie") != "" {
				t.Errorf("Set-Cookie: %s", response.Header.Get("Set-Cookie"))
			}
			if calls := store.Calls(); calls != fmt.Sprintf("%d loads, 0 saves, 0 deletes", test.loads) {
				t.Errorf("%s, want %d", calls, test.loads)
			}
		})
	}
	if ids := malformed(memory); len(ids) != 0 {
		t.Errorf("the store was asked for %q", ids)
	}
	for _, cookies := range [][]*http.Cookie{alice, other} {
		if strings.Contains(log.String(), cookies[0].Value) {
			t.Errorf("a token in the log: %s", log.String())
		}
	}
	if !strings.Contains(log.String(), "two living sessions") {
		t.Errorf("two living sessions are not logged: %s", log.String())
	}
}

// CVE-2025-58186: Go drops all cookies of a request that has more than 3,000 (since 1.25.2). That is a visitor without a session,
// and no failure.
func TestThousandsOfCookiesAreNoFailure(t *testing.T) {
	store := sessiontest.NewMemory()
	manager := sessiontest.NewManager(t, session.Config{Store: store})
	alice, id := sessiontest.Begin(t, manager, map[string]any{"user": "alice"})
	server := httptest.NewServer(manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, _ := user.Get(sessiontest.Load(t, r))
		fmt.Fprint(w, name)
	})))
	defer server.Close()
	for n, want := range map[int][]string{2_000: {"alice"}, 10_000: {"", "alice"}} {
		response, text := exchange(t, server, fill("Cookie: N=T"+strings.Repeat("; a=b", n), alice[0].Value, ""))
		if response.StatusCode != 200 || !slices.Contains(want, text) || response.Header.Get("Set-Cookie") != "" {
			t.Errorf("%d cookies: %d %q %v", n, response.StatusCode, text, response.Header)
		}
	}
	if len(store.Stored()) != 1 || store.Stored()[id] == "" {
		t.Errorf("%d sessions", len(store.Stored()))
	}
}

// fill replaces the letters of hostileHeaders, a question mark by a token that leads to nothing.
func fill(lines, token, other string) string {
	lines = strings.NewReplacer("N=", "__Host-session=", "N\u2000", "__Host-session\u2000", "T", token, "O", other).Replace(lines)
	for strings.Contains(lines, "?") {
		lines = strings.Replace(lines, "?", sessiontest.Forge(time.Now().Add(time.Hour)), 1)
	}
	return lines
}

// exchange sends a request with these header lines, byte for byte.
func exchange(t *testing.T, server *httptest.Server, lines string) (*http.Response, string) {
	t.Helper()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go func() {
		_, _ = fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n%s\r\n\r\n", lines)
	}()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil && response.StatusCode == 200 {
		t.Fatal(err)
	}
	return response, string(text)
}

// J3, J4: JSON made to hurt whoever decodes it is no session, or one like any other; it is never a failure.
func TestMonstersInTheStore(t *testing.T) {
	nested := func(open, end string, depth int) string {
		return strings.Repeat(open, depth) + "1" + strings.Repeat(end, depth)
	}
	tests := map[string]struct {
		value string
		lives bool
	}{
		"as deep as is allowed":    {`{"x":` + nested("[", "]", 9_999) + `}`, true},
		"one level more":           {`{"x":` + nested("[", "]", 10_000) + `}`, false},
		"a million arrays":         {`{"x":` + nested("[", "]", 1_000_000) + `}`, false},
		"a million objects":        {nested(`{"x":`, "}", 1_000_000), false},
		"a million that stay open": {`{"x":` + strings.Repeat("[", 1_000_000), false},
		"a number of 1 MB":         {`{"x":` + strings.Repeat("9", 1_000_000) + `}`, true},
		"a number beyond float64":  {`{"x":1e999999999,"y":-1e-999999999}`, true},
		"a name of 1 MB":           {`{"` + strings.Repeat("x", 1_000_000) + `":1}`, true},
		"a hundred thousand names": {`{` + strings.TrimSuffix(strings.Repeat(`"x":1,`, 100_000), ",") + `}`, true},
		"half a surrogate pair":    {`{"x":"\ud800","\udc00":1}`, true},
		"NUL":                      {"{\"x\":\"\x00\"}", false},
		"__proto__":                {`{"__proto__":{"user":"admin"},"constructor":{}}`, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b, _ := sessiontest.MiniRedis(t)
			var log sessiontest.Logs
			manager := sessiontest.NewManager(t, session.Config{Store: b.Store, MaxBytes: 8 << 20, Logger: log.Logger()})
			cookies, id := sessiontest.Begin(t, manager, map[string]any{"n": 1})
			b.Do("SET", "session:"+id, test.value, "PX", 60_000)
			response := sessiontest.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
				if (s.ID() != "") != test.lives {
					t.Errorf("session %q", s.ID())
				}
				_, _ = user.Get(s)
				_, _ = session.Key[any]("x").Get(s)
				_, _ = session.Key[float64]("x").Get(s)
				if err := user.Set(s, "alice"); err != nil {
					t.Error(err)
				}
			})
			if response.StatusCode != 200 {
				t.Errorf("status %d", response.StatusCode)
			}
			if got := b.Get(t, id); !test.lives && got != test.value || test.lives && !strings.HasSuffix(got, strings.TrimPrefix(test.value[:len(test.value)-1], "{")+`,"user":"alice"}`) {
				t.Errorf("stored %.60q", got)
			}
			if logged := log.String() != ""; logged == test.lives || strings.Contains(log.String(), "[[[") {
				t.Errorf("log: %.200s", log.String())
			}
		})
	}
}

// J6: applications that share a Redis, each with its Prefix, share no session, whatever the prefixes are.
func TestPrefixesKeepApplicationsApart(t *testing.T) {
	sessiontest.OnEachRedis(t, func(t *testing.T, b sessiontest.Backend) {
		pool := &redis.Pool{Dial: func() (redis.Conn, error) { return redis.Dial("tcp", b.Address) }, MaxIdle: 4}
		defer pool.Close()
		prefixes := []string{"session:", "session:admin:", "session", "s", "*", "[a-z]*:", "a b\r\n", "\x00\xff", `"`, strings.Repeat("p", 1000)}
		var managers []*session.Manager
		var tokens [][]*http.Cookie
		for _, prefix := range prefixes {
			manager := sessiontest.NewManager(t, session.Config{Store: redisstore.New(pool, redisstore.Options{Prefix: prefix})})
			cookies, id := sessiontest.Begin(t, manager, map[string]any{"app": prefix})
			managers, tokens = append(managers, manager), append(tokens, cookies)
			if b.Do("EXISTS", prefix+id) != int64(1) {
				t.Errorf("prefix %q: no key %q", prefix, prefix+id)
			}
		}
		for i, manager := range managers {
			for j := range tokens {
				sessiontest.Request(t, manager, tokens[j], func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
					if (s.ID() != "") != (i == j) {
						t.Errorf("the token of %q with the prefix %q: session %q", prefixes[j], prefixes[i], s.ID())
					}
					if i != j {
						s.Destroy()
					}
				})
			}
		}
		if size := b.Do("DBSIZE"); size != int64(len(prefixes)) {
			t.Errorf("%v keys of %d", size, len(prefixes))
		}
	})
}

// Replies on a connection that was given up halfway belong to nobody else: a request has its own session or an error, never
// that of another user, however Redis and the network fail.
func TestNoRequestGetsTheSessionOfAnother(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr())
	setup := sessiontest.NewManager(t, session.Config{Store: sessiontest.NewBackend(t, server.Addr()).Store})
	manager := sessiontest.NewManager(t, session.Config{Store: sessiontest.NewBackend(t, proxy.Addr()).Store, StoreTimeout: 50 * time.Millisecond, Logger: new(sessiontest.Logs).Logger()})
	const users = 64
	var cookies [users][]*http.Cookie
	for i := range cookies {
		cookies[i], _ = sessiontest.Begin(t, setup, map[string]any{"user": fmt.Sprint(i), "ballast": strings.Repeat("x", 100*i)})
	}
	faults := []func(){
		func() {},
		proxy.CloseAll,
		func() { proxy.DropReplies(users/2, 3) },
		server.Stop,
		func() { server.Cont(); proxy.DropReplies(0, 0) },
	}
	var loaded atomic.Int64
	for round := range 10 * len(faults) {
		var all sync.WaitGroup
		for i := range users {
			all.Go(func() {
				if i == users/2 {
					faults[round%len(faults)]()
				}
				r := httptest.NewRequest("GET", "/", nil)
				r.AddCookie(cookies[i][0])
				manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					s, err := session.Load(r.Context())
					if err != nil {
						return
					}
					if name, _ := user.Get(s); name != fmt.Sprint(i) || s.ID() != sessiontest.IDOf(cookies[i][0].Value) {
						t.Errorf("user %d got session %s of %q", i, s.ID(), name)
					}
					loaded.Add(1)
					_ = visits.Set(s, round)
				})).ServeHTTP(httptest.NewRecorder(), r)
			})
		}
		all.Wait()
	}
	server.Cont()
	if n := loaded.Load(); n < 10*users || n == 10*users*int64(len(faults)) {
		t.Errorf("%d loads succeeded: too few, or nothing failed", n)
	}
	for i := range cookies {
		if got := sessiontest.Values(t, setup, cookies[i]); !strings.Contains(got, fmt.Sprintf(`"user":"%d"`, i)) {
			t.Errorf("user %d has %.100s", i, got)
		}
	}
}

// checklist is what docs/security.md has to say something about.
var checklist = strings.Fields(`A1 A2 A3 A4 A5 A6 A7 B2 B3 B7 C1 C2 C3 C4 C5 C6 C7 C8 D1 D2 D3 E1 E2 E3 E4 E5 E6 E7 E8 E9 E10
	F1 F2 F3 F4 F5 G1 G2 H2 H3 J2 J3 J4 J5 J6`)

// cves are those of other session systems, each to be caught by a test.
var cves = strings.Fields(`CVE-2025-46336 CVE-2025-32441 CVE-2019-16782 CVE-2024-38513 CVE-2022-25896 CVE-2015-5143 CVE-2015-5963
	CVE-2015-5964 CVE-2023-30861 CVE-2024-35220 CVE-2024-31999 CVE-2023-20866 CVE-2023-20862 CVE-2026-39324 CVE-2025-58186`)

// The tables of docs/security.md are complete, without an empty cell, and name tests that exist.
func TestSecurityTableNamesRealTests(t *testing.T) {
	text, err := os.ReadFile("docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	tests := testNames(t)
	name := regexp.MustCompile(`\b(Test|Fuzz)[A-Z]\w*`)
	for _, used := range name.FindAllString(string(text), -1) {
		if !tests[used] {
			t.Errorf("there is no test %s", used)
		}
	}
	var rules []string
	mentioned := map[string]bool{}
	width := 0
	for line := range strings.Lines(string(text)) {
		line, ok := strings.CutPrefix(strings.TrimSpace(line), "|")
		if !ok {
			width = 0
			continue
		}
		cells := strings.Split(strings.TrimSuffix(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if width == 0 {
			width = len(cells)
		}
		if len(cells) != width || slices.Contains(cells, "") {
			t.Errorf("a cell is empty or missing: %s", line)
		}
		switch {
		case slices.Contains(checklist, cells[0]):
			rules = append(rules, cells[0])
			if !name.MatchString(cells[3]) {
				t.Errorf("%s names no test", cells[0])
			}
		case strings.HasPrefix(cells[0], "CVE-"):
			for _, cve := range strings.Split(cells[0], ", ") {
				mentioned[cve] = true
			}
			if !name.MatchString(cells[len(cells)-1]) {
				t.Errorf("%s names no test", cells[0])
			}
		}
	}
	if !slices.Equal(rules, checklist) {
		t.Errorf("the table has the rules %q\nwant %q", rules, checklist)
	}
	for _, cve := range cves {
		if !mentioned[cve] {
			t.Errorf("%s has no row", cve)
		}
	}
}

// testNames returns the names of all tests of the repository.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	form := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, match := range form.FindAllSubmatch(text, -1) {
			names[string(match[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
