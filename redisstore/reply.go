package redisstore

import (
	"errors"
	"fmt"
	"math"
	"net"
	"strings"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/sessionkv/session/driver"
)

var errWrongType = fmt.Errorf("the key holds another Redis type than a string, left as it is: %w", driver.ErrNotFound)

// known is err as this package uses it: a Refusal takes the place of an error that redigo has for it.
func known(err error) error {
	if text, ok := err.(redis.Error); ok {
		return Refusal(text)
	}
	return err
}

// refusedWith reports whether err is a Refusal that begins with code.
func refusedWith(err error, code string) bool {
	refused, ok := err.(Refusal)
	return ok && strings.HasPrefix(string(refused), code)
}

// outdated reports whether err is the Refusal of a connection that a new one may not get. The connection leads to a
// former primary that is a replica now, or has signed in with a password that has been changed since.
func outdated(err error) bool {
	return refusedWith(err, "READONLY") || refusedWith(err, "NOAUTH") || refusedWith(err, "WRONGPASS")
}

// firstRefusal returns the first Refusal among the replies.
func firstRefusal(replies []any) error {
	for _, reply := range replies {
		if refused, ok := reply.(Refusal); ok {
			return refused
		}
	}
	return nil
}

// bulk turns the reply to a GETEX or GETDEL, and its error, into a value or ErrNotFound.
func bulk(reply any, err error) ([]byte, error) {
	switch {
	case refusedWith(err, "WRONGTYPE"):
		return nil, errWrongType
	case err != nil:
		return nil, err
	case reply == nil:
		return nil, driver.ErrNotFound
	}
	return redis.Bytes(reply, nil)
}

// timeToLive is the reply to a PTTL that came behind a value.
func timeToLive(reply any) (time.Duration, error) {
	left, ok := reply.(int64)
	switch {
	case !ok:
		return 0, fmt.Errorf("PTTL was answered with a %T", reply)
	case left == -2: // it expired between the two commands
		return 0, driver.ErrNotFound
	case left < 0: // somebody has stored it by hand, without a time to live
		return math.MaxInt64, nil
	}
	return time.Duration(left) * time.Millisecond, nil
}

// timeout reports whether err is that of a deadline.
func timeout(err error) bool {
	if err == nil {
		return false // without the allocation
	}
	var netErr net.Error
	return errors.As(err, &netErr) && netErr.Timeout()
}
