package redisstore

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
)

const defaultPrefix = "session:"

// Options are the settings of a [Store]. The zero value is the default. They may be used for several Stores.
type Options struct {
	// Prefix begins every key. "" means "session:". It must not contain a brace.
	Prefix string

	// NoScripts changes what is stored with WATCH and MULTI instead of scripts, for services that forbid EVAL. The
	// guarantees are the same. A save without IFEQ takes two round trips instead of one. A change of a user's list or
	// stamp begins again whenever another one comes in between, until the deadline. Some servers refuse a MULTI when
	// their memory is full: Redis 7.0 does, 8.0 does not. On such a server no session can be destroyed then, and nobody
	// can end the other sessions of a user. With scripts both are possible.
	NoScripts bool

	// TLS is for the connections that [Open] makes to a rediss:// or valkeys:// URL, and for those of [OpenSentinel] to
	// Redis and to the sentinels. Use it for a CA of your own, or for a certificate of the client. An empty ServerName
	// means the host that is dialled. The certificate must then name the host in the URL, or the host that the
	// sentinels announce. With nil, Open trusts the CAs of the system, and OpenSentinel does without TLS. It must not
	// be changed afterwards.
	TLS *tls.Config

	// Credentials, unless nil, is called for each new connection to Redis. It takes the place of the user and the
	// password in the URL or the [SentinelConfig], so that they can change while the Store is in use. An empty username
	// means the user default. An error fails the call that needs the connection, and is wrapped in the error of that
	// call. Therefore it should hold no secret.
	//
	// It is called from many goroutines at once and should obey ctx. Open connections stay as they are. If Redis
	// refuses one with NOAUTH or WRONGPASS, the command is repeated once on a new one.
	Credentials func(ctx context.Context) (username, password string, err error)
}

// Format prints only the Prefix and NoScripts, for every verb of package fmt, because the TLS may hold a private key.
func (o Options) Format(f fmt.State, _ rune) {
	_, _ = fmt.Fprintf(f, "redisstore.Options(prefix %q, NoScripts %t)", o.Prefix, o.NoScripts)
}

var (
	errBrace  = errors.New("redisstore: Options.Prefix must not contain a brace")
	errDialer = errors.New("redisstore: Options.TLS and Options.Credentials are for Open and OpenSentinel: " +
		"a pool or a client of your own has settings for both")
)

// complete checks the settings and puts in the defaults.
func (o *Options) complete() error {
	if strings.ContainsAny(o.Prefix, "{}") {
		return errBrace
	}
	o.Prefix = cmp.Or(o.Prefix, defaultPrefix)
	return nil
}

// mustComplete is complete for a Store whose connections somebody else makes. It panics if something is wrong.
func (o *Options) mustComplete() {
	err := o.complete()
	if o.TLS != nil || o.Credentials != nil {
		err = errDialer
	}
	if err != nil {
		panic(err.Error())
	}
}

// signIn returns t with the user and the password that credentials give, if there are any.
func (o Options) signIn(ctx context.Context, t target) (target, error) {
	if o.Credentials == nil {
		return t, nil
	}
	var err error
	if t.user, t.password, err = o.Credentials(ctx); err != nil {
		return target{}, credentialsError{err}
	}
	return t, nil
}

// A credentialsError is what Credentials failed with.
type credentialsError struct{ cause error }

func (e credentialsError) Error() string { return fmt.Sprintf("Options.Credentials: %v", e.cause) }
func (e credentialsError) Unwrap() error { return e.cause }
