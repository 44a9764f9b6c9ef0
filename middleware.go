package session

import (
	"context"
	"errors"
	"net/http"
)

// Handler returns a handler that calls next with a session in the context of its request, where [Load] finds it. The
// session is saved before the first byte of the response leaves. If it is changed after that, it is saved once more
// when next returns. A request that does not load its session sends no command to the store. If next panics, nothing is
// saved. Therefore put a handler that recovers around this one. If it is inside, its answer is a page like any other,
// and the changes are saved.
//
// The ResponseWriter that next gets has the methods Unwrap, ReadFrom and WriteString. It is an [http.Flusher], with
// FlushError, an [http.Hijacker], an [http.CloseNotifier] and an [http.Pusher] if a writer below it is. A Hijack saves
// the session first. The code that then writes the response has to send the Set-Cookie that is in w.Header().
// gorilla/websocket does so after Upgrade(w, r, w.Header()), and not after Upgrade(w, r, nil).
//
// Handler panics if next is nil. If a Manager is mounted twice around a handler, it acts once, in its outer place.
func (m *Manager) Handler(next http.Handler) http.Handler {
	if next == nil {
		panic("session: Manager.Handler needs a handler, not nil")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		outer, _ := r.Context().Value(contextKey{}).(*exchange)
		if outer.of(m) != nil {
			next.ServeHTTP(w, r)
			return
		}
		if m.config.DeviceBound != "" && r.URL.Path == m.config.DeviceBound {
			m.serveDevice(w, r)
			return
		}
		x, inner := newExchange(m, outer, w, r)
		returned := false
		defer func() {
			if !returned {
				x.writer.abandon()
			}
			handBack(r, inner, !returned)
		}()
		defer x.session.close(errReturned)
		next.ServeHTTP(x.writer.exposed, inner)
		x.writer.finish()
		returned = true
	})
}

// HandlerFunc returns a handler that loads the session and calls f with it. If the load fails, Config.OnError answers
// and f is not called. HandlerFunc includes [Manager.Handler]. It works with another Handler of the Manager around it
// and without one.
func (m *Manager) HandlerFunc(f func(w http.ResponseWriter, r *http.Request, s *Session)) http.Handler {
	if f == nil {
		panic("session: Manager.HandlerFunc needs a function, not nil")
	}
	return m.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, err := m.Load(r.Context())
		if err != nil {
			setErrorHeader(w.Header(), err)
			m.config.OnError(w, r, err)
			return
		}
		f(w, r, s)
	}))
}

// Load returns the session of the request whose context ctx is, of the innermost Manager. If there is a cookie, the
// first call of a request asks the store for the latest value. This takes up to StoreTimeout, or until the deadline of
// ctx. Later calls return the same Session and do not ask the store. Without a cookie that leads to a living session,
// the Session is empty, and the first Set creates one.
//
// An error means that it is not known whether there is a session. Answer with an error page, and not with the page of a
// visitor who is not signed in. A failed Load is not tried again in the same request. It is tried again only if it
// failed because ctx had ended, for example because the client had hung up.
func Load(ctx context.Context) (*Session, error) {
	x, ok := ctx.Value(contextKey{}).(*exchange)
	if !ok {
		return nil, errNoSession
	}
	return x.session.load(ctx)
}

// Peek is Load, but gives the session no more time to live. Use it for a poll, because a poll by Load would keep
// everybody signed in. With [Session.IdleDeadline] it tells how long users are still signed in. A later Load of the
// same request, or a save, does give the session its idle time anew. Peek costs two commands of Redis in one round
// trip, and the Load after it one more.
func Peek(ctx context.Context) (*Session, error) {
	x, ok := ctx.Value(contextKey{}).(*exchange)
	if !ok {
		return nil, errNoSession
	}
	return x.session.peek(ctx)
}

var (
	errNoSession = errors.New("session: no session in the context: wrap the handler with Manager.Handler, and pass the request's context")
	errNotOfThis = errors.New("session: no session of this Manager in the context: wrap the handler with its Handler, and pass the request's context")
)

// Load is the function [Load] for the session of this Manager, where several are nested.
func (m *Manager) Load(ctx context.Context) (*Session, error) {
	x, _ := ctx.Value(contextKey{}).(*exchange)
	if x = x.of(m); x == nil {
		return nil, errNotOfThis
	}
	return x.session.load(ctx)
}

// Peek is the function [Peek] for the session of this Manager, where several are nested.
func (m *Manager) Peek(ctx context.Context) (*Session, error) {
	x, _ := ctx.Value(contextKey{}).(*exchange)
	if x = x.of(m); x == nil {
		return nil, errNotOfThis
	}
	return x.session.peek(ctx)
}
