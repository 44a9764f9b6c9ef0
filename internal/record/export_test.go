package record

import "testing"

// UseOneTag gives all users one tag until the test ends.
func UseOneTag(t *testing.T) {
	before := tagOf
	t.Cleanup(func() { tagOf = before })
	tagOf = func(string) string { return "0123456789abcdef0123" }
}
