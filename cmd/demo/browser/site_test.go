package browser

import (
	"context"
	"fmt"
	"html"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/internal/testkit"
	"github.com/sessionkv/session/redisstore"
)

const (
	caller = session.Key[string]("caller") // what a callback writes
	draft  = session.Key[string]("draft")  // what the slow requests write
)

// A site signs its visitors in and out.
type site struct {
	*httptest.Server
	redis   *miniredis.Miniredis
	log     *testkit.Logs
	arrived chan bool // a slow request has loaded its session
	release chan bool // lets one go on

	away atomic.Bool // Redis is, for requests about devices

	mu     sync.Mutex
	asked  map[string][]bool  // whether each request for a path brought the session's cookie
	called map[string][]error // what the Set of each callback returned, by path
}

// down is what Redis says that is not to be used.
const down = "LOADING Redis is loading the dataset in memory"

// newSite serves over HTTPS unless config says that the cookie is for HTTP.
func newSite(t *testing.T, config session.Config) *site {
	t.Helper()
	s := &site{redis: miniredis.RunT(t), log: new(testkit.Logs), arrived: make(chan bool), release: make(chan bool), asked: map[string][]bool{}, called: map[string][]error{}}
	store, err := redisstore.Open(s.redis.Addr(), redisstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	config.Store = store
	config.Logger = slog.New(slog.NewTextHandler(s.log, nil))
	sessions, err := session.New(config)
	if err != nil {
		t.Fatal(err)
	}
	s.Server = httptest.NewUnstartedServer(s.record(sessions.Handler(s.routes())))
	s.EnableHTTP2 = true
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // browsers open connections that they do not use
	if config.Cookie.InsecureHTTP {
		s.Start()
	} else {
		s.StartTLS()
	}
	t.Cleanup(s.Close)
	return s
}

func (s *site) record(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		brought := len(r.CookiesNamed("session"))+len(r.CookiesNamed("__Host-session")) > 0
		s.mu.Lock()
		s.asked[r.URL.Path] = append(s.asked[r.URL.Path], brought)
		s.mu.Unlock()
		if r.URL.Path == devicePath && s.away.Load() {
			s.redis.SetError(down)
			defer s.redis.SetError("")
		}
		next.ServeHTTP(w, r)
	})
}

// requests returns, for each request for a path so far, whether it brought the cookie.
func (s *site) requests(path string) []bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[path]
}

// callbacks returns what the Set of each request for a path so far has returned.
func (s *site) callbacks(path string) []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.called[path]
}

// living returns the keys of the sessions that can be used.
func (s *site) living(t testing.TB) (keys []string) {
	t.Helper()
	for _, key := range s.redis.Keys() {
		if strings.HasSuffix(key, ":user") || strings.HasSuffix(key, ":stamp") {
			continue
		}
		value, err := s.redis.Get(key)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(value, `"_renewed":`) && !strings.Contains(value, `"_ended":`) {
			keys = append(keys, key)
		}
	}
	return keys
}

// at is the address of the site, or of another server, under another name.
func at(host, url string) string { return strings.Replace(url, "127.0.0.1", host, 1) }

