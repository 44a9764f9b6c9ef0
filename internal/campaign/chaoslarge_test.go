package campaign

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/internal/testkit"
)

const (
	file       = session.Large[[]byte]("file")
	fileNumber = session.Key[int]("fileNumber")
)

// errWrongFile says that a large value is not the one that belongs to its session.
var errWrongFile = errors.New("the file is not the session's")

func fileOf(n int) []byte { return bytes.Repeat(fmt.Appendf(nil, "%d ", n), 1000) }

// storeFile sets a large value, and the number that belongs to it.
func storeFile(s *session.Session, n int) error {
	return errors.Join(file.Set(s, fileOf(n)), fileNumber.Set(s, n))
}

// readFile reads the large value. The file that a session names is there whatever fails, and belongs to its number.
func readFile(ctx context.Context, s *session.Session) error {
	text, err := file.Get(ctx, s)
	n, ok := fileNumber.Get(s)
	switch {
	case err == nil && (!ok || !bytes.Equal(text, fileOf(n))), errors.Is(err, session.ErrNoKey) && ok:
		return fmt.Errorf("%w: number %d", errWrongFile, n)
	case err != nil && strings.Contains(err.Error(), "gone from the store"):
		return fmt.Errorf("%w: %v", errWrongFile, err)
	case errors.Is(err, session.ErrNoKey):
		return nil
	}
	return err
}

// checkParts looks at the parts that are left in Redis. What a session names is there, and has about the time to live of
// the session: a load that was cut off may have given it to the value alone. Nothing lives longer than a session can.
func checkParts(t *testing.T, b testkit.Backend) {
	sessions, left := 0, 0
	for _, key := range b.Keys(t) {
		value, isHash := strings.CutSuffix(key, ":large")
		if !isHash {
			continue
		}
		if !strings.Contains(value, "}") || strings.HasSuffix(value, "}") { // the value has no slot in its key
			value = strings.Trim(value, "{}")
		}
		there, err := redis.StringMap(b.Do("HGETALL", key), nil)
		if err != nil {
			t.Fatal(err)
		}
		ttl, valueTTL := b.Do("PTTL", key).(int64), b.Do("PTTL", value).(int64)
		if ttl < max(0, valueTTL/2) || ttl > (30*time.Minute+time.Second).Milliseconds() {
			t.Errorf("%s has %d ms to live, its session %d", key, ttl, valueTTL)
		}
		text, _ := redis.Bytes(b.Do("GET", value), nil)
		var members map[string]json.RawMessage
		_ = json.Unmarshal(text, &members)
		named := partsNamed(members)
		for name := range named {
			if _, ok := there[name]; !ok {
				t.Errorf("%s has no %s, which its session names", key, name)
			}
			delete(there, name)
		}
		sessions += len(named)
		left += len(there)
	}
	t.Logf("%d large values of sessions, %d that wait for their end", sessions, left)
	if sessions == 0 {
		t.Error("no session has a large value")
	}
}

// checkNamed looks whether sessions that name a large value have it.
func checkNamed(t *testing.T, b testkit.Backend) {
	for _, key := range b.Living(t) {
		parts := key + ":large"
		switch hasSlot := strings.Contains(key, "{"); {
		case !hasSlot:
			parts = "{" + key + "}:large"
		case strings.HasPrefix(key, "{") || strings.Count(key, ":") > 2:
			continue // the value of a save that was cut off
		}
		text, _ := redis.String(b.Do("GET", key), nil)
		if strings.Contains(text, `"_large":`) && b.Do("EXISTS", parts) != int64(1) {
			t.Errorf("%s has none of its large values", key)
		}
	}
}
