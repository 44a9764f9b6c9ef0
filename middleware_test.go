package session_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/internal/testkit"
)

func TestHandlerRefusesNil(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	manager := testkit.NewManager(t, session.Config{Store: b.Store})
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	manager.Handler(nil)
}

// firstActs are all the ways in which a handler can make the headers leave.
var firstActs = map[string]func(w http.ResponseWriter, r *http.Request) error{
	"nothing": func(http.ResponseWriter, *http.Request) error { return nil },
	"Write": func(w http.ResponseWriter, _ *http.Request) error {
		_, err := w.Write([]byte("x"))
		return err
	},
	"WriteHeader 200": func(w http.ResponseWriter, _ *http.Request) error { w.WriteHeader(200); return nil },
	"WriteHeader 204": func(w http.ResponseWriter, _ *http.Request) error { w.WriteHeader(204); return nil },
	"WriteHeader 500": func(w http.ResponseWriter, _ *http.Request) error { w.WriteHeader(500); return nil },
	"WriteString": func(w http.ResponseWriter, _ *http.Request) error {
		_, err := io.WriteString(w, "x")
		return err
	},
	"Flusher": func(w http.ResponseWriter, _ *http.Request) error { w.(http.Flusher).Flush(); return nil },
	"ResponseController.Flush": func(w http.ResponseWriter, _ *http.Request) error {
		return http.NewResponseController(w).Flush()
	},
	"io.Copy from a file": func(w http.ResponseWriter, _ *http.Request) error {
		file, err := os.Open("LICENSE")
		if err != nil {
			return err
		}
		defer file.Close()
		_, err = io.Copy(w, file)
		return err
	},
	"io.Copy from a reader": func(w http.ResponseWriter, _ *http.Request) error {
		_, err := io.Copy(w, io.LimitReader(strings.NewReader("content"), 4))
		return err
	},
	"http.ServeContent": func(w http.ResponseWriter, r *http.Request) error {
		http.ServeContent(w, r, "x.txt", time.Time{}, strings.NewReader("content"))
		return nil
	},
	"http.Redirect": func(w http.ResponseWriter, r *http.Request) error {
		http.Redirect(w, r, "/next", http.StatusSeeOther)
		return nil
	},
	"http.Error": func(w http.ResponseWriter, _ *http.Request) error {
		http.Error(w, "no", http.StatusForbidden)
		return nil
	},
	"103 followed by 200": func(w http.ResponseWriter, _ *http.Request) error { w.WriteHeader(103); w.WriteHeader(200); return nil },
	"103 followed by data": func(w http.ResponseWriter, _ *http.Request) error {
		w.WriteHeader(103)
		_, err := io.WriteString(w, "x")
		return err
	},
}

// The cookie arrives, and the session is in Redis before the first byte of the response, whatever the handler's first act
// is.
func TestSessionIsSavedBeforeTheHeadersLeave(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	manager := testkit.NewManager(t, session.Config{Store: b.Store})
	for name, act := range firstActs {
		for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
			t.Run(name+" "+protocol, func(t *testing.T) {
				var id string
				server := testkit.Serve(t, storedFirst(t, b, manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					s := testkit.Load(t, r)
					if err := s.Set("user", "alice"); err != nil {
						t.Error(err)
					}
					if err := act(w, r); err != nil {
						t.Error(err)
					}
					id = s.ID()
				}))))
				client := testkit.NewBrowser(t, server)
				if protocol == "HTTP/1.1" {
					client.Client.Transport = http1(client.Client.Transport)
				}
				got := client.Get("/")
				if got.Proto != protocol {
					t.Fatalf("spoke %s", got.Proto)
				}
				if got.SetCookie() == "" {
					t.Errorf("no Set-Cookie in %v", got.Header)
				}
				if n := len(got.Header["Set-Cookie"]); n != 1 {
					t.Errorf("%d Set-Cookie lines", n)
				}
				if id == "" && name != "nothing" {
					t.Error("the session has no ID after the headers left")
				}
			})
		}
	}
}

// http1 returns a copy of an HTTPS transport that does not speak HTTP/2.
func http1(transport http.RoundTripper) http.RoundTripper {
	clone := transport.(*http.Transport).Clone()
	clone.ForceAttemptHTTP2 = false
	clone.TLSClientConfig.NextProtos = []string{"http/1.1"}
	clone.Protocols = new(http.Protocols)
	clone.Protocols.SetHTTP1(true)
	return clone
}

