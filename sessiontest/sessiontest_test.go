package sessiontest_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/sessiontest"
)

const notes = session.Key[[]string]("notes")

func account(w http.ResponseWriter, r *http.Request, s *session.Session) {
	if s.User() == "" {
		http.Error(w, "sign in", http.StatusUnauthorized)
		return
	}
	if note := r.FormValue("note"); note != "" {
		if err := notes.Update(s, func(list []string) []string { return append(list, note) }); err != nil {
			http.Error(w, "not saved", http.StatusInternalServerError)
			return
		}
	}
	fmt.Fprintf(w, "Hello %s", s.User())
}

func signIn(s *session.Session) error { return s.SignIn(session.SignIn{User: "alice"}) }

// The test of a handler behind sign-in, as the package comment promises it.
func TestAccount(t *testing.T) {
	sessions := sessiontest.New(t)
	r := httptest.NewRequest("GET", "/account", nil)
	sessiontest.Do(t, sessions, r, signIn)
	w := httptest.NewRecorder()
	sessions.HandlerFunc(account).ServeHTTP(w, r)
	if w.Body.String() != "Hello alice" {
		t.Errorf("got %d %q", w.Code, w.Body)
	}
}

func TestDoShowsWhatTheHandlerHasStored(t *testing.T) {
	sessions := sessiontest.New(t)
	r := httptest.NewRequest("POST", "/account?note=milk", strings.NewReader(""))
	r.AddCookie(&http.Cookie{Name: "theme", Value: "dark"})
	for range 2 { // the second prepares more of the same session
		sessiontest.Do(t, sessions, r, signIn)
	}
	sessions.HandlerFunc(account).ServeHTTP(httptest.NewRecorder(), r)
	sessiontest.Do(t, sessions, r, func(s *session.Session) error {
		if got, _ := notes.Get(s); len(got) != 1 || got[0] != "milk" {
			t.Errorf("notes are %q", got)
		}
		s.Destroy()
		return nil
	})
	if cookies := r.Cookies(); len(cookies) != 1 || cookies[0].Name != "theme" {
		t.Errorf("after Destroy the request has the cookies %v", cookies)
	}
	w := httptest.NewRecorder()
	sessions.HandlerFunc(account).ServeHTTP(w, r)
	if w.Code != http.StatusUnauthorized {
		t.Errorf("after Destroy: %d", w.Code)
	}
}

func TestDoEndsTheTestWithTheErrorOfItsFunction(t *testing.T) {
	for name, fn := range map[string]func(s *session.Session) error{
		"of fn":   func(*session.Session) error { return errors.New("of the test") },
		"of Set":  func(s *session.Session) error { return s.Set("_reserved", 1) },
		"of size": func(s *session.Session) error { return s.Set("large", strings.Repeat("x", 2<<20)) },
	} {
		t.Run(name, func(t *testing.T) {
			inner := &fatalTB{TB: t}
			func() {
				defer func() { _ = recover() }()
				sessiontest.Do(inner, sessiontest.New(t), httptest.NewRequest("GET", "/", nil), fn)
			}()
			if inner.text == "" {
				t.Error("the test goes on")
			}
		})
	}
}

// A fatalTB notes what ended its test.
type fatalTB struct {
	testing.TB
	text string
}

func (f *fatalTB) Fatalf(format string, args ...any) {
	f.text = fmt.Sprintf(format, args...)
	panic(f)
}

// The Manager of New works with a server on plain HTTP and a jar, as a journey through several pages needs it.
func TestNewWorksOverPlainHTTP(t *testing.T) {
	sessions := sessiontest.New(t)
	mux := http.NewServeMux()
	mux.Handle("/sign-in", sessions.HandlerFunc(func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		if err := s.SignIn(session.SignIn{User: "bob"}); err != nil {
			t.Error(err)
		}
	}))
	mux.Handle("/account", sessions.HandlerFunc(account))
	server := httptest.NewServer(mux)
	defer server.Close()
	jar, _ := cookiejar.New(nil)
	client := &http.Client{Jar: jar}
	for _, step := range []struct {
		path string
		code int
	}{{"/account", 401}, {"/sign-in", 200}, {"/account", 200}} {
		response, err := client.Get(server.URL + step.path)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != step.code {
			t.Errorf("%s: %d, want %d", step.path, response.StatusCode, step.code)
		}
	}
}
