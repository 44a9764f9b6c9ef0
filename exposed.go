package session

import (
	"bufio"
	"net"
	"net/http"
)

// The optional interfaces of a ResponseWriter that code asks for by a type assertion. What else a writer may have, such
// as deadlines, is asked for through [http.ResponseController], which finds it by Unwrap.
const (
	flushes  = 1 << iota // http.Flusher, and FlushError
	notifies             // http.CloseNotifier
	hijacks              // http.Hijacker
	pushes               // http.Pusher
)

type (
	flushErrorer interface{ FlushError() error }
	// closeNotifier is http.CloseNotifier. It is deprecated, but Gin asks for it.
	closeNotifier interface{ CloseNotify() <-chan bool }
)

// expose returns w as a type with just the optional interfaces that the writers below it have, so that no assertion lies.
func expose(w *responseWriter) http.ResponseWriter { return exposures[interfacesOf(w.inner)](w) }

// interfacesOf returns which optional interfaces w and the writers below it have.
func interfacesOf(w http.ResponseWriter) (set int) {
	for {
		if _, ok := w.(http.Flusher); ok {
			set |= flushes
		} else if _, ok := w.(flushErrorer); ok {
			set |= flushes
		}
		if _, ok := w.(closeNotifier); ok {
			set |= notifies
		}
		if _, ok := w.(http.Hijacker); ok {
			set |= hijacks
		}
		if _, ok := w.(http.Pusher); ok {
			set |= pushes
		}
		outer, ok := w.(unwrapper)
		if !ok {
			return set
		}
		w = outer.Unwrap()
	}
}

// exposures has a type for each set of interfaces, named by the letters of what it has: F for flushes, C for notifies (of
// a connection that closes), H for hijacks, P for pushes. Each adds one interface to another type, and is a single
// pointer, which becomes a ResponseWriter without an allocation.
var exposures = [...]func(*responseWriter) http.ResponseWriter{
	0:                                     func(w *responseWriter) http.ResponseWriter { return w },
	flushes:                               func(w *responseWriter) http.ResponseWriter { return writerF{w} },
	notifies:                              func(w *responseWriter) http.ResponseWriter { return writerC{w} },
	flushes | notifies:                    func(w *responseWriter) http.ResponseWriter { return writerFC{writerF{w}} },
	hijacks:                               func(w *responseWriter) http.ResponseWriter { return writerH{w} },
	flushes | hijacks:                     func(w *responseWriter) http.ResponseWriter { return writerFH{writerF{w}} },
	notifies | hijacks:                    func(w *responseWriter) http.ResponseWriter { return writerCH{writerC{w}} },
	flushes | notifies | hijacks:          func(w *responseWriter) http.ResponseWriter { return writerFCH{writerFC{writerF{w}}} },
	pushes:                                func(w *responseWriter) http.ResponseWriter { return writerP{w} },
	flushes | pushes:                      func(w *responseWriter) http.ResponseWriter { return writerFP{writerF{w}} },
	notifies | pushes:                     func(w *responseWriter) http.ResponseWriter { return writerCP{writerC{w}} },
	flushes | notifies | pushes:           func(w *responseWriter) http.ResponseWriter { return writerFCP{writerFC{writerF{w}}} },
	hijacks | pushes:                      func(w *responseWriter) http.ResponseWriter { return writerHP{writerH{w}} },
	flushes | hijacks | pushes:            func(w *responseWriter) http.ResponseWriter { return writerFHP{writerFH{writerF{w}}} },
	notifies | hijacks | pushes:           func(w *responseWriter) http.ResponseWriter { return writerCHP{writerCH{writerC{w}}} },
	flushes | notifies | hijacks | pushes: func(w *responseWriter) http.ResponseWriter { return writerFCHP{writerFCH{writerFC{writerF{w}}}} },
}

type (
	writerF    struct{ *responseWriter }
	writerC    struct{ *responseWriter }
	writerFC   struct{ writerF }
	writerH    struct{ *responseWriter }
	writerFH   struct{ writerF }
	writerCH   struct{ writerC }
	writerFCH  struct{ writerFC }
	writerP    struct{ *responseWriter }
	writerFP   struct{ writerF }
	writerCP   struct{ writerC }
	writerFCP  struct{ writerFC }
	writerHP   struct{ writerH }
	writerFHP  struct{ writerFH }
	writerCHP  struct{ writerCH }
	writerFCHP struct{ writerFCH }
)

func (w writerF) Flush()            { _ = w.flush() }
func (w writerF) FlushError() error { return w.flush() }

func (w writerC) CloseNotify() <-chan bool  { return w.closeNotify() }
func (w writerFC) CloseNotify() <-chan bool { return w.closeNotify() }

func (w writerH) Hijack() (net.Conn, *bufio.ReadWriter, error)   { return w.hijack() }
func (w writerFH) Hijack() (net.Conn, *bufio.ReadWriter, error)  { return w.hijack() }
func (w writerCH) Hijack() (net.Conn, *bufio.ReadWriter, error)  { return w.hijack() }
func (w writerFCH) Hijack() (net.Conn, *bufio.ReadWriter, error) { return w.hijack() }

func (w writerP) Push(path string, o *http.PushOptions) error    { return w.push(path, o) }
func (w writerFP) Push(path string, o *http.PushOptions) error   { return w.push(path, o) }
func (w writerCP) Push(path string, o *http.PushOptions) error   { return w.push(path, o) }
func (w writerFCP) Push(path string, o *http.PushOptions) error  { return w.push(path, o) }
func (w writerHP) Push(path string, o *http.PushOptions) error   { return w.push(path, o) }
func (w writerFHP) Push(path string, o *http.PushOptions) error  { return w.push(path, o) }
func (w writerCHP) Push(path string, o *http.PushOptions) error  { return w.push(path, o) }
func (w writerFCHP) Push(path string, o *http.PushOptions) error { return w.push(path, o) }

func (w *responseWriter) closeNotify() <-chan bool {
	below, _ := find[closeNotifier](w.inner)
	return below.CloseNotify()
}

// push saves nothing, because the headers of a promise are those of a request. The response's own headers have not
// left.
func (w *responseWriter) push(path string, o *http.PushOptions) error {
	below, _ := find[http.Pusher](w.inner)
	return below.Push(path, o)
}
