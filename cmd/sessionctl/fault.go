package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// The exit codes, which the help lists.
const (
	exitFailure     = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitInterrupted = 130
)

// A usageError is a fault of the command line or the environment.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// A notFoundError says that there is no such session.
type notFoundError struct{ error }

func (e notFoundError) Unwrap() error { return e.error }

func notFoundf(format string, args ...any) error { return notFoundError{fmt.Errorf(format, args...)} }

// exitCode is that of an error. If ctx was interrupted, that is the code, because the failure came from it.
func exitCode(ctx context.Context, err error) int {
	switch {
	case err == nil:
		return 0
	case ctx.Err() != nil:
		return exitInterrupted
	case errors.As(err, new(usageError)):
		return exitUsage
	case errors.As(err, new(notFoundError)):
		return exitNotFound
	}
	return exitFailure
}

// hints say what to do on the command line, by a text in the error. The hints of the library name its settings.
var hints = []struct{ text, hint string }{
	{"NOAUTH", "Redis wants a password: set SESSIONCTL_PASSWORD, or give --password-file, and --username unless the user is default"},
	{"WRONGPASS", "the password or --username is wrong, or the user is disabled"},
	{"ERR AUTH", "Redis has no password, but one was given"},
	{"NOPERM", "the ACL user needs what package redisstore lists, and for stats, watch and end --all also +scan +dbsize"},
	{"unknown command 'EVAL", "scripts are not allowed here: give --no-scripts"},
	{"unknown command `EVAL", "scripts are not allowed here: give --no-scripts"},
	{"MOVED", "this is a Redis Cluster: give --cluster in place of --redis"},
	{"x509:", "the certificate is not trusted: for a CA of your own give --tls-ca"},
	{"context deadline exceeded", "Redis did not answer within --timeout; check the address, and whether it wants TLS"},
	{"Options.TLS needs", "the flags of TLS need --redis rediss://HOST:PORT"},
	{"cluster support disabled", "this is no Redis Cluster: give --redis or --sentinel in place of --cluster"},
	{"READONLY", "this is a replica: give the address of the primary"},
}

// advice is what redisstore adds to an error, at its end.
var advice = regexp.MustCompile(` \([^()]*\)$`)

// message is an error in one line, with what to do.
func message(err error) string {
	text := strings.Join(strings.Fields(strings.ReplaceAll(err.Error(), "redisstore: ", "")), " ")
	for _, h := range hints {
		if strings.Contains(text, h.text) {
			return advice.ReplaceAllString(text, "") + " (" + h.hint + ")"
		}
	}
	return text
}
