package compared

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"
)

func TestRememberMeForOneSession(t *testing.T) {
	compare(t, `"remember me" for one session`, func(t *testing.T, s *site) string {
		first, next := s.remember()
		if errors.Is(first.err, errors.ErrUnsupported) {
			return "no"
		}
		if !first.stored || !first.cookie {
			return fmt.Sprint(first)
		}
		if !next.stored && !next.cookie {
			return "lifetime and cookie, until the next save"
		}
		if s.name == nameSCS {
			if idle, _ := s.with(newSCS(s.redis.Addr(), 20*time.Minute)).remember(); !idle.stored {
				return "lifetime and cookie"
			}
		}
		return "idle time, lifetime and cookie"
	})
}

// A remembered says what lives for a month from now.
type remembered struct {
	stored, cookie bool
	err            error // of the library
}

// remember signs in, and saves once more.
func (s *site) remember() (first, next remembered) {
	s.t.Helper()
	s.redis.Do(s.t, "FLUSHALL")
	b := s.browser()
	first = b.remembered(b.visit("/sign-in?user=alice&remember=on"), false)
	next = b.remembered(b.visit("/set?name=a&value=new"), first.cookie)
	return first, next
}

// remembered is told what holds for the cookie if the answer of the handler sets none.
func (s *site) remembered(a answer, cookie bool) remembered {
	s.t.Helper()
	const almost = month - time.Minute
	for _, c := range a.Cookies() {
		cookie = time.Duration(c.MaxAge)*time.Second > almost
	}
	stored := false
	keys, err := redis.Strings(s.redis.Do(s.t, "KEYS", "*"), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, key := range keys {
		if s.redis.Do(s.t, "TYPE", key) == "string" { // and no list of a user
			ttl, _ := s.redis.Do(s.t, "PTTL", key).(int64)
			stored = time.Duration(ttl)*time.Millisecond > almost
		}
	}
	return remembered{stored, cookie, <-s.errs}
}
