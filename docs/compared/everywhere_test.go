package compared

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/sessionkv/session"
)

func TestListAUsersSessions(t *testing.T) {
	compare(t, "list a user's sessions, end one of them", func(t *testing.T, s *site) string {
		s.browser().visit("/sign-in?user=alice")
		s.browser().visit("/sign-in?user=bob")
		var listed []string
		commands := s.redis.Commands(t, func() { listed = s.list("alice") })
		switch {
		case listed == nil:
			return "no"
		case !slices.Equal(listed, []string{"alice"}):
			return fmt.Sprint(listed)
		case slices.Contains(commands, "KEYS"):
			return "through all sessions, with KEYS"
		}
		return "yes"
	})
}

// list returns the user of each session of user; nil if the library has no way.
func (s *site) list(user string) (users []string) {
	s.t.Helper()
	var err error
	switch l := s.library.(type) {
	case sessionLibrary:
		var all []*session.Session
		all, err = l.List(s.t.Context(), user)
		for _, one := range all {
			users = append(users, one.User())
		}
	case scsLibrary:
		users, err = l.list(s.t.Context(), user)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return users
}

func TestSignOutEverywhereBesideARenewal(t *testing.T) {
	compare(t, "sign out everywhere, beside a renewal", func(t *testing.T, s *site) string {
		b := s.browser()
		b.visit("/sign-in?user=alice")
		finish := b.slowly("/renew")
		err := s.library.signOutEverywhere(t.Context(), "alice")
		finish()
		switch {
		case errors.Is(err, errors.ErrUnsupported), err == nil && b.value(userName) == "alice":
			return "no"
		case err == nil && b.value(userName) == "":
			return "none escapes"
		}
		return fmt.Sprint(b.value(userName), err)
	})
}

func TestSignOutEverywhereBesideASignIn(t *testing.T) {
	compare(t, "sign out everywhere, beside a sign-in with the old password", func(t *testing.T, s *site) string {
		b := s.browser()
		stamp := ""
		if l, ok := s.library.(sessionLibrary); ok {
			before, err := l.Stamp(t.Context(), "alice")
			if err != nil {
				t.Fatal(err)
			}
			stamp = string(before)
		}
		finish := b.slowly("/sign-in?user=alice", stampHeader, stamp) // its password was right
		err := s.library.signOutEverywhere(t.Context(), "alice")
		late := finish()
		switch {
		case errors.Is(err, errors.ErrUnsupported), err == nil && b.value(userName) == "alice":
			return "no"
		case err == nil && late.StatusCode == 403:
			return "the sign-in is refused"
		}
		return fmt.Sprint(late, err)
	})
}
