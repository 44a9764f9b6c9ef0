package compared

import "testing"

func TestTwoRequestsWriteDifferentKeysAtOnce(t *testing.T) {
	compare(t, "two requests write different keys at once", func(t *testing.T, s *site) string {
		b := s.browser()
		b.visit("/set?name=a&value=old")
		finish := b.slowly("/set?name=a&value=new")
		b.visit("/set?name=b&value=new")
		finish()
		values := b.value("a") + " " + b.value("b")
		switch values {
		case "new new":
			return "both are kept"
		case "new ", "old new":
			return "one is lost"
		}
		return values
	})
}
