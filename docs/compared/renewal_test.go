package compared

import (
	"errors"
	"fmt"
	"testing"
)

func TestSlowRequestAfterARenewal(t *testing.T) {
	compare(t, "a slow request after a renewal", func(t *testing.T, s *site) string {
		b := s.browser()
		b.visit("/set?name=a&value=old")
		old := b.copy()
		finish := old.slowly("/set?name=b&value=new")
		b.visit("/renew")
		if errors.Is(<-s.errs, errors.ErrUnsupported) {
			finish()
			return "no renewal"
		}
		late := finish()
		switch {
		case late.StatusCode == 200 && old.value("a") == "old":
			return "old session is back"
		case late.StatusCode == 503 && late.Header.Get("Retry-After") != "" && b.value("a") == "old":
			return "503 and Retry-After, nothing is lost"
		}
		return fmt.Sprint(late)
	})
}
