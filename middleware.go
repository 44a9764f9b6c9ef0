package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/object"
)

// Config configures a [Manager]. Only Store is required; the zero value of every other field is the safe default.
type Config struct {
	_ [0]func() // literals name their fields, so that one can be added

	// Store keeps the sessions; package redisstore has the one on Redis. Managers with one store, or with stores that
	// write to the same keys, accept each other's tokens. The Manager does not close it.
	Store driver.Store

	// IdleTimeout is how long a session lives without use: each request that loads it starts the time anew. It is at
	// least a millisecond; 0 means 30 minutes. See ASVS 5.0, 7.3.1.
	IdleTimeout time.Duration

	// Lifetime is how long a session lives however much it is used, counted from its creation or its last Renew. It is at
	// least a second, and rounded up to one; 0 means 8 hours, or IdleTimeout if that is more. See ASVS 5.0, 7.3.2.
	Lifetime time.Duration

	// Cookie describes the session's cookie.
	Cookie Cookie

	// MaxBytes is the largest size of a stored session, in bytes of JSON, at most the 512 MiB of a value of Redis; 0 means
	// 1 MiB. A session that is larger can be read and made smaller; saving it is ErrTooLarge.
	MaxBytes int

	// StoreTimeout bounds one load, and one save with all its retries. It is at least a millisecond; 0 means 3 seconds.
	StoreTimeout time.Duration

	// OnError answers a request whose session could not be saved, in place of its handler, whose response is dropped. The
	// headers are as they were before the handler, and Cache-Control: no-store. Nil means to log err and to answer 503.
	OnError func(w http.ResponseWriter, r *http.Request, err error)

	// Logger gets what no request can answer for: stored values that are no sessions, and saves that failed after the
	// response had left. It gets IDs, never tokens or values. Nil means slog.Default().
	Logger *slog.Logger
}

const (
	defaultIdleTimeout  = 30 * time.Minute
	defaultLifetime     = 8 * time.Hour
	defaultMaxBytes     = 1 << 20
	defaultStoreTimeout = 3 * time.Second

	// minMaxBytes leaves room for a session of one short value.
	minMaxBytes = 64
)

func (c Config) withDefaults() Config {
	if c.IdleTimeout == 0 {
		c.IdleTimeout = defaultIdleTimeout
	}
	if c.Lifetime == 0 {
		c.Lifetime = max(defaultLifetime, c.IdleTimeout)
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = defaultMaxBytes
	}
	if c.StoreTimeout == 0 {
		c.StoreTimeout = defaultStoreTimeout
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.OnError == nil {
		c.OnError = logAndAnswer(c.Logger)
	}
	c.Cookie = c.Cookie.withDefaults()
	return c
}

func logAndAnswer(logger *slog.Logger) func(http.ResponseWriter, *http.Request, error) {
	return func(w http.ResponseWriter, r *http.Request, err error) {
		logger.ErrorContext(r.Context(), "session not saved", "error", err)
		http.Error(w, "session unavailable", http.StatusServiceUnavailable)
	}
}

// validate checks a Config that has its defaults.
func (c Config) validate() error {
	var errs []error
	if c.Store == nil {
		errs = append(errs, errors.New("session: Config.Store is missing: see redisstore.Open"))
	}
	atLeast := func(field string, got, least time.Duration) {
		if got < least {
			errs = append(errs, fmt.Errorf("session: Config.%s is %v: it must be at least %v, or 0 for the default", field, got, least))
		}
	}
	atLeast("IdleTimeout", c.IdleTimeout, time.Millisecond)
	atLeast("Lifetime", c.Lifetime, time.Second)
	atLeast("StoreTimeout", c.StoreTimeout, time.Millisecond)
	if c.MaxBytes < minMaxBytes || c.MaxBytes > object.MaxSize {
		errs = append(errs, fmt.Errorf("session: Config.MaxBytes is %d: it must be from %d to %d, or 0 for the default", c.MaxBytes, minMaxBytes, object.MaxSize))
	}
	return errors.Join(errors.Join(errs...), c.Cookie.validate(c.Lifetime))
}

// A Manager gives the requests of a handler their sessions. It is made by [New], does not change, and serves any number
// of handlers at once.
type Manager struct {
	config Config
	turns  turns
}

// New returns a Manager with a copy of config. It reports all faults of config at once, joined by [errors.Join]. It does not reach
// for the store.
func New(config Config) (*Manager, error) {
	config = config.withDefaults()
	if err := config.validate(); err != nil {
		return nil, err
	}
	return &Manager{config: config}, nil
}

// Handler returns a handler that calls next with a session in the context of its request, where [Load] finds it. The
// session is saved before the first byte of the response leaves, and once more when next returns if it was changed
// since. A request that does not load its session costs no command of the store. If next panics, nothing is saved, so a
// handler that recovers belongs around this one: within, it answers with a page like any other.
//
// The ResponseWriter that next gets has the methods Unwrap, ReadFrom and WriteString. It is an [http.Flusher], with
// FlushError, an [http.Hijacker], an [http.CloseNotifier] and an [http.Pusher] if a writer below it is. A Hijack saves
// the session first; whoever writes the response then has to send the Set-Cookie that is in w.Header(), as
// gorilla/websocket does after Upgrade(w, r, w.Header()), and not after Upgrade(w, r, nil).
//
// Handler panics if next is nil. A Manager that is mounted twice around a handler acts once, in its outer place.
func (m *Manager) Handler(next http.Handler) http.Handler {
	if next == nil {
		panic("session: Manager.Handler needs a handler, not nil")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		outer, _ := r.Context().Value(contextKey{}).(*Session)
		if outer.of(m) != nil {
			next.ServeHTTP(w, r)
			return
		}
		x := &exchange{Context: r.Context()}
		inner := r.WithContext(x)
		x.session = Session{manager: m, outer: outer, request: inner}
		x.writer = responseWriter{inner: w, session: &x.session, entry: snapshot(w.Header())}
		returned := false
		defer func() {
			if !returned {
				x.writer.abandon()
			}
			handBack(r, inner, !returned)
		}()
		defer x.session.close(errReturned)
		next.ServeHTTP(x.writer.exposed(), inner)
		x.writer.finish()
		returned = true
	})
}

