package compared

import "testing"

func TestWriteAfterTheHeadersLeft(t *testing.T) {
	compare(t, "a write after the headers left", func(t *testing.T, s *site) string {
		begun, old := s.browser(), s.browser()
		first := begun.late()
		old.visit("/set?name=a&value=old")
		if second := old.late(); second != first {
			return first + ", or " + second
		}
		return first
	})
}

// late says what becomes of a write that comes late.
func (b browser) late() string {
	b.t.Helper()
	before := b.sessions()
	b.visit("/late")
	switch err := <-b.errs; {
	case err != nil:
		return "error"
	case b.value("late") == "kept":
		return "saved"
	case b.sessions() > before:
		return "orphaned, no error"
	}
	return "lost, no error"
}
