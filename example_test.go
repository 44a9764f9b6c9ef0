package session_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/redisstore"
)

// newSessions is session.New on a Redis in memory, so that the examples run anywhere.
func newSessions() *session.Manager {
	redis, err := miniredis.Run()
	if err != nil {
		log.Fatal(err)
	}
	store, err := redisstore.Open(redis.Addr(), redisstore.Options{})
	if err != nil {
		log.Fatal(err)
	}
	sessions, err := session.New(session.Config{Store: store})
	if err != nil {
		log.Fatal(err)
	}
	return sessions
}

// visit sends requests to a handler one after the other, as one browser, and prints the bodies of the responses.
func visit(handler http.Handler, paths ...string) {
	cookies := map[string]*http.Cookie{}
	for _, path := range paths {
		r := httptest.NewRequest("GET", "https://example.com"+path, nil)
		for _, cookie := range cookies {
			r.AddCookie(cookie)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		for _, cookie := range w.Result().Cookies() {
			cookies[cookie.Name] = cookie
			if cookie.MaxAge < 0 {
				delete(cookies, cookie.Name)
			}
		}
		fmt.Printf("%s: %s\n", path, strings.TrimSpace(w.Body.String()))
	}
}

func Example() {
	sessions := newSessions() // session.New(session.Config{Store: store}), with a store by redisstore.Open
	const visits = session.Key[int]("visits")

	handler := sessions.HandlerFunc(func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		if err := visits.Update(s, func(n int) int { return n + 1 }); err != nil {
			http.Error(w, "internal error", http.StatusInternalServerError)
			return
		}
		n, _ := visits.Get(s)
		fmt.Fprintf(w, "visit %d", n)
	})

	visit(handler, "/", "/", "/")
	// Output:
	// /: visit 1
	// /: visit 2
	// /: visit 3
}

func ExampleNew() {
	store, err := redisstore.Open("redis://127.0.0.1:6379", redisstore.Options{}) // connects when it is first used
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	sessions, err := session.New(session.Config{
		Store:       store,
		IdleTimeout: 15 * time.Minute,
		Lifetime:    12 * time.Hour,
	})
	fmt.Println(sessions != nil, err)
	// Output: true <nil>
}

func ExampleNew_invalid() {
	_, err := session.New(session.Config{
		IdleTimeout: -time.Minute,
		Cookie:      session.Cookie{Name: "__Host-id", Domain: "example.com"},
	})
	fmt.Println(err)
	// Output:
	// session: Config.Store is missing: see redisstore.Open
	// session: Config.IdleTimeout is -1m0s: it must be at least 1ms, or 0 for the default
	// session: Config.Cookie.Name "__Host-id": the prefix __Host- forbids Domain
}

// Whoever has passed a second factor may do more, so that the session gets a new token: who knew the old one is left with
// nothing.
func ExampleSession_Renew() {
	sessions := newSessions()
	const verified = session.Key[bool]("verified")

	mux := http.NewServeMux()
	mux.Handle("/sign-in", sessions.HandlerFunc(func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		if err := s.SignIn(session.SignIn{User: "alice"}); err != nil {
			http.Error(w, "not signed in", http.StatusInternalServerError)
			return
		}
		fmt.Fprint(w, "welcome")
	}))
	mux.Handle("/second-factor", sessions.HandlerFunc(func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		if err := s.Renew(); err != nil {
			http.Error(w, "not verified", http.StatusInternalServerError)
			return
		}
		if err := verified.Set(s, true); err != nil {
			http.Error(w, "not verified", http.StatusInternalServerError)
			return
		}
		fmt.Fprint(w, "thank you")
	}))
	mux.Handle("/", sessions.HandlerFunc(func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		ok, _ := verified.Get(s)
		fmt.Fprintf(w, "%q %v", s.User(), ok)
	}))

	visit(mux, "/", "/sign-in", "/", "/second-factor", "/")
	// Output:
	// /: "" false
	// /sign-in: welcome
	// /: "alice" false
	// /second-factor: thank you
	// /: "alice" true
}

// A message that the next page shows, once.
func ExampleKey_Pop() {
	sessions := newSessions()
	const notice = session.Key[string]("notice")

	handler := sessions.HandlerFunc(func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		if r.URL.Path == "/save" {
			if err := notice.Set(s, "saved"); err != nil {
				http.Error(w, "internal error", http.StatusInternalServerError)
				return
			}
			fmt.Fprint(w, "done")
			return
		}
		text, _ := notice.Pop(s)
		fmt.Fprintf(w, "%q", text)
	})

	visit(handler, "/save", "/page", "/page")
	// Output:
	// /save: done
	// /page: "saved"
	// /page: ""
}

// A handler that streams saves by itself: the headers left with the first byte.
func ExampleSession_Sync() {
	sessions := newSessions()
	const progress = session.Key[int]("progress")

	handler := sessions.HandlerFunc(func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		for n := range 3 {
			if err := progress.Set(s, n+1); err != nil {
				return
			}
			if err := s.Sync(r.Context()); err != nil {
				return // for instance session.ErrEnded: signed out in another tab
			}
			fmt.Fprintf(w, "step %d, ", n+1)
		}
	})

	visit(handler, "/stream")
	// Output: /stream: step 1, step 2, step 3,
}

// By default a request whose session could not be saved is answered with 503. OnError answers in the application's way.
func ExampleConfig_onError() {
	store, err := redisstore.Open("127.0.0.1:1", redisstore.Options{}) // where no Redis is
	if err != nil {
		log.Fatal(err)
	}
	sessions, err := session.New(session.Config{
		Store: store,
		OnError: func(w http.ResponseWriter, r *http.Request, err error) {
			w.Header().Set("Retry-After", "5")
			http.Error(w, "We cannot keep your changes right now.", http.StatusServiceUnavailable)
		},
	})
	if err != nil {
		log.Fatal(err)
	}

	handler := sessions.HandlerFunc(func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		if err := s.Set("theme", "dark"); err != nil {
			http.Error(w, "internal error", http.StatusInternalServerError)
			return
		}
		fmt.Fprint(w, "changed") // reaches nobody
	})

	visit(handler, "/")
	// Output: /: We cannot keep your changes right now.
}

// With chi, gorilla/mux or any other router, Handler is the middleware.
func ExampleManager_Handler() {
	sessions := newSessions()
	var middleware func(http.Handler) http.Handler = sessions.Handler // r.Use(sessions.Handler)

	mux := http.NewServeMux()
	mux.Handle("/app/", middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := session.Load(r.Context())
		fmt.Fprint(w, err)
	})))
	mux.HandleFunc("/health", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "ok") })

	visit(mux, "/health", "/app/")
	// Output:
	// /health: ok
	// /app/: <nil>
}
