package compared

import (
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sessionkv/session/internal/redistest"
)

const (
	userName    = "user"
	stampHeader = "Test-Stamp"
	pauseHeader = "Test-Pause"
	month       = 30 * 24 * time.Hour
)

func TestMain(m *testing.M) {
	log.SetOutput(io.Discard) // saves that fail
	slog.SetDefault(slog.New(slog.DiscardHandler))
	os.Exit(m.Run())
}

// compare tries a row of the table of README.md with each library, and wants outcome to be the row's cell.
func compare(t *testing.T, row string, outcome func(*testing.T, *site) string) {
	cells := table(t)
	for name, open := range libraries {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			redis := redistest.Start(t)
			if got, want := outcome(t, newSite(t, redis, name, open(t, redis.Addr()))), cells[row][name]; got != want {
				t.Errorf("%q, and README.md has %q", got, want)
			}
		})
	}
}

// table returns the cells of the comparison by the names of their row and column.
func table(t *testing.T) map[string]map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, found, ok := strings.Cut(string(text), "\n| | session |")
	if !ok {
		t.Fatal("README.md has no comparison")
	}
	found, _, _ = strings.Cut("| | session |"+found, "\n\n")
	var columns []string
	rows := map[string]map[string]string{}
	for line := range strings.Lines(found) {
		cells := strings.Split(strings.TrimSpace(line), " | ")
		if columns == nil {
			columns = cells
		}
		name, _, _ := strings.Cut(strings.TrimLeft(cells[0], "| ["), "]")
		rows[name] = map[string]string{}
		for i, cell := range cells[1:] {
			rows[name][columns[1:][min(i, len(columns)-2)]] = cell
		}
	}
	return rows
}

// A site serves a library.
type site struct {
	t       *testing.T
	name    string
	library library
	redis   *redistest.Server
	server  *httptest.Server
	arrived chan struct{} // a request with the pauseHeader waits
	proceed chan struct{}
	errs    chan error // of the last call of the library
}

func newSite(t *testing.T, redis *redistest.Server, name string, l library) *site {
	s := &site{t: t, name: name, library: l, redis: redis,
		arrived: make(chan struct{}), proceed: make(chan struct{}), errs: make(chan error, 1)}
	mux := http.NewServeMux()
	mux.HandleFunc("/nothing", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/get", s.get)
	s.handle(mux, "/set", func(w http.ResponseWriter, r *http.Request) error {
		return l.set(w, r, r.FormValue("name"), r.FormValue("value"))
	})
	s.handle(mux, "/sign-in", func(w http.ResponseWriter, r *http.Request) error {
		return l.signIn(w, r, r.FormValue("user"), r.FormValue("remember") != "")
	})
	s.handle(mux, "/renew", l.renew)
	s.handle(mux, "/sign-out", l.signOut)
	s.handle(mux, "/late", func(w http.ResponseWriter, r *http.Request) error {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		return l.set(w, r, "late", "kept")
	})
	s.server = httptest.NewServer(l.wrap(mux))
	t.Cleanup(s.server.Close)
	return s
}

// handle lets a handler read the session first, then wait if the request asks for it, and go on after an error.
func (s *site) handle(mux *http.ServeMux, path string, f func(http.ResponseWriter, *http.Request) error) {
	mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		if _, err := s.library.get(r, userName); err != nil {
			s.t.Error(err)
		}
		if r.Header.Get(pauseHeader) != "" {
			s.arrived <- struct{}{}
			<-s.proceed
		}
		err := f(w, r)
		select {
		case <-s.errs:
		default:
		}
		s.errs <- err
		_, _ = io.WriteString(w, "done")
	})
}

func (s *site) get(w http.ResponseWriter, r *http.Request) {
	value, err := s.library.get(r, r.FormValue("name"))
	if err != nil {
		s.t.Error(err)
	}
	_, _ = io.WriteString(w, value)
}

// A browser keeps cookies.
type browser struct {
	*site
	client *http.Client
}

func (s *site) browser() browser {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return browser{s, &http.Client{Jar: jar}}
}

func (b browser) address() *url.URL {
	b.t.Helper()
	address, err := url.Parse(b.server.URL)
	if err != nil {
		b.t.Fatal(err)
	}
	return address
}

// copy returns a browser with the same cookies.
func (b browser) copy() browser {
	b.t.Helper()
	other := b.site.browser()
	other.client.Jar.SetCookies(b.address(), b.client.Jar.Cookies(b.address()))
	return other
}

type answer struct {
	*http.Response
	body string
	err  error
}

// visit asks for a page. The headers are names and values in turn.
func (b browser) visit(path string, headers ...string) answer {
	b.t.Helper()
	a := b.try(path, headers...)
	if a.err != nil {
		b.t.Fatal(a.err)
	}
	return a
}

func (b browser) try(path string, headers ...string) answer {
	r, err := http.NewRequestWithContext(b.t.Context(), "GET", b.server.URL+path, nil)
	if err != nil {
		return answer{err: err}
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := b.client.Do(r)
	if err != nil {
		return answer{err: err}
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return answer{response, string(body), err}
}

// slowly asks for a page, and returns when its handler has read its session. The handler goes on when finish is called.
func (b browser) slowly(path string, headers ...string) (finish func() answer) {
	b.t.Helper()
	done := make(chan answer, 1)
	go func() { done <- b.try(path, append(headers, pauseHeader, "yes")...) }()
	select {
	case <-b.arrived:
	case a := <-done:
		b.t.Fatalf("%s: %v before it was to wait", path, a)
	}
	return func() answer {
		b.t.Helper()
		b.proceed <- struct{}{}
		a := <-done
		if a.err != nil {
			b.t.Fatal(a.err)
		}
		return a
	}
}

// value returns a value of the session.
func (b browser) value(name string) string {
	b.t.Helper()
	return b.visit("/get?name=" + name).body
}

// sessions counts what is stored.
func (s *site) sessions() int {
	s.t.Helper()
	n, ok := s.redis.Do(s.t, "DBSIZE").(int64)
	if !ok {
		s.t.Fatal("DBSIZE is no number")
	}
	return int(n)
}
