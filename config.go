package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/object"
)

// Config configures a [Manager]. Only Store is required. The zero value of every other field is the safe default.
type Config struct {
	_ [0]func() // literals name their fields, so that one can be added

	// Store keeps the sessions. Package redisstore has the one on Redis. Managers with one store, or with stores that
	// write to the same keys, accept each other's tokens. The Manager does not close it.
	Store driver.Store

	// IdleTimeout is how long a session lives without use. Each request that loads the session starts this time anew.
	// It is at least a millisecond. 0 means 30 minutes.
	IdleTimeout time.Duration

	// Lifetime is how long a session lives, however much it is used. It counts from the creation of the session, or
	// from its last SignIn or Renew. It is at least a second, and is rounded up to whole seconds. 0 means 8 hours, or
	// IdleTimeout if that is more.
	Lifetime time.Duration

	// Persistent makes the cookie survive the end of the browser, until the session's Lifetime is over. OWASP advises
	// against it for sites where signing in matters.
	Persistent bool

	// Classes are the lifetimes of the sessions that [Session.SignIn] gives another [Class] than 0. [Remembered] has
	// lifetimes also if it is not named here.
	Classes map[Class]Lifetimes

	// SessionsPerUser is how many sessions a user can have at once. 0 means any number. A sign-in beyond this number
	// ends the sessions of the oldest sign-ins, for the reason [OverLimit]. It needs a Store that knows users.
	SessionsPerUser int

	// RefuseMore makes a sign-in beyond SessionsPerUser fail with [ErrLimit]. No older session ends then.
	RefuseMore bool

	// Cookie describes the session's cookie.
	Cookie Cookie

	// Bearer takes the token only from the header "Authorization: Bearer" (RFC 6750) and sets no cookie. It is for
	// clients that keep the token themselves; see [Session.Token]. A response of 401 gets the header WWW-Authenticate.
	// Cookie and Persistent must be left out. Serve browsers by another Manager with the same Store, on other routes.
	Bearer bool

	// DeviceBound is the path of an endpoint that this Manager's Handler serves, such as "/.device". Browsers that can
	// do it use the endpoint to bind the sessions of users to a key of their device. A stolen cookie is then of no use
	// elsewhere. These browsers follow Device Bound Session Credentials, a draft of the W3C. All others work as without
	// it. Handler must be around that path, and nothing before it may answer it with a redirect, 401 or 429. "" turns
	// it off, also for sessions that are bound.
	//
	// A value then takes up to 256 bytes more than MaxBytes. DeviceBound is experimental, and may change in a minor
	// release.
	DeviceBound string

	// MaxBytes is the largest size of a stored session, in bytes of JSON. It is at most 512 MiB, which is the limit of
	// Redis for a value. 0 means 1 MiB. A session that is larger can be read and made smaller. A save of it is
	// ErrTooLarge.
	MaxBytes int

	// MaxLargeBytes is the largest size of all large values of a session together, in bytes, at most 512 MiB; 0 means 32
	// MiB. See [Large].
	MaxLargeBytes int

	// StoreTimeout bounds one load, and one save with all its retries. It is at least a millisecond and less than 10
	// seconds. 0 means 3 seconds.
	StoreTimeout time.Duration

	// OnError answers a request whose session could not be saved. It does so in place of the handler, whose response is
	// dropped. It also answers if [Manager.HandlerFunc] cannot load a session. The headers are as they were before the
	// handler, with Cache-Control: no-store, and with Retry-After: 1 for [ErrRenewed]. Nil means that err is logged and
	// the answer is 503, or 403 if [ErrRevoked] or [ErrLimit] refused a sign-in.
	OnError func(w http.ResponseWriter, r *http.Request, err error)

	// Observe is called after something was done with a session. It is for metrics, traces and an audit log. It runs in
	// the goroutine of the request, which waits for it, and while the Session is locked. Therefore it must return at
	// once. Its ctx has the values of the request's context, but leads to no Session. It must be safe for concurrent
	// use. If it panics, that is logged once and goes no further. There is no event when a session expires, because no
	// process is told of it. Nil costs nothing.
	Observe func(ctx context.Context, e Event)

	// Logger gets what no request can answer for, such as stored values that are no sessions, and saves that failed
	// after the response had left. It gets IDs, and never tokens or values. Nil means slog.Default().
	Logger *slog.Logger

	classes classes // also 0
}

