package compared

import (
	"fmt"
	"testing"
)

func TestSaveFails(t *testing.T) {
	compare(t, "a save fails", func(t *testing.T, s *site) string {
		b := s.browser()
		b.visit("/set?name=a&value=old")
		s.redis.Do(t, "CONFIG", "SET", "maxmemory", "1") // Redis reads on, and refuses to write
		a := b.visit("/set?name=a&value=new")
		err := <-s.errs
		switch {
		case a.StatusCode == 200 && err == nil && a.body == "done" && b.value("a") == "old":
			return "nothing is said"
		case a.StatusCode == 200 && err != nil:
			return "an error to check by hand"
		case a.StatusCode == 500 && a.body == "Internal Server Error\ndone":
			return "500, then the handler's body"
		case a.StatusCode == 503 && a.body == "session unavailable\n":
			return "503, nothing else"
		}
		return fmt.Sprint(a, err)
	})
}
