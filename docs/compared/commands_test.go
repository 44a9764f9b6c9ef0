package compared

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/boj/redistore/v2"
)

// commands returns those of a request that has a session.
func (s *site) commands(path string) []string {
	b := s.browser()
	b.visit("/set?name=a&value=old")
	return s.redis.Commands(s.t, func() { b.visit(path) })
}

// with is the same site with the library in another configuration.
func (s *site) with(l library) *site { return newSite(s.t, s.redis, s.name, l) }

// idle returns the commands of scs with an IdleTimeout.
func (s *site) idle(path string) []string {
	return s.with(newSCS(s.redis.Addr(), 20*time.Minute)).commands(path)
}

var scsWrite = []string{"GET", "MULTI", "SET", "PEXPIREAT", "EXEC"}

func TestRouteThatIgnoresItsSession(t *testing.T) {
	compare(t, "a route that ignores its session", func(t *testing.T, s *site) string {
		got := s.commands("/nothing")
		switch {
		case len(got) == 0:
			return "no command"
		case s.name == nameSCS && slices.Equal(got, []string{"GET"}) && slices.Equal(s.idle("/nothing"), scsWrite):
			return "GET, and a write with IdleTimeout"
		}
		return fmt.Sprint(got)
	})
}

func TestRead(t *testing.T) {
	compare(t, "a read", func(t *testing.T, s *site) string {
		got := slices.DeleteFunc(s.commands("/get?name=a"), func(c string) bool { return c == "EXPIRE" }) // GoFrame's, some time later
		switch s.name {
		case nameSession:
			b := s.browser()
			b.visit("/sign-in?user=alice")
			user := s.redis.Commands(t, func() { b.visit("/get?name=a") })
			if len(got) == 1 && len(user) == 2 {
				return "one command, of a user two in one flush"
			}
		case nameSCS:
			if slices.Equal(got, []string{"GET"}) && slices.Equal(s.idle("/get?name=a"), scsWrite) {
				return "one, and a write with IdleTimeout"
			}
		case nameGoFrame:
			if slices.Equal(got, []string{"GET"}) {
				return "one command"
			}
		case nameGorilla:
			pooled := s.with(newGorilla(t, redistore.WithPool(newPool(s.redis.Addr())))).commands("/get?name=a")
			if slices.Equal(got, []string{"PING", "GET"}) && slices.Equal(pooled, []string{"GET"}) {
				return "two commands, or one with a pool of your own"
			}
		}
		return fmt.Sprint(got)
	})
}