const (
	defaultIdleTimeout  = 30 * time.Minute
	defaultLifetime     = 8 * time.Hour
	defaultMaxBytes     = 1 << 20
	defaultMaxLarge     = 32 << 20
	defaultStoreTimeout = 3 * time.Second

	// maxStoreTimeout bounds a renewal. It must not outlive its marker, which counts for three times as long.
	maxStoreTimeout = 10 * time.Second

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
	if c.MaxLargeBytes == 0 {
		c.MaxLargeBytes = defaultMaxLarge
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
	if !c.Bearer {
		c.Cookie = c.Cookie.withDefaults()
	}
	c.classes = newClasses(Lifetimes{c.IdleTimeout, c.Lifetime, c.Persistent}, c.Classes)
	return c
}

func logAndAnswer(logger *slog.Logger) func(http.ResponseWriter, *http.Request, error) {
	return func(w http.ResponseWriter, r *http.Request, err error) {
		level := slog.LevelError
		if r.Context().Err() != nil || errors.Is(err, ErrRenewed) || isRefusal(err) {
			level = slog.LevelInfo // no failure: most likely the client has hung up, or asks again
		}
		logger.Log(r.Context(), level, "session unavailable", "error", err)
		answer(w, err)
	}
}

func answer(w http.ResponseWriter, err error) {
	if isRefusal(err) {
		http.Error(w, "not signed in", http.StatusForbidden)
		return
	}
	http.Error(w, "session unavailable", http.StatusServiceUnavailable)
}

// isRefusal reports whether err is that of a sign-in which is not allowed.
func isRefusal(err error) bool { return errors.Is(err, ErrRevoked) || errors.Is(err, ErrLimit) }

// validate checks a Config that has its defaults.
func (c Config) validate() error {
	var errs []error
	if c.Store == nil {
		errs = append(errs, errors.New("session: Config.Store is missing: see redisstore.Open"))
	}
	if c.StoreTimeout < time.Millisecond || c.StoreTimeout >= maxStoreTimeout {
		errs = append(errs, fmt.Errorf("session: Config.StoreTimeout is %v: it must be from 1ms to less than %v, or 0 for the default", c.StoreTimeout, maxStoreTimeout))
	}
	if _, ok := c.Classes[0]; ok {
		errs = append(errs, errors.New("session: Config.Classes[0] is what the fields of Config say: leave it out"))
	}
	if c.MaxBytes < minMaxBytes || c.MaxBytes > object.MaxSize {
		errs = append(errs, fmt.Errorf("session: Config.MaxBytes is %d: it must be from %d to %d, or 0 for the default", c.MaxBytes, minMaxBytes, object.MaxSize))
	}
	if c.MaxLargeBytes < 0 || c.MaxLargeBytes > object.MaxSize {
		errs = append(errs, fmt.Errorf("session: Config.MaxLargeBytes is %d: it must be up to %d, or 0 for the default", c.MaxLargeBytes, object.MaxSize))
	}
	return errors.Join(errors.Join(errs...), c.classes.validate(), c.validateLimit(), c.validateSource(), c.validateDeviceBound())
}

// validateLimit checks the settings about the sessions of a user.
func (c Config) validateLimit() error {
	_, known := c.Store.(driver.Users)
	switch {
	case c.SessionsPerUser < 0:
		return fmt.Errorf("session: Config.SessionsPerUser is %d: it must not be negative", c.SessionsPerUser)
	case c.SessionsPerUser > 0 && c.Store != nil && !known:
		return fmt.Errorf("session: Config.SessionsPerUser needs a Store that knows users, which a %T does not", c.Store)
	case c.RefuseMore && c.SessionsPerUser == 0:
		return errors.New("session: Config.RefuseMore needs SessionsPerUser")
	}
	return nil
}

// validateSource checks where the token comes from.
func (c Config) validateSource() error {
	if !c.Bearer {
		return c.Cookie.validate()
	}
	if c.Cookie != (Cookie{}) || c.Persistent {
		return errors.New("session: Config.Bearer goes without Cookie and Persistent: a Manager takes its tokens from one place")
	}
	return nil
}

// validateDeviceBound checks a Config that has its defaults.
func (c Config) validateDeviceBound() error {
	if c.DeviceBound == "" {
		return nil
	}
	var errs []error
	fault := func(is bool, text string) {
		if is {
			errs = append(errs, errors.New("session: Config.DeviceBound "+text))
		}
	}
	_, known := c.Store.(driver.Users)
	plain := !strings.ContainsFunc(c.DeviceBound, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`"\?#%`, r) })
	fault(!strings.HasPrefix(c.DeviceBound, "/") || !plain, "must be the path of a URL, as \"/.device\", without an escape")
	folder := strings.TrimSuffix(c.Cookie.Path, "/") + "/"
	fault(!c.Bearer && !strings.HasPrefix(c.DeviceBound, folder), "must be within Cookie.Path, for its cookie to arrive")
	fault(c.Bearer, "is for browsers, and Bearer is not")
	fault(c.Cookie.InsecureHTTP, "needs HTTPS: leave Cookie.InsecureHTTP out")
	fault(c.Cookie.Partitioned, "goes without Cookie.Partitioned, which the draft does not allow")
	fault(c.Cookie.Domain != "", "goes without Cookie.Domain: a host beside this one could register its own key")
	fault(c.Cookie.SameSite == http.SameSiteNoneMode, "goes without SameSite=None")
	fault(c.Store != nil && !known, "needs a Store that knows users")
	return errors.Join(errs...)
}
