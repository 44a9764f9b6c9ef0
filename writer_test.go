package session_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/internal/testkit"
)

// What fails without a byte having left is no beginning of the response: the session can still be begun.
func TestWhatSendsNothingLeavesTheSessionOpen(t *testing.T) {
	cantFlush := struct {
		unwrapping
		lyingFlusher
	}{unwrapping: unwrapping{bare(httptest.NewRecorder())}}
	for name, test := range map[string]struct {
		below http.ResponseWriter
		act   func(w http.ResponseWriter) error
		err   error
	}{
		"no Flush below":         {layered(""), func(w http.ResponseWriter) error { return http.NewResponseController(w).Flush() }, http.ErrNotSupported},
		"Flush is not supported": {cantFlush, func(w http.ResponseWriter) error { return http.NewResponseController(w).Flush() }, http.ErrNotSupported},
		"no Hijack below":        {layered(""), hijackError, http.ErrNotSupported},
		"Hijack fails":           {layered("H"), hijackError, errOfTest},
		"empty reader":           {layered(""), copyFrom(iotest.DataErrReader(strings.NewReader(""))), nil},
		"reader that fails":      {layered(""), copyFrom(iotest.ErrReader(errOfTest)), errOfTest},
		"Push":                   {layered("P"), func(w http.ResponseWriter) error { return w.(http.Pusher).Push("/x", nil) }, errOfTest},
		"CloseNotify": {layered("C"), func(w http.ResponseWriter) error {
			w.(interface{ CloseNotify() <-chan bool }).CloseNotify()
			return nil
		}, nil},
	} {
		for _, before := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", with a change before: ", before), func(t *testing.T) {
				b, _ := testkit.MiniRedis(t)
				runWith(t, test.below, session.Config{Store: b.Store}, func(w http.ResponseWriter, r *http.Request) {
					s := testkit.Load(t, r)
					if before {
						_ = s.Set("before", 1)
					}
					if err := test.act(w); !errors.Is(err, test.err) {
						t.Errorf("got %v", err)
					}
					if err := s.Set("after", 2); err != nil {
						t.Errorf("Set: %v", err)
					}
				})
				wantStored(t, b, test.below.Header(), before)
			})
		}
	}
}

func wantStored(t *testing.T, b testkit.Backend, header http.Header, before bool) {
	t.Helper()
	if n := len(header["Set-Cookie"]); n != 1 {
		t.Errorf("%d cookies", n)
	}
	keys := b.Keys(t)
	if len(keys) != 1 {
		t.Fatalf("keys %q", keys)
	}
	value := b.Get(t, strings.TrimPrefix(keys[0], "session:"))
	if !strings.Contains(value, `"after":2`) || strings.Contains(value, `"before":1`) != before {
		t.Errorf("stored %s", value)
	}
}

type lyingFlusher struct{}

func (lyingFlusher) FlushError() error { return fmt.Errorf("wrapped: %w", http.ErrNotSupported) }

func hijackError(w http.ResponseWriter) error {
	_, _, err := http.NewResponseController(w).Hijack()
	return err
}

func copyFrom(src io.Reader) func(w http.ResponseWriter) error {
	return func(w http.ResponseWriter) error {
		_, err := io.Copy(w, struct{ io.Reader }{src})
		return err
	}
}

// After a Hijack that failed, Destroy and Renew of the session that the request began are as before the headers.
func TestFailedHijackThenDestroy(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	w := layered("H")
	runWith(t, w, session.Config{Store: b.Store}, func(w http.ResponseWriter, r *http.Request) {
		s := testkit.Load(t, r)
		_ = s.Set("n", 1)
		_ = hijackError(w)
		if err := s.Renew(); err != nil {
			t.Errorf("Renew: %v", err)
		}
		_ = hijackError(w)
		s.Destroy()
	})
	if got := w.Header().Get("Set-Cookie"); !strings.Contains(got, "Max-Age=0") || len(b.Living(t)) != 0 {
		t.Errorf("Set-Cookie %q, living %q", got, b.Living(t))
	}
}

// A Hijack after another that went past the session finds no HTTP response that could set the cookie.
func TestHijackOfAHijackedConnectionIsTheEndOfTheResponse(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	server := httptest.NewServer(http.HandlerFunc(func(below http.ResponseWriter, r *http.Request) {
		testkit.NewManager(t, session.Config{Store: b.Store}).Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := below.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			if err := hijackError(w); !errors.Is(err, http.ErrHijacked) {
				t.Errorf("Hijack: %v", err)
			}
			if err := testkit.Load(t, r).Set("n", 1); !errors.Is(err, session.ErrHeadersSent) {
				t.Errorf("Set: %v", err)
			}
		})).ServeHTTP(below, r)
	}))
	defer server.Close()
	_, _ = http.Get(server.URL)
}