// storedFirst checks, below the session's response writer, that every first byte finds a session in Redis, and that no
// cookie is in an informational response.
func storedFirst(t *testing.T, b testkit.Backend, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(&probe{ResponseWriter: w, first: func(code int) {
			cookies := w.Header()["Set-Cookie"]
			if 100 <= code && code < 200 {
				if len(cookies) > 0 {
					t.Errorf("Set-Cookie in a %d response", code)
				}
				return
			}
			if len(cookies) != 1 || len(b.Keys(t)) == 0 {
				t.Errorf("headers leave with cookies %q and keys %q", cookies, b.Keys(t))
			}
		}}, r)
	})
}

// A probe tells of everything that makes headers leave.
type probe struct {
	http.ResponseWriter
	first func(code int)
}

func (p *probe) WriteHeader(code int)        { p.first(code); p.ResponseWriter.WriteHeader(code) }
func (p *probe) Write(b []byte) (int, error) { p.first(200); return p.ResponseWriter.Write(b) }
func (p *probe) WriteString(s string) (int, error) {
	p.first(200)
	return io.WriteString(p.ResponseWriter, s)
}
func (p *probe) Flush() { p.first(200); p.ResponseWriter.(http.Flusher).Flush() }
func (p *probe) ReadFrom(src io.Reader) (int64, error) {
	p.first(200)
	return io.Copy(p.ResponseWriter, src)
}

func TestHijackSavesAndLeavesTheCookieToTheHijacker(t *testing.T) {
	for name, hijack := range map[string]func(http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error){
		"Hijacker": func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error) { return w.(http.Hijacker).Hijack() },
		"ResponseController": func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error) {
			return http.NewResponseController(w).Hijack()
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, _ := testkit.MiniRedis(t)
			manager := testkit.NewManager(t, session.Config{Store: b.Store})
			server := httptest.NewServer(manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				s := testkit.Load(t, r)
				_ = s.Set("user", "alice")
				conn, buf, err := hijack(w)
				if err != nil {
					t.Errorf("Hijack: %v", err)
					return
				}
				defer conn.Close()
				if len(b.Keys(t)) != 1 {
					t.Error("not saved before the connection was taken over")
				}
				_, _ = buf.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\nSet-Cookie: " + w.Header().Get("Set-Cookie") + "\r\n\r\n")
				_ = buf.Flush()
				_ = s.Set("later", 1)
				if err := s.Sync(r.Context()); err != nil {
					t.Errorf("Save on the hijacked connection: %v", err)
				}
			})))
			defer server.Close()
			request, _ := http.NewRequest("GET", server.URL, nil)
			request.Header.Set("Connection", "Upgrade")
			request.Header.Set("Upgrade", "x")
			response, err := http.DefaultTransport.RoundTrip(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			if response.StatusCode != 101 || !strings.HasPrefix(response.Header.Get("Set-Cookie"), "__Host-session=") {
				t.Errorf("got %d with %v", response.StatusCode, response.Header)
			}
			_, _ = io.Copy(io.Discard, response.Body.(io.Reader))
			if got := b.Get(t, strings.TrimPrefix(b.Keys(t)[0], "session:")); !strings.Contains(got, `"later":1`) {
				t.Errorf("stored %s", got)
			}
		})
	}
}

func TestEarlyHintsCarryNoCookieAndLeaveTheSessionOpen(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	manager := testkit.NewManager(t, session.Config{Store: b.Store})
	server := testkit.Serve(t, manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := testkit.Load(t, r)
		_ = s.Set("before", 1)
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		if err := s.Set("between", 2); err != nil {
			t.Errorf("Set after 103: %v", err)
		}
	})))
	var hints []textproto.MIMEHeader
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
		hints = append(hints, header)
		return nil
	}}
	request, _ := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), "GET", server.URL, nil)
	response, err := server.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if len(hints) != 1 || hints[0].Get("Set-Cookie") != "" {
		t.Errorf("early hints %v", hints)
	}
	if response.Header.Get("Set-Cookie") == "" {
		t.Error("no cookie in the final response")
	}
	if got := b.Get(t, strings.TrimPrefix(b.Keys(t)[0], "session:")); !strings.Contains(got, `"before":1,"between":2`) {
		t.Errorf("stored %s", got)
	}
}

