package redisstore

import (
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/gomodule/redigo/redis"

	"github.com/sessionkv/session/driver"
)

var errWrongType = fmt.Errorf("the key holds another Redis type than a string, left as it is: %w", driver.ErrNotFound)

// refusal reports whether err is an error of the server that begins with code.
func refusal(err error, code string) bool {
	e, ok := err.(redis.Error)
	return ok && strings.HasPrefix(string(e), code)
}

// refused returns the first error of the server among the replies.
func refused(replies []any) error {
	for _, reply := range replies {
		if err, ok := reply.(redis.Error); ok {
			return err
		}
	}
	return nil
}

// bulk makes of the reply to a GETEX or GETDEL, and of its error, a value or ErrNotFound.
func bulk(reply any, err error) ([]byte, error) {
	switch {
	case refusal(err, "WRONGTYPE"):
		return nil, errWrongType
	case err != nil:
		return nil, err
	case reply == nil:
		return nil, driver.ErrNotFound
	}
	return redis.Bytes(reply, nil)
}

// timeout reports whether err is that of a deadline.
func timeout(err error) bool {
	if err == nil {
		return false // without the allocation
	}
	var netErr net.Error
	return errors.As(err, &netErr) && netErr.Timeout()
}
