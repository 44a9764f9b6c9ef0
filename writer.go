package session

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
)

// responseWriter saves the session before the headers leave, whatever it is that makes them leave.
type responseWriter struct {
	inner   http.ResponseWriter
	request *http.Request // as the handler gets it
	session *Session
	entry   http.Header // as they were before the handler
	state   writerState
	err     error // why the handler's response was replaced
}

type writerState uint8

const (
	open      writerState = iota // nothing has left; the session is not saved
	committed                    // the session is saved; the handler's response passes
	answering                    // the save failed; OnError's response passes
	answered                     // OnError's response has begun
	discarded                    // the save failed; the handler's response reaches nobody
)

// exposed returns w as a type with just the optional interfaces that the writers below it have: code that asks for one by
// a type assertion relies on it.
func (w *responseWriter) exposed() http.ResponseWriter {
	flushes, hijacks := supports[http.Flusher](w.inner), supports[http.Hijacker](w.inner)
	switch {
	case flushes && hijacks:
		return flushHijackWriter{w}
	case flushes:
		return flushWriter{w}
	case hijacks:
		return hijackWriter{w}
	}
	return w
}

type (
	flushWriter       struct{ *responseWriter }
	hijackWriter      struct{ *responseWriter }
	flushHijackWriter struct{ *responseWriter }
)

func (w flushWriter) Flush()                                             { _ = w.FlushError() }
func (w hijackWriter) Hijack() (net.Conn, *bufio.ReadWriter, error)      { return w.hijack() }
func (w flushHijackWriter) Flush()                                       { _ = w.FlushError() }
func (w flushHijackWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) { return w.hijack() }

// supports reports whether w or a writer below it is a T.
func supports[T any](w http.ResponseWriter) bool {
	for {
		if _, ok := w.(T); ok {
			return true
		}
		outer, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return false
		}
		w = outer.Unwrap()
	}
}

// Unwrap lets an [http.ResponseController] reach the deadlines of the connection.
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.inner }

func (w *responseWriter) Header() http.Header {
	if w.state == discarded {
		return make(http.Header)
	}
	return w.inner.Header()
}

func (w *responseWriter) WriteHeader(code int) {
	if isInformational(code) && w.state != discarded {
		w.inner.WriteHeader(code)
		return
	}
	if w.commit() == nil {
		w.inner.WriteHeader(code)
	}
}

// isInformational reports whether a final status follows. 101 is final: the connection changes its protocol.
func isInformational(code int) bool {
	return 100 <= code && code < 200 && code != http.StatusSwitchingProtocols
}

func (w *responseWriter) Write(p []byte) (int, error) {
	if err := w.commit(); err != nil {
		return 0, err
	}
	return w.inner.Write(p)
}

func (w *responseWriter) WriteString(s string) (int, error) {
	if err := w.commit(); err != nil {
		return 0, err
	}
	return io.WriteString(w.inner, s)
}

func (w *responseWriter) ReadFrom(src io.Reader) (int64, error) {
	if err := w.commit(); err != nil {
		return 0, err
	}
	return io.Copy(w.inner, src)
}

func (w *responseWriter) FlushError() error {
	if err := w.commit(); err != nil {
		return err
	}
	return http.NewResponseController(w.inner).Flush()
}

func (w *responseWriter) hijack() (net.Conn, *bufio.ReadWriter, error) {
	if err := w.commit(); err != nil {
		return nil, nil, err
	}
	return http.NewResponseController(w.inner).Hijack()
}

// commit saves the session, once, and lets the response begin. It returns an error if it may not.
func (w *responseWriter) commit() error {
	switch w.state {
	case committed, answered:
		return nil
	case answering:
		w.state = answered
		return nil
	case discarded:
		return w.err
	}
	if err := w.session.commit(w.inner.Header()); err != nil {
		w.replace(err)
		return w.err
	}
	w.state = committed
	return nil
}

// replace lets OnError answer in place of the handler.
func (w *responseWriter) replace(err error) {
	w.err = fmt.Errorf("session: the response was replaced, for the session was not saved: %w", err)
	w.session.close(w.err)
	w.resetHeader()
	w.state = answering
	w.session.config.OnError(w.exposed(), w.request, err)
	if w.state == answering {
		w.inner.WriteHeader(http.StatusServiceUnavailable)
	}
	w.state = discarded
}

// resetHeader removes what the handler said about its own response.
func (w *responseWriter) resetHeader() {
	h := w.inner.Header()
	clear(h)
	maps.Copy(h, w.entry)
	h.Set("Cache-Control", "no-store")
}

// finish is called when the handler has returned.
func (w *responseWriter) finish() {
	switch w.state {
	case open:
		_ = w.commit()
	case committed:
		w.session.saveLate()
	case discarded:
		w.dropTrailers()
	}
}

// dropTrailers removes the trailers that a handler may have announced in the header map it got before its response was
// replaced.
func (w *responseWriter) dropTrailers() {
	maps.DeleteFunc(w.inner.Header(), func(name string, _ []string) bool {
		return strings.HasPrefix(name, http.TrailerPrefix)
	})
}