func TestDeadlinesReachTheConnection(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	manager := testkit.NewManager(t, session.Config{Store: b.Store})
	server := testkit.Serve(t, manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Errorf("SetWriteDeadline: %v", err)
		}
	})))
	testkit.NewBrowser(t, server).Get("/")
}

func TestFailedSaveReachesTheClientAsOnErrorsAnswerOnly(t *testing.T) {
	for name, act := range firstActs {
		t.Run(name, func(t *testing.T) {
			b, _ := testkit.MiniRedis(t)
			store := &testkit.FaultyStore{Store: b.Store, BeforeSave: func() error { return errors.New("disk on fire") }}
			var log testkit.Logs
			manager := testkit.NewManager(t, session.Config{Store: store, Logger: log.Logger()})
			outer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Outer", "kept")
				manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					s := testkit.Load(t, r)
					_ = s.Set("user", "alice")
					header := w.Header()
					header.Set("Content-Length", "7")
					header.Set("Content-Type", "image/png")
					header.Set("Etag", `"secret"`)
					header.Set("Cache-Control", "public, max-age=60")
					_ = act(w, r)
					if name == "nothing" {
						return
					}
					if n, err := io.WriteString(w, "secret body"); n != 0 || err == nil || !strings.Contains(err.Error(), "disk on fire") {
						t.Errorf("a write after the failed save: %d, %v", n, err)
					}
					if _, err := w.Write([]byte("secret body")); err == nil {
						t.Error("a second write succeeds")
					}
					if err := http.NewResponseController(w).Flush(); err == nil {
						t.Error("a flush succeeds")
					}
					w.Header().Set("X-Late", "1")
					header.Set(http.TrailerPrefix+"X-Trailer", "secret")
					w.WriteHeader(201)
					if err := s.Set("more", 1); err == nil {
						t.Error("Set after the failed save succeeds")
					}
				})).ServeHTTP(w, r)
			})
			got := testkit.NewBrowser(t, testkit.Serve(t, outer)).Get("/")
			if got.StatusCode != 503 || got.Text != "session unavailable\n" {
				t.Errorf("got %d %q", got.StatusCode, got.Text)
			}
			if got.Header.Get("Cache-Control") != "no-store" || got.Header.Get("X-Outer") != "kept" {
				t.Errorf("headers %v", got.Header)
			}
			for _, field := range []string{"Set-Cookie", "Etag", "X-Late", "X-Trailer", "Location"} {
				if got.Header.Get(field) != "" || got.Trailer.Get(field) != "" {
					t.Errorf("%s left: %v", field, got.Header)
				}
			}
			if !strings.Contains(log.String(), "disk on fire") {
				t.Errorf("log: %s", log.String())
			}
			if calls := store.Calls(); calls != "0 loads, 1 saves, 0 deletes" {
				t.Errorf("%s", calls)
			}
		})
	}
}

func TestOnErrorAnswersInItsOwnWay(t *testing.T) {
	tests := map[string]struct {
		onError func(w http.ResponseWriter, r *http.Request, err error)
		status  int
		body    string
	}{
		"with a page":    {func(w http.ResponseWriter, r *http.Request, err error) { w.WriteHeader(500); fmt.Fprint(w, "sorry") }, 500, "sorry"},
		"by Write alone": {func(w http.ResponseWriter, r *http.Request, err error) { fmt.Fprint(w, "fine") }, 200, "fine"},
		"by a redirect": {func(w http.ResponseWriter, r *http.Request, err error) {
			http.Redirect(w, r, "/sorry", http.StatusTemporaryRedirect)
		}, 307, ""},
		"flushing":   {func(w http.ResponseWriter, r *http.Request, err error) { w.WriteHeader(500); w.(http.Flusher).Flush() }, 500, ""},
		"not at all": {func(http.ResponseWriter, *http.Request, error) {}, 503, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b, _ := testkit.MiniRedis(t)
			failure := errors.New("disk on fire")
			store := &testkit.FaultyStore{Store: b.Store, BeforeSave: func() error { return failure }}
			manager := testkit.NewManager(t, session.Config{Store: store, OnError: func(w http.ResponseWriter, r *http.Request, err error) {
				if !errors.Is(err, failure) {
					t.Errorf("OnError got %v", err)
				}
				if _, err := session.Load(r.Context()); err != nil {
					t.Errorf("Load in OnError: %v", err)
				}
				test.onError(w, r, err)
			}})
			got := testkit.NewBrowser(t, testkit.Serve(t, manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_ = testkit.Load(t, r).Set("user", "alice")
				http.Error(w, "handler's page", 404)
			})))).Get("/")
			if got.StatusCode != test.status || !strings.Contains(got.Text, test.body) || strings.Contains(got.Text, "handler") {
				t.Errorf("got %d %q", got.StatusCode, got.Text)
			}
		})
	}
}