func (s *site) routes() http.Handler {
	mux := http.NewServeMux()
	route := func(pattern string, h func(w http.ResponseWriter, r *http.Request, s *session.Session) error) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			loaded, err := session.Load(r.Context())
			if err == nil {
				err = h(w, r, loaded)
			}
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
			}
		})
	}
	route("GET /{$}", home)
	route("GET /account", func(w http.ResponseWriter, r *http.Request, s *session.Session) error {
		w.Header().Set("Cache-Control", "no-store") // what a page for those who are signed in should have
		return home(w, r, s)
	})
	route("POST /sign-in", func(w http.ResponseWriter, r *http.Request, s *session.Session) error {
		caller.Delete(s)
		if err := s.SignIn(session.SignIn{User: "ann"}); err != nil {
			return err
		}
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return nil
	})
	route("/sign-in-elsewhere", func(w http.ResponseWriter, _ *http.Request, s *session.Session) error {
		s.AllowCrossSite() // as the callback of an identity provider does
		if err := s.SignIn(session.SignIn{User: "ann"}); err != nil {
			return err
		}
		return home(w, nil, s)
	})
	route("POST /renew", func(w http.ResponseWriter, r *http.Request, s *session.Session) error {
		if err := s.Renew(); err != nil {
			return err
		}
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return nil
	})
	route("POST /sign-out", func(w http.ResponseWriter, r *http.Request, s *session.Session) error {
		s.Destroy()
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return nil
	})
	route("GET /draft", func(w http.ResponseWriter, _ *http.Request, s *session.Session) error {
		if err := draft.Set(s, "nobody's"); err != nil {
			return err
		}
		_, err := io.WriteString(w, "a draft of nobody")
		return err
	})
	route("GET /slow/{how}", s.slow)
	route("/callback/{way}", s.callback)
	route("/allowed/{way}", func(w http.ResponseWriter, r *http.Request, loaded *session.Session) error {
		loaded.AllowCrossSite()
		return s.callback(w, r, loaded)
	})
	mux.HandleFunc("/embedded/{way}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprintf(w, `<form method="post" action="/callback/%s"></form><script>document.forms[0].submit()</script>`, r.PathValue("way"))
	})
	mux.HandleFunc("/echo/", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, `<link rel="icon" href="data:,">echo`)
	})
	return mux
}

const homePage = `<!doctype html><title>site</title><link rel="icon" href="data:,"><p>%s</p><i>%s</i>
<form method="post" action="/sign-in"><button id="sign-in">in</button></form>
<form method="post" action="/sign-out"><button id="sign-out">out</button></form>
<form method="post" action="/renew"><button id="renew">renew</button></form>
<a id="elsewhere" href="/echo/elsewhere">elsewhere</a>`

func home(w http.ResponseWriter, _ *http.Request, s *session.Session) error {
	says, name := "nobody is signed in", s.User()
	if other, ok := caller.Get(s); ok {
		name = other
	}
	if name != "" {
		says = "the secret of " + name
	}
	if text, ok := draft.Get(s); ok {
		says += ", draft: " + text
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	device := "this device is bound: " + strconv.FormatBool(s.DeviceBound())
	_, err := fmt.Fprintf(w, homePage, html.EscapeString(says), device)
	return err
}

// callback does what one that is called by another site does wrong: it lets the other site say who it is.
func (s *site) callback(w http.ResponseWriter, r *http.Request, loaded *session.Session) error {
	err := caller.Set(loaded, "mallory")
	s.mu.Lock()
	s.called[r.URL.Path] = append(s.called[r.URL.Path], err)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, err = io.WriteString(w, `called back<script>parent.postMessage("done", "*")</script>`)
	return err
}

// slow goes on with the session that was loaded for it when it is released.
func (s *site) slow(w http.ResponseWriter, r *http.Request, loaded *session.Session) error {
	how := r.PathValue("how")
	if how == "stream" {
		_, _ = io.WriteString(w, "begun, ")
		_ = http.NewResponseController(w).Flush()
	}
	if !s.pause(r.Context()) {
		return r.Context().Err()
	}
	switch how {
	case "write", "stream":
		if err := draft.Set(loaded, "slow"); err != nil && how == "write" {
			return err
		}
	case "destroy":
		loaded.Destroy()
	case "renew":
		if err := loaded.Renew(); err != nil {
			return err
		}
	}
	_, err := io.WriteString(w, "done")
	return err
}

func (s *site) pause(ctx context.Context) bool {
	for _, c := range []chan bool{s.arrived, s.release} {
		select {
		case c <- true:
		case <-ctx.Done():
			return false
		}
	}
	return true
}
