package session

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strings"
)

// responseWriter saves the session before the headers leave, whatever makes them leave.
type responseWriter struct {
	inner   http.ResponseWriter
	request *http.Request       // as the handler gets it
	exposed http.ResponseWriter // this writer as the handler gets it
	session *Session
	entry   http.Header // as they were before the handler
	state   writerState
	err     error // why the handler's response was replaced
}

// writerState says whose response passes. This is done in each state:
//
//	state       Write, final WriteHeader, Flush, Hijack        the handler returns
//	open        save; then begun, or OnError and discarded     save; then as on the left
//	begun       pass                                           save what was changed since
//	answering   pass; then answered                            cannot be: OnError returns first
//	answered    pass                                           cannot be
//	discarded   fail                                           drop its trailers
//
// When OnError has returned, answering and answered become discarded; while answering, that sends a 503. A Flush or
// Hijack that fails with nothing sent goes back to the state before it. A panic turns open into begun.
type writerState uint8

const (
	open      writerState = iota // nothing has left; the session is not saved
	begun                        // the session is saved, or never will be; the handler's response passes
	answering                    // the save failed; OnError's response passes
	answered                     // OnError's response has begun
	discarded                    // the save failed; the handler's response reaches nobody
)

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
	if w.begin() != nil {
		return
	}
	if code == http.StatusUnauthorized && w.session.config.Bearer {
		challenge(w.inner.Header(), w.request)
	}
	w.inner.WriteHeader(code)
	if code == http.StatusSwitchingProtocols {
		sendHeader(w.inner)
	}
}

// isInformational reports whether a final status follows. 101 is final: the connection changes its protocol.
func isInformational(code int) bool {
	return 100 <= code && code < 200 && code != http.StatusSwitchingProtocols
}

func (w *responseWriter) Write(p []byte) (int, error) {
	if err := w.begin(); err != nil {
		return 0, err
	}
	return w.inner.Write(p)
}

func (w *responseWriter) WriteString(s string) (int, error) {
	if err := w.begin(); err != nil {
		return 0, err
	}
	return io.WriteString(w.inner, s)
}

// ReadFrom begins the response with the first byte of src, as net/http does. The rest goes to the writer below as it is,
// for that may hand a file to the kernel.
func (w *responseWriter) ReadFrom(src io.Reader) (int64, error) {
	if w.state == begun || w.state == answered {
		return io.Copy(w.inner, src)
	}
	var head [sniffed]byte
	n, err := readSome(src, head[:])
	if n == 0 {
		return 0, err
	}
	written, writeErr := w.Write(head[:n])
	if writeErr != nil {
		return int64(written), writeErr
	}
	if err != nil {
		return int64(written), err
	}
	rest, err := io.Copy(w.inner, src)
	return int64(written) + rest, err
}

// sniffed is how much of a response net/http looks at to find out its type.
const sniffed = 512

// readSome is one Read that returns a byte, an error, or nothing at the end of src.
func readSome(src io.Reader, p []byte) (n int, err error) {
	for n == 0 && err == nil {
		n, err = src.Read(p)
	}
	if err == io.EOF {
		err = nil
	}
	return n, err
}

func (w *responseWriter) flush() error {
	before := w.state
	if err := w.begin(); err != nil {
		return err
	}
	err := http.NewResponseController(w.inner).Flush()
	if errors.Is(err, http.ErrNotSupported) {
		w.restore(before)
	}
	return err
}

func (w *responseWriter) hijack() (net.Conn, *bufio.ReadWriter, error) {
	before := w.state
	if err := w.begin(); err != nil {
		return nil, nil, err
	}
	conn, buf, err := http.NewResponseController(w.inner).Hijack()
	if err != nil && !errors.Is(err, http.ErrHijacked) {
		w.restore(before)
	}
	return conn, buf, err
}

// restore goes back to a state before begin, because nothing has left. What was saved stays saved.
func (w *responseWriter) restore(before writerState) {
	if w.state == begun && before == open {
		w.session.reopen()
	}
	w.state = before
}

// begin saves the session, once, and lets the response begin. It returns an error if it may not.
func (w *responseWriter) begin() error {
	switch w.state {
	case begun, answered:
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
	w.state = begun
	return nil
}

// replace lets OnError answer in place of the handler.
func (w *responseWriter) replace(err error) {
	w.err = fmt.Errorf("session: the response was replaced, for the session was not saved: %w", err)
	w.session.close(w.err)
	w.resetHeader()
	w.session.offer(w.inner.Header())
	setErrorHeader(w.inner.Header(), err)
	w.state = answering
	w.session.config.OnError(w.exposed, w.request, err)
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
}

// finish is called when the handler has returned.
func (w *responseWriter) finish() {
	switch w.state {
	case open:
		_ = w.begin()
	case begun:
		w.session.saveLate()
	case discarded:
		w.dropTrailers()
	}
}

// abandon is called when the handler has panicked. Nothing is saved. The code that recovers may still have this writer,
// and sends its own answer.
func (w *responseWriter) abandon() {
	if w.state == open {
		w.state = begun
	}
}

// dropTrailers removes the trailers that a handler may have announced in the header map it got before its response was
// replaced.
func (w *responseWriter) dropTrailers() {
	maps.DeleteFunc(w.inner.Header(), func(name string, _ []string) bool {
		return strings.HasPrefix(name, http.TrailerPrefix)
	})
}
