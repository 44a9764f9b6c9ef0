package session_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/internal/testkit"
)

// The optional interfaces of a writer, each alone, for the combinations below.
type (
	unwrapping    struct{ http.ResponseWriter }
	flushing      struct{}
	flushingError struct{}
	notifying     struct{}
	hijacking     struct{}
	pushing       struct{}
)

func (w unwrapping) Unwrap() http.ResponseWriter { return w.ResponseWriter }

var errOfTest = errors.New("from the writer below")

func (flushing) Flush()                                               {}
func (flushingError) FlushError() error                               { return nil }
func (notifying) CloseNotify() <-chan bool                            { return make(chan bool) }
func (hijacking) Hijack() (net.Conn, *bufio.ReadWriter, error)        { return nil, nil, errOfTest }
func (pushing) Push(path string, options *http.PushOptions) (_ error) { return errOfTest }
func implements[T any](w http.ResponseWriter) bool                    { _, ok := w.(T); return ok }
func bare(w http.ResponseWriter) http.ResponseWriter                  { return struct{ http.ResponseWriter }{w} }
func run(t *testing.T, w http.ResponseWriter, handler http.HandlerFunc) {
	runWith(t, w, session.Config{}, handler)
}

func runWith(t *testing.T, w http.ResponseWriter, config session.Config, handler http.HandlerFunc) {
	t.Helper()
	if config.Store == nil {
		b, _ := testkit.MiniRedis(t)
		config.Store = b.Store
	}
	testkit.NewManager(t, config).Handler(handler).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
}

// layered returns a writer with the interfaces of a set, each in a layer of its own: F, E for FlushError alone, C, H, P.
func layered(set string) http.ResponseWriter {
	w := bare(httptest.NewRecorder())
	for _, letter := range set {
		u := unwrapping{w}
		switch letter {
		case 'F':
			w = struct {
				unwrapping
				flushing
			}{unwrapping: u}
		case 'E':
			w = struct {
				unwrapping
				flushingError
			}{unwrapping: u}
		case 'C':
			w = struct {
				unwrapping
				notifying
			}{unwrapping: u}
		case 'H':
			w = struct {
				unwrapping
				hijacking
			}{unwrapping: u}
		case 'P':
			w = struct {
				unwrapping
				pushing
			}{unwrapping: u}
		}
	}
	return w
}

func TestTypeAssertionsOfTheResponseWriterDoNotLie(t *testing.T) {
	for _, flush := range []string{"", "F", "E", "EF"} {
		for bits := range 8 {
			set := flush
			for i, letter := range []string{"C", "H", "P"} {
				if bits>>i&1 == 1 {
					set += letter
				}
			}
			for _, w := range []http.ResponseWriter{layered(set), unwrapping{unwrapping{layered(set)}}} {
				run(t, w, func(w http.ResponseWriter, r *http.Request) { checkInterfaces(t, w, set) })
			}
			run(t, bare(layered(set)), func(w http.ResponseWriter, r *http.Request) { checkInterfaces(t, w, "") })
		}
	}
}

func checkInterfaces(t *testing.T, w http.ResponseWriter, set string) {
	t.Helper()
	flushes := strings.ContainsAny(set, "FE")
	for name, test := range map[string]struct{ got, want bool }{
		"Flusher":       {implements[http.Flusher](w), flushes},
		"FlushError":    {implements[interface{ FlushError() error }](w), flushes},
		"CloseNotifier": {implements[interface{ CloseNotify() <-chan bool }](w), strings.Contains(set, "C")},
		"Hijacker":      {implements[http.Hijacker](w), strings.Contains(set, "H")},
		"Pusher":        {implements[http.Pusher](w), strings.Contains(set, "P")},
		"Unwrap":        {implements[interface{ Unwrap() http.ResponseWriter }](w), true},
		"ReaderFrom":    {implements[io.ReaderFrom](w), true},
		"StringWriter":  {implements[io.StringWriter](w), true},
	} {
		if test.got != test.want {
			t.Errorf("%q: %s is %v", set, name, test.got)
		}
	}
	if c, ok := w.(interface{ CloseNotify() <-chan bool }); ok && c.CloseNotify() == nil {
		t.Errorf("%q: CloseNotify does not reach the writer below", set)
	}
	if p, ok := w.(http.Pusher); ok && !errors.Is(p.Push("/x", nil), errOfTest) {
		t.Errorf("%q: Push does not reach the writer below", set)
	}
	if h, ok := w.(http.Hijacker); ok {
		if _, _, err := h.Hijack(); !errors.Is(err, errOfTest) {
			t.Errorf("%q: Hijack does not reach the writer below", set)
		}
	}
	if err := http.NewResponseController(w).Flush(); (err == nil) != flushes {
		t.Errorf("%q: Flush: %v", set, err)
	}
	if f, ok := w.(http.Flusher); ok {
		f.Flush()
	}
}