func TestHeadersOfResponses(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	manager := testkit.NewManager(t, session.Config{Store: b.Store})
	server := testkit.Serve(t, manager.Handler(testkit.Routes{
		"/untouched": func(w http.ResponseWriter, r *http.Request) {},
		"/read":      func(w http.ResponseWriter, r *http.Request) { testkit.Load(t, r) },
		"/set":       func(w http.ResponseWriter, r *http.Request) { _ = testkit.Load(t, r).Set("n", 1) },
		"/again":     func(w http.ResponseWriter, r *http.Request) { _ = testkit.Load(t, r).Set("n", 2) },
		"/renew":     func(w http.ResponseWriter, r *http.Request) { _ = testkit.Load(t, r).Renew() },
		"/destroy":   func(w http.ResponseWriter, r *http.Request) { testkit.Load(t, r).Destroy() },
		"/public": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "public, max-age=60")
			_ = testkit.Load(t, r).Renew()
		},
		"/own": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			w.Header().Add("Vary", "Accept, cookie")
			testkit.Load(t, r)
		},
		"/other": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Add("Vary", "Accept-Encoding")
			http.SetCookie(w, &http.Cookie{Name: "theme", Value: "dark"})
			testkit.Load(t, r)
		},
	}))
	browser := testkit.NewBrowser(t, server)
	for _, step := range []struct {
		path, vary, cache string
		cookie            bool
	}{
		{"/untouched", "", "", false},
		{"/read", "Cookie", "private", false},
		{"/set", "Cookie", "no-store", true},
		{"/read", "Cookie", "private", false},
		{"/untouched", "", "", false},
		{"/again", "Cookie", "private", false},
		{"/renew", "Cookie", "no-store", true},
		{"/public", "Cookie", "no-store", true},
		{"/own", "Accept, cookie", "max-age=60", false},
		{"/other", "Accept-Encoding|Cookie", "private", false},
		{"/destroy", "Cookie", "no-store", true},
		{"/destroy", "Cookie", "private", false},
	} {
		got := browser.Get(step.path)
		vary, cache := strings.Join(got.Header["Vary"], "|"), strings.Join(got.Header["Cache-Control"], "|")
		if vary != step.vary || cache != step.cache || (got.SetCookie() != "") != step.cookie {
			t.Errorf("%s: Vary %q, Cache-Control %q, Set-Cookie %q", step.path, vary, cache, got.SetCookie())
		}
	}
}

func TestManagerMountedTwiceActsOnce(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	store := &testkit.FaultyStore{Store: b.Store}
	manager := testkit.NewManager(t, session.Config{Store: store})
	browser := testkit.NewBrowser(t, testkit.Serve(t, manager.Handler(manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = testkit.Load(t, r).Set("n", 1)
	})))))
	if got := browser.Get("/"); len(got.Header["Set-Cookie"]) != 1 {
		t.Errorf("cookies %q", got.Header["Set-Cookie"])
	}
	if calls := store.Calls(); calls != "0 loads, 1 saves, 0 deletes" {
		t.Errorf("%s", calls)
	}
}

