package compared

import "testing"

func TestSlowRequestAfterSignOut(t *testing.T) {
	compare(t, "a slow request after sign-out", func(t *testing.T, s *site) string {
		b := s.browser()
		b.visit("/sign-in?user=alice")
		old := b.copy()
		finish := b.slowly("/set?name=a&value=new")
		b.visit("/sign-out")
		finish()
		switch user := old.value(userName); user {
		case "alice":
			return "session is back"
		case "":
			return "stays signed out"
		default:
			return user
		}
	})
}
