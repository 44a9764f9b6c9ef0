package session_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/redistest"
	"github.com/sessionkv/session/internal/testkit"
	"github.com/sessionkv/session/memstore"
	"github.com/sessionkv/session/redisstore"
)

// discardWriter is a ResponseWriter that costs nothing.
type discardWriter struct{ header http.Header }

func (w *discardWriter) Header() http.Header         { return w.header }
func (w *discardWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w *discardWriter) WriteHeader(int)             {}
func (w *discardWriter) reset()                      { clear(w.header) }

// sessionOf returns the text of a session with n members and about size bytes.
func sessionOf(n, size int) []byte {
	var text strings.Builder
	text.WriteString(`{"_rev":"0123456789abcdef","visits":1`)
	for i := range n {
		fmt.Fprintf(&text, `,"key%d":"%s"`, i, strings.Repeat("x", max(0, size/n-12)))
	}
	return []byte(text.String() + "}")
}

func tokenRequest() *http.Request {
	token, _ := testkit.LiveToken()
	r := httptest.NewRequest("GET", "/", nil)
	r.AddCookie(&http.Cookie{Name: "__Host-session", Value: token})
	return r
}

var works = map[string]func(w http.ResponseWriter, r *http.Request) error{
	"untouched": func(http.ResponseWriter, *http.Request) error { return nil },
	"read": func(_ http.ResponseWriter, r *http.Request) error {
		s, err := session.Load(r.Context())
		if err == nil {
			visits.Get(s)
		}
		return err
	},
	"write": func(_ http.ResponseWriter, r *http.Request) error {
		s, err := session.Load(r.Context())
		if err != nil {
			return err
		}
		n, _ := visits.Get(s)
		return visits.Set(s, n+1)
	},
	"update": func(_ http.ResponseWriter, r *http.Request) error {
		s, err := session.Load(r.Context())
		if err != nil {
			return err
		}
		return visits.Update(s, func(n int) int { return n + 1 })
	},
	"renew": func(_ http.ResponseWriter, r *http.Request) error {
		s, err := session.Load(r.Context())
		if err != nil {
			return err
		}
		return s.Renew()
	},
}

// BenchmarkRequest measures what the library adds to a request, without a store.
func BenchmarkRequest(b *testing.B) {
	for _, size := range []struct {
		name string
		n    int
	}{{"200B", 4}, {"4kB", 40}, {"64kB", 250}, {"1MB", 1000}} {
		bytes := map[string]int{"200B": 200, "4kB": 4 << 10, "64kB": 64 << 10, "1MB": 1<<20 - 4096}[size.name]
		manager := testkit.NewManager(b, session.Config{Store: testkit.ConstStore{Value: sessionOf(size.n, bytes)}})
		for _, name := range []string{"untouched", "read", "write", "update", "renew"} {
			if name == "untouched" && size.name != "4kB" {
				continue
			}
			b.Run(name+"/"+size.name, func(b *testing.B) {
				handler := manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if err := works[name](w, r); err != nil {
						b.Fatal(err)
					}
				}))
				w, r := &discardWriter{http.Header{}}, tokenRequest()
				b.ReportAllocs()
				for b.Loop() {
					w.reset()
					handler.ServeHTTP(w, r)
				}
			})
		}
	}
}

// boundRequest is the request of a user whose session is bound to its device, or is not.
func boundRequest(tb testing.TB, bound bool) (handler http.Handler, r *http.Request) {
	manager := testkit.NewManager(tb, session.Config{Store: new(memstore.Store), DeviceBound: devicePath})
	d := testkit.NewSecureDevice(tb, manager, devicePath)
	if bound {
		d.SignInBound("alice")
	} else {
		d.SignIn("alice")
	}
	r = httptest.NewRequest("GET", "/", nil)
	for _, cookie := range append(d.Cookies, d.Bound...) {
		r.AddCookie(cookie)
	}
	handler = manager.HandlerFunc(func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		if s.User() != "alice" || s.DeviceBound() != bound {
			tb.Errorf("%q is signed in, bound: %v", s.User(), s.DeviceBound())
		}
	})
	handler.ServeHTTP(httptest.NewRecorder(), r)
	return handler, r
}

// BenchmarkBoundRequest measures what it costs that a session is bound to its device.
func BenchmarkBoundRequest(b *testing.B) {
	for name, bound := range map[string]bool{"bound": true, "not bound": false} {
		b.Run(name, func(b *testing.B) {
			handler, r := boundRequest(b, bound)
			w := &discardWriter{http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				w.reset()
				handler.ServeHTTP(w, r)
			}
		})
	}
}

// allocations returns how many a request of this handler makes.
func allocations(handler http.Handler) float64 { return allocationsOf(handler, tokenRequest()) }

func allocationsOf(handler http.Handler, r *http.Request) float64 {
	w := &discardWriter{http.Header{}}
	return testing.AllocsPerRun(200, func() {
		w.reset()
		handler.ServeHTTP(w, r)
	})
}

func TestAllocationsOfAnUntouchedRoute(t *testing.T) {
	manager := testkit.NewManager(t, session.Config{Store: testkit.ConstStore{}})
	if n := allocations(manager.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))); n > 1 {
		t.Errorf("%.0f allocations, at most 1 is allowed", n)
	}
}