func TestNestedManagersKeepTheirOwnSessions(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	outer := testkit.NewManager(t, session.Config{Store: b.Store})
	inner := testkit.NewManager(t, session.Config{Store: b.Store, Cookie: session.Cookie{Name: "__Host-admin"}})
	server := testkit.Serve(t, outer.Handler(inner.Handler(testkit.Routes{
		"/set": func(w http.ResponseWriter, r *http.Request) {
			site, err := outer.Load(r.Context())
			if err != nil {
				t.Error(err)
				return
			}
			_ = site.Set("who", "site")
			_ = testkit.Load(t, r).Set("who", "admin")
		},
		"/get": func(w http.ResponseWriter, r *http.Request) {
			site, _ := outer.Load(r.Context())
			admin, _ := inner.Load(r.Context())
			a, _ := who.Get(site)
			b, _ := who.Get(admin)
			fmt.Fprint(w, a, " ", b)
		},
	})))
	browser := testkit.NewBrowser(t, server)
	if got := browser.Get("/set"); len(got.Header["Set-Cookie"]) != 2 {
		t.Errorf("cookies %q", got.Header["Set-Cookie"])
	}
	if got := browser.Get("/get"); got.Text != "site admin" {
		t.Errorf("got %q", got.Text)
	}
}

const who = session.Key[string]("who")

func TestLoadOutsideOfTheMiddlewareSaysSo(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	manager := testkit.NewManager(t, session.Config{Store: b.Store})
	other := testkit.NewManager(t, session.Config{Store: b.Store})
	if _, err := session.Load(context.Background()); err == nil || !strings.Contains(err.Error(), "Manager.Handler") {
		t.Errorf("got %v", err)
	}
	manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := other.Load(r.Context()); err == nil || !strings.Contains(err.Error(), "this Manager") {
			t.Errorf("got %v", err)
		}
	})).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
}

func TestPanicSavesNothing(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	manager := testkit.NewManager(t, session.Config{Store: b.Store})
	var kept *session.Session
	handler := manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kept = testkit.Load(t, r)
		_ = kept.Set("user", "alice")
		panic("boom")
	}))
	recorder := httptest.NewRecorder()
	func() {
		defer func() {
			if recover() != "boom" {
				t.Error("the panic was swallowed")
			}
		}()
		handler.ServeHTTP(recorder, httptest.NewRequest("GET", "/", nil))
	}()
	if len(b.Keys(t)) != 0 || recorder.Header().Get("Set-Cookie") != "" {
		t.Errorf("keys %q, headers %v", b.Keys(t), recorder.Header())
	}
	if err := kept.Set("more", 1); err == nil {
		t.Error("the session can still be changed")
	}
}

func TestTimeoutHandlerInside(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	manager := testkit.NewManager(t, session.Config{Store: b.Store})
	release := make(chan struct{})
	late := make(chan error, 1)
	server := testkit.Serve(t, manager.Handler(http.TimeoutHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := testkit.Load(t, r)
		<-r.Context().Done()
		<-release
		late <- s.Set("user", "alice")
	}), time.Millisecond, "slow")))
	if got := testkit.NewBrowser(t, server).Get("/"); got.StatusCode != 503 || got.SetCookie() != "" {
		t.Errorf("got %d %v", got.StatusCode, got.Header)
	}
	close(release)
	if err := <-late; err == nil {
		t.Error("Set after the response and its handler are gone succeeds")
	}
	if keys := b.Keys(t); len(keys) != 0 {
		t.Errorf("keys %q", keys)
	}
}

func TestFuncOfTheMiddlewareType(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	var wrap func(http.Handler) http.Handler = testkit.NewManager(t, session.Config{Store: b.Store}).Handler
	if wrap(http.NotFoundHandler()) == nil {
		t.Error("nil")
	}
}

func TestUnsupportedFlushIsReported(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	manager := testkit.NewManager(t, session.Config{Store: b.Store})
	manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).Flush(); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("got %v", err)
		}
	})).ServeHTTP(struct{ http.ResponseWriter }{httptest.NewRecorder()}, httptest.NewRequest("GET", "/", nil))
}

func TestVaryStarIsLeftAlone(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	manager := testkit.NewManager(t, session.Config{Store: b.Store})
	recorder := httptest.NewRecorder()
	manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "*")
		testkit.Load(t, r)
	})).ServeHTTP(recorder, httptest.NewRequest("GET", "/", nil))
	if got := recorder.Header()["Vary"]; !slices.Equal(got, []string{"*"}) {
		t.Errorf("Vary %q", got)
	}
}