// OnError that only tries to flush or to take over has not answered.
func TestOnErrorThatSendsNothingIsA503(t *testing.T) {
	for name, act := range map[string]func(w http.ResponseWriter) error{
		"Flush":    func(w http.ResponseWriter) error { return http.NewResponseController(w).Flush() },
		"Hijack":   hijackError,
		"ReadFrom": copyFrom(strings.NewReader("")),
	} {
		recorder := httptest.NewRecorder()
		below := struct {
			http.ResponseWriter
			lyingFlusher
			hijacking
		}{ResponseWriter: recorder}
		b, _ := testkit.MiniRedis(t)
		runWith(t, below, session.Config{
			Store:   &testkit.FaultyStore{Store: b.Store, BeforeSave: func() error { return errOfTest }},
			OnError: func(w http.ResponseWriter, _ *http.Request, _ error) { _ = act(w) },
		}, func(w http.ResponseWriter, r *http.Request) { _ = testkit.Load(t, r).Set("n", 1) })
		if recorder.Code != http.StatusServiceUnavailable {
			t.Errorf("%s: %d", name, recorder.Code)
		}
	}
}

// A sender is a writer below whose ReadFrom can hand a file to the kernel.
type sender struct {
	*httptest.ResponseRecorder
	source io.Reader
	sent   int64
}

func (s *sender) ReadFrom(src io.Reader) (int64, error) {
	s.source = src
	n, err := io.Copy(s.ResponseRecorder, src)
	s.sent += n
	return n, err
}

func TestFilesAreHandedToTheWriterBelow(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<12)
	name := t.TempDir() + "/file"
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, limited := range []bool{false, true} {
		file, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		src := io.Reader(file)
		if limited { // as http.ServeContent does
			src = io.LimitReader(file, int64(len(content)))
		}
		below := &sender{ResponseRecorder: httptest.NewRecorder()}
		run(t, below, func(w http.ResponseWriter, r *http.Request) {
			_ = testkit.Load(t, r).Set("n", 1)
			if n, err := w.(io.ReaderFrom).ReadFrom(src); n != int64(len(content)) || err != nil {
				t.Errorf("ReadFrom: %d, %v", n, err)
			}
		})
		if below.sent < int64(len(content))-512 || fileOf(below.source) == nil {
			t.Errorf("the writer below got %d bytes from a %T", below.sent, below.source)
		}
		if !bytes.Equal(below.Body.Bytes(), content) || below.Header().Get("Set-Cookie") == "" {
			t.Errorf("%d bytes, headers %v", below.Body.Len(), below.Header())
		}
	}
}

// fileOf returns the file that is behind src, as package net looks for it.
func fileOf(src io.Reader) syscall.Conn {
	if limited, ok := src.(*io.LimitedReader); ok {
		src = limited.R
	}
	file, _ := src.(syscall.Conn)
	return file
}

// What a reader gives with its error is sent, and so is what it gives before one.
func TestReadersThatFailLater(t *testing.T) {
	for name, src := range map[string]io.Reader{
		"with the error":   iotest.DataErrReader(io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(errOfTest))),
		"before the error": io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(errOfTest)),
		"byte by byte":     iotest.OneByteReader(io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(errOfTest))),
	} {
		recorder := httptest.NewRecorder()
		run(t, recorder, func(w http.ResponseWriter, r *http.Request) {
			_ = testkit.Load(t, r).Set("n", 1)
			if n, err := w.(io.ReaderFrom).ReadFrom(src); n != 3 || !errors.Is(err, errOfTest) {
				t.Errorf("%s: %d, %v", name, n, err)
			}
		})
		if recorder.Body.String() != "abc" {
			t.Errorf("%s: sent %q", name, recorder.Body)
		}
	}
}

// lateWriter is a writer like Gin's, which sends no header before WriteHeaderNow.
type lateWriter struct {
	http.ResponseWriter
	code int
	sent []int
}

func (w *lateWriter) WriteHeader(code int) { w.code = code }
func (w *lateWriter) WriteHeaderNow()      { w.sent = append(w.sent, w.code) }

func TestSwitchingProtocolsIsSentAtOnce(t *testing.T) {
	late := &lateWriter{ResponseWriter: httptest.NewRecorder()}
	run(t, unwrapping{late}, func(w http.ResponseWriter, r *http.Request) {
		_ = testkit.Load(t, r).Set("n", 1)
		w.WriteHeader(http.StatusSwitchingProtocols)
		if fmt.Sprint(late.sent) != "[101]" || late.Header().Get("Set-Cookie") == "" {
			t.Errorf("sent %v with %v", late.sent, late.Header())
		}
	})
}

// A recoverer outside that still has the writer of the handler, as echo's does, answers for itself.
func TestRecovererOutsideAnswersThroughTheWriterInside(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	manager := testkit.NewManager(t, session.Config{Store: b.Store})
	recorder := httptest.NewRecorder()
	var kept http.ResponseWriter
	func() {
		defer func() {
			_ = recover()
			http.Error(kept, "sorry", http.StatusInternalServerError)
		}()
		manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			kept = w
			_ = testkit.Load(t, r).Set("n", 1)
			panic("boom")
		})).ServeHTTP(recorder, httptest.NewRequest("GET", "/", nil))
	}()
	if recorder.Code != 500 || recorder.Body.String() != "sorry\n" || recorder.Header()["Set-Cookie"] != nil || len(b.Keys(t)) != 0 {
		t.Errorf("%d %q %v, keys %q", recorder.Code, recorder.Body, recorder.Header(), b.Keys(t))
	}
}