// A request that loads its session from Redis and reads one value makes at most 8 allocations, however many keys the
// session has.
func TestAllocationsOfAReadOnlyRequest(t *testing.T) {
	server, manager := onRedis(t)
	_, id := testkit.LiveToken()
	var counts []float64
	for _, n := range []int{1, 40, 1000} {
		server.Do(t, "SET", "session:"+id, sessionOf(n, 4096))
		counts = append(counts, allocations(manager.Handler(doing(t, "read"))))
	}
	t.Logf("allocations with 1, 40 and 1,000 keys: %v", counts)
	if counts[0] > 8 || counts[1] > counts[0] || counts[2] > counts[0] {
		t.Errorf("allocations with 1, 40 and 1,000 keys: %v, at most 8 are allowed", counts)
	}
}

// A request that reads a value and stores another one makes at most 18 allocations, with IFEQ or without.
func TestAllocationsOfAReadAndWrite(t *testing.T) {
	server, manager := onRedis(t)
	_, id := testkit.LiveToken()
	server.Do(t, "SET", "session:"+id, sessionOf(40, 4096))
	if n := allocations(manager.Handler(doing(t, "write"))); n > 18 {
		t.Errorf("%.0f allocations, at most 18 are allowed", n)
	}
}

// That the session is one of a user costs two more: the user's name, and the hash that it is compared with.
func TestAllocationsOfAReadOnlyRequestOfAUser(t *testing.T) {
	_, manager := onRedis(t)
	cookies, _ := testkit.Begin(t, manager, map[string]any{"visits": 1})
	r := httptest.NewRequest("GET", "/", nil)
	r.AddCookie(cookies[0])
	w := httptest.NewRecorder()
	manager.HandlerFunc(func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		if err := s.SignIn(session.SignIn{User: "alice"}); err != nil {
			t.Error(err)
		}
	}).ServeHTTP(w, r)
	r.Header.Del("Cookie")
	r.AddCookie(w.Result().Cookies()[0])
	if n := allocationsOf(manager.Handler(doing(t, "read")), r); n > 10 {
		t.Errorf("%.0f allocations, at most 10 are allowed", n)
	}
}

// onRedis returns a Manager on a Redis, for a test that counts allocations.
func onRedis(t *testing.T) (*redistest.Server, *session.Manager) {
	t.Helper()
	if testkit.RaceEnabled {
		t.Skip("the race detector allocates")
	}
	server := redistest.Start(t)
	store, err := redisstore.Open(server.Addr(), redisstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return server, testkit.NewManager(t, session.Config{Store: store})
}

// doing is a handler that does one of works, with a session that has visits.
func doing(t *testing.T, work string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := works[work](w, r); err != nil {
			t.Error(err)
			return
		}
		s, _ := session.Load(r.Context())
		if n, ok := visits.Get(s); n == 0 || !ok {
			t.Errorf("visits is %d, %v", n, ok)
		}
	})
}

// A save makes at most 10 allocations, without those of the store and however large the session is: the value is encoded
// into memory that an earlier save has used.
func TestAllocationsOfASave(t *testing.T) {
	if testkit.RaceEnabled {
		t.Skip("the race detector makes sync.Pool forget at random")
	}
	for _, n := range []int{1, 40, 1000} {
		manager := testkit.NewManager(t, session.Config{Store: testkit.ConstStore{Value: sessionOf(n, 100*n)}})
		if got := allocations(manager.Handler(doing(t, "update"))); got > 10 {
			t.Errorf("%.0f allocations with %d keys, at most 10 are allowed", got, n)
		}
	}
}

// constLargeStore is a ConstStore of large values, which it does not have.
type constLargeStore struct{ testkit.ConstStore }

func (s constLargeStore) LoadLarge(context.Context, string, time.Duration) ([]byte, error) {
	return s.Value, nil
}

func (constLargeStore) SaveLarge(context.Context, string, []byte, []byte, time.Duration, ...driver.Part) ([]byte, error) {
	return nil, nil
}

func (constLargeStore) Part(context.Context, string, string) ([]byte, error) {
	return nil, driver.ErrNotFound
}

func (constLargeStore) RemoveParts(context.Context, string, ...string) error { return nil }

// withLarge adds to the text of a session that it has n large values.
func withLarge(text []byte, n int) []byte {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf(`"large%d":{"rev":"0123456789abcdef","bytes":1000}`, i))
	}
	return fmt.Appendf(nil, `%s,"_large":{%s}}`, text[:len(text)-1], strings.Join(all, ","))
}

// However many large values a session has, a save that changes none of them makes no more allocations.
func TestAllocationsOfASaveBesideLargeValues(t *testing.T) {
	if testkit.RaceEnabled {
		t.Skip("the race detector makes sync.Pool forget at random")
	}
	for _, n := range []int{1, 100} {
		manager := testkit.NewManager(t, session.Config{Store: constLargeStore{testkit.ConstStore{Value: withLarge(sessionOf(40, 4096), n)}}})
		handler := manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := works["update"](w, r); err != nil {
				t.Error(err)
			}
		}))
		if got := allocations(handler); got > 15 {
			t.Errorf("%.0f allocations with %d large values, at most 15 are allowed", got, n)
		}
	}
}
