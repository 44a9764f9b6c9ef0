package campaign

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/internal/testkit"
)

// A1: what an attacker would have to guess comes from crypto/rand. The one use of math/rand is the pause between two
// tries.
func TestMathRandIsUsedForPausesAlone(t *testing.T) {
	t.Parallel()
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
	for _, folder := range []string{".", "driver", "memstore", "redisstore", "internal/object", "internal/record", "internal/token", "internal/value"} {
		files = append(files, goFiles(t, filepath.Join(repository, folder))...)
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
	t.Parallel()
	b, mini := testkit.MiniRedis(t)
	manager := testkit.NewManager(t, session.Config{Store: b.Store})
	cookies, _ := testkit.Begin(t, manager, map[string]any{"user": "alice"})
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
				if s := testkit.Load(t, r); s.ID() != "" || len(s.Keys()) != 0 {
					t.Errorf("there is a session %q", s.ID())
				}
			})).ServeHTTP(httptest.NewRecorder(), r)
			if after := mini.CommandCount(); after != before {
				t.Errorf("%d commands", after-before)
			}
		})
	}
	if got := testkit.Values(t, manager, cookies); got != `{"user":"alice"}` {
		t.Errorf("in the cookie it leads to %s", got)
	}
}

// A6, A7: no part of a response but Set-Cookie has the token, and no part names the library.
func TestTokensLeaveInSetCookieAlone(t *testing.T) {
	t.Parallel()
	b, mini := testkit.MiniRedis(t)
	manager := testkit.NewManager(t, session.Config{Store: b.Store, Logger: new(testkit.Logs).Logger()})
	browser := testkit.NewBrowser(t, testkit.Serve(t, manager.Handler(testkit.Routes{
		"/begin": func(w http.ResponseWriter, r *http.Request) {
			s := testkit.Load(t, r)
			_ = user.Set(s, "alice")
			fmt.Fprintf(w, "%v %+v %s", s, s, s.ID())
		},
		"/read": func(w http.ResponseWriter, r *http.Request) {
			text := testkit.Load(t, r).JSON()
			_, _ = w.Write(text)
		},
		"/renew": func(w http.ResponseWriter, r *http.Request) { _ = testkit.Load(t, r).Renew() },
		"/redirect": func(w http.ResponseWriter, r *http.Request) {
			_ = testkit.Load(t, r).Renew()
			http.Redirect(w, r, "/read", http.StatusSeeOther)
		},
		"/error": func(w http.ResponseWriter, r *http.Request) {
			_ = testkit.Load(t, r).Renew()
			http.Error(w, "no", http.StatusInternalServerError)
		},
		"/unsaved": func(w http.ResponseWriter, r *http.Request) {
			_ = testkit.Load(t, r).Renew()
			mini.SetError("OOM")
		},
		"/refused": func(w http.ResponseWriter, r *http.Request) {
			_, err := session.Load(r.Context())
			http.Error(w, fmt.Sprintf("%v %+v", err, err), http.StatusServiceUnavailable)
		},
		"/destroy": func(w http.ResponseWriter, r *http.Request) { testkit.Load(t, r).Destroy() },
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

// A4, F5, CVE-2026-39324: another token is another session. No bit of a token can be changed, and so its deadline cannot
// be moved; nothing falls back to a weaker check.
func TestChangedTokenLeadsToNothing(t *testing.T) {
	t.Parallel()
	b, _ := testkit.MiniRedis(t)
	manager := testkit.NewManager(t, session.Config{Store: b.Store})
	cookies, id := testkit.Begin(t, manager, map[string]any{"user": "alice"})
	live := cookies[0].Value
	raw, err := base64.RawURLEncoding.DecodeString(live)
	if err != nil || testkit.IDOf(live) != id {
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
			if s := testkit.Load(t, r); s.ID() != "" && name != "quoted" { // RFC 6265 lets a value stand in quotes
				t.Errorf("%s: there is a session %q", name, s.ID())
			}
		})).ServeHTTP(w, r)
		if w.Code != 200 || w.Header().Get("Set-Cookie") != "" {
			t.Errorf("%s: status %d, headers %v", name, w.Code, w.Header())
		}
	}
}
