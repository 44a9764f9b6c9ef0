package redisstore_test

import (
	"flag"
	"os"
	"testing"
)

// Most of these tests wait for Redis or for a deadline, not for a processor.
func TestMain(m *testing.M) {
	flag.Parse()
	if parallel := flag.Lookup("test.parallel"); parallel.Value.String() == parallel.DefValue {
		_ = parallel.Value.Set("6")
	}
	os.Exit(m.Run())
}
