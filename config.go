package session

import (
	"errors"
	"fmt"
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

	// MaxBytes is the largest size of a stored session, in bytes of JSON, at most the 512 MiB of a value of Redis; 0
	// means 1 MiB. A session that is larger can be read and made smaller; saving it is ErrTooLarge.
	MaxBytes int

	// StoreTimeout bounds one load, and one save with all its retries. It is at least a millisecond; 0 means 3 seconds.
	StoreTimeout time.Duration

	// OnError answers a request whose session could not be saved, in place of its handler, whose response is dropped;
	// or not be loaded, where [Manager.HandlerFunc] does it. The headers are as they were before the handler, and
	// Cache-Control: no-store. Nil means to log err and to answer 503.
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
		level := slog.LevelError
		if r.Context().Err() != nil {
			level = slog.LevelInfo // the client has most likely hung up
		}
		logger.Log(r.Context(), level, "session unavailable", "error", err)
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