// exchange holds in one allocation what a request needs, and is its context.
type exchange struct {
	context.Context
	session Session
	writer  responseWriter
}

type contextKey struct{}

func (x *exchange) Value(key any) any {
	if key == (contextKey{}) {
		return &x.session
	}
	return x.Context.Value(key)
}

// Format keeps the request, with its cookies, out of what is printed of its context.
func (x *exchange) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, x.String()) }

func (x *exchange) String() string { return "session.context" }

func snapshot(h http.Header) http.Header {
	if len(h) == 0 {
		return nil // the usual case, without an allocation
	}
	return h.Clone()
}

// Load returns the session of the request whose context ctx is, of the innermost Manager. The first call of a request
// asks the store for the latest value if there is a cookie to ask for, which takes up to StoreTimeout; later calls return the same
// Session. Without a cookie that leads to a living session, the Session is empty, and the first Set creates one.
//
// An error means that it is not known whether there is a session: the answer is an error page, not the page of a visitor who
// is not signed in. A failed Load is not tried again in the same request, unless it failed because ctx had ended, as that
// of a request does when its client hangs up.
func Load(ctx context.Context) (*Session, error) {
	s, ok := ctx.Value(contextKey{}).(*Session)
	if !ok {
		return nil, errors.New("session: no session in the context: wrap the handler with Manager.Handler, and pass the request's context")
	}
	return s.load(ctx)
}

// Load is the function [Load] for the session of this Manager, where several are nested.
func (m *Manager) Load(ctx context.Context) (*Session, error) {
	s, _ := ctx.Value(contextKey{}).(*Session)
	if s = s.of(m); s == nil {
		return nil, errors.New("session: no session of this Manager in the context: wrap the handler with its Handler, and pass the request's context")
	}
	return s.load(ctx)
}

// of returns the session of m among s and those around it, or nil.
func (s *Session) of(m *Manager) *Session {
	for ; s != nil; s = s.outer {
		if s.manager == m {
			return s
		}
	}
	return nil
}

// ttl returns how long a session with this deadline is kept without use. It is less than a millisecond when the session is
// over.
func (m *Manager) ttl(deadline time.Time) time.Duration {
	return min(m.config.IdleTimeout, time.Until(deadline))
}
