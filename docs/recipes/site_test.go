package recipes

import (
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/sessiontest"
)

// A site serves a recipe, and lets anybody sign in at /as?user=NAME and out at /out.
type site struct {
	t        *testing.T
	sessions *session.Manager
	mux      *http.ServeMux
	server   *httptest.Server
}

func newSite(t *testing.T) site {
	t.Helper()
	s := site{t, sessiontest.New(t), http.NewServeMux(), nil}
	s.server = httptest.NewServer(s.mux)
	t.Cleanup(s.server.Close)
	s.handle("/as", func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		if err := s.SignIn(session.SignIn{User: r.FormValue("user")}); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	s.handle("/out", func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { s.Destroy() })
	s.handle("/account", account)
	return s
}

func (s site) handle(pattern string, h handler) { s.mux.Handle(pattern, s.sessions.HandlerFunc(h)) }

// A browser keeps cookies and follows no redirects.
type browser struct {
	t   *testing.T
	url string
	*http.Client
}

func (s site) browser() browser {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return browser{s.t, s.server.URL, &http.Client{
		Jar:           jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (s site) signedIn(user string) browser {
	s.t.Helper()
	b := s.browser()
	b.want("/as?user="+user, 200, "")
	return b
}

func (b browser) post(path string, form url.Values) (*http.Response, string) {
	b.t.Helper()
	return b.read(b.PostForm(b.url+path, form))
}

func (b browser) read(response *http.Response, err error) (*http.Response, string) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return response, strings.TrimSpace(string(body))
}

// want wants the page at path to have this status and body.
func (b browser) want(path string, status int, body string) {
	b.t.Helper()
	response, got := b.post(path, nil)
	if response.StatusCode != status || got != body {
		b.t.Errorf("%s: %d %q, want %d %q", path, response.StatusCode, got, status, body)
	}
}

func TestTheCodeOfThePageIsThatOfTheFiles(t *testing.T) {
	page, err := os.ReadFile("README.md")
	files, filesErr := filepath.Glob("*.go")
	if err := errors.Join(err, filesErr); err != nil {
		t.Fatal(err)
	}
	var code strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		code.Write(text)
	}
	blocks := regexp.MustCompile("(?ms)^```go\n(.*?)^```$").FindAllStringSubmatch(string(page), -1)
	if len(blocks) != 13 {
		t.Errorf("the page has %d blocks of Go, want 13", len(blocks))
	}
	for _, block := range blocks {
		if !strings.Contains(code.String(), "\n"+block[1]) {
			t.Errorf("no file has this code of the page:\n%s", block[1])
		}
		if n := strings.Count(block[1], "\n"); n > 40 {
			t.Errorf("%d lines are too many for a recipe", n)
		}
	}
}
