package redisstore

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/gomodule/redigo/redis"

	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/redistest"
)

// ways are a save by a script and by WATCH.
var ways = map[string]struct {
	options         Options
	replace, refuse string // the commands of a save, and of one that finds another value
}{
	"script":     {Options{}, "SET EVALSHA", "SET EVALSHA"},
	"no scripts": {Options{NoScripts: true}, "WATCH STRLEN GETRANGE MULTI SET EXEC", "WATCH STRLEN GETRANGE MULTI DISCARD GETEX"},
}

// newValue returns a value of a new revision and of this length, or of a little more if that is too short.
func newValue(length int) []byte {
	v := fmt.Appendf(nil, `{"_rev":"%s","body":"`, rand.Text())
	v = append(v, strings.Repeat("x", max(0, length-len(v)-2))...)
	return append(v, `"}`...)
}

// A saver saves values under one key, one after the other.
type saver struct {
	t     testing.TB
	store *Store
	value []byte
}

// begin stores a first value of this length.
func begin(t testing.TB, store *Store, length int) *saver {
	t.Helper()
	s := &saver{t: t, store: store}
	s.save(newValue(length))
	return s
}

func (s *saver) save(next []byte) {
	s.t.Helper()
	if _, err := s.store.Save(s.t.Context(), "1", s.value, next, time.Minute); err != nil {
		s.t.Fatal(err)
	}
	s.value = next
}

// wantConflict checks that a save finds current in the place of the value that was saved last.
func (s *saver) wantConflict(current []byte) {
	s.t.Helper()
	if got, err := s.store.Save(s.t.Context(), "1", s.value, newValue(0), time.Minute); err != driver.ErrConflict || !bytes.Equal(got, current) {
		s.t.Errorf("Save = %.100q, %v; want a conflict with %.100q", got, err, current)
	}
}

// storeOn returns a Store that makes a connection to what addr returns for each flush.
func storeOn(t testing.TB, options Options, addr func() string) *Store {
	store := New(&redis.Pool{DialContext: func(ctx context.Context) (redis.Conn, error) {
		return redis.DialContext(ctx, "tcp", addr())
	}}, options)
	t.Cleanup(func() { store.Close() })
	return store
}

// A save of a small value is one SET where the server has IFEQ. Elsewhere the first one finds out that it has not, and
// the others do not try it, until ten minutes have passed.
func TestIfEqualIsFoundOut(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			server.Do(t, "FLUSHALL")
			large := begin(t, storeOn(t, way.options, server.Addr), ifEqualMost+1)
			large.save(newValue(0)) // the server knows the script
			store := storeOn(t, way.options, server.Addr)
			s := &saver{t, store, large.value}
			want := func(what, commands string, do func()) {
				t.Helper()
				if got := strings.Join(server.Commands(t, do), " "); got != commands {
					t.Errorf("%s: %s; want %s", what, got, commands)
				}
			}
			first, others, conflict := "SET", "SET", "SET GETEX"
			if !server.HasIfEqual(t) {
				first, others, conflict = "SET "+way.replace, way.replace, way.refuse
			}
			want("the first save", first, func() { s.save(newValue(ifEqualMost)) })
			want("the next", others, func() { s.save(newValue(ifEqualMost + 1)) })
			want("that of a large value", way.replace, func() { s.save(newValue(0)) })
			stored := s.value
			s.value = newValue(0)
			want("a conflict", conflict, func() { s.wantConflict(stored) })
			s.value = stored
			store.ifEqual.refused.Add(-int64(ifEqualPause))
			want("a save after the pause", first, func() { s.save(newValue(0)) })
			want("the one after that", others, func() { s.save(newValue(0)) })
		})
	}
}

// An edit by hand that keeps the length and the _rev is a conflict where the server has IFEQ.
func TestIfEqualSeesEveryEdit(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	if !server.HasIfEqual(t) {
		t.Skip("the SET of this server has no IFEQ: set SESSION_REDIS_SERVER to a Valkey 8.1 or a Redis 8.4")
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			server.Do(t, "FLUSHALL")
			s := begin(t, storeOn(t, way.options, server.Addr), 200)
			edited := bytes.Replace(s.value, []byte("x"), []byte("y"), 1)
			server.Do(t, "SET", "session:1", edited)
			s.wantConflict(edited)
			s.value = edited
			s.save(newValue(0))
		})
	}
}

// After a failover, the server may be one without IFEQ where that before had it, and the other way round. miniredis is
// without.
func TestIfEqualAfterAFailover(t *testing.T) {
	t.Parallel()
	server, other := redistest.Start(t), miniredis.RunT(t)
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			addr, v := "", newValue(0)
			s := &saver{t, storeOn(t, way.options, func() string { return addr }), v}
			for i, next := range []string{server.Addr(), other.Addr(), server.Addr(), other.Addr(), server.Addr()} {
				addr = next
				if i > 2 {
					s.store.ifEqual.refused.Add(-int64(ifEqualPause))
				}
				server.Do(t, "SET", "session:1", s.value)
				_ = other.Set("session:1", string(s.value))
				s.save(newValue(0))
				s.save(newValue(0))
				stored := s.value
				s.value = newValue(0)
				s.wantConflict(stored)
				s.value = stored
			}
		})
	}
}

// The server loses the reply to a save, and the repeat finds one without IFEQ, to which the new value has come or not.
func TestLostReplyBeforeAFailover(t *testing.T) {
	t.Parallel()
	server, other := redistest.Start(t), miniredis.RunT(t)
	was, next, third := newValue(0), newValue(0), newValue(0)
	for name, way := range ways {
		for _, test := range []struct {
			name          string
			stored, after []byte
			lost          bool
		}{
			{"not come", was, next, false},
			{"come", next, next, false},
			{"replaced", third, third, true},
		} {
			t.Run(name+"/"+test.name, func(t *testing.T) {
				server.Do(t, "SET", "session:1", was)
				_ = other.Set("session:1", string(test.stored))
				proxy := redistest.NewProxy(t, server.Addr())
				proxy.DropReplies(0, 1)
				addrs := []string{proxy.Addr()}
				store := storeOn(t, way.options, func() string {
					defer func() { addrs = []string{other.Addr()} }()
					return addrs[0]
				})
				_, err := store.Save(t.Context(), "1", was, next, time.Minute)
				if (err != nil) != test.lost || test.lost && !errors.Is(err, io.EOF) {
					t.Errorf("Save = %v", err)
				}
				if got, _ := other.Get("session:1"); got != string(test.after) {
					t.Errorf("stored: %q; want %q", got, test.after)
				}
			})
		}
	}
}

// BenchmarkIfEqual compares the two ways in turns, 500 saves each: the processor time that Redis spends on a save by a
// script and by IFEQ, and the ratio of the two. 1 op is a turn of both.
func BenchmarkIfEqual(b *testing.B) {
	server := redistest.Start(b)
	if !server.HasIfEqual(b) {
		b.Skip("the SET of this server has no IFEQ")
	}
	dial := func() (redis.Conn, error) { return redis.Dial("unix", server.Socket()) }
	store := New(&redis.Pool{MaxIdle: 4, Dial: dial}, Options{})
	defer store.Close()
	stats := server.Dial(b)
	for _, size := range []int{200, 4 << 10, 8 << 10, 16 << 10, 64 << 10} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			const turn = 500
			c := change{key: "session:1", was: newValue(size), value: newValue(size), ttl: time.Minute.Milliseconds()}
			server.Do(b, "SET", c.key, c.was)
			var spent [2]float64
			for b.Loop() {
				for i, replace := range []func(context.Context, change) (any, error, error){store.replaceByScript, store.replaceIfEqual} {
					before := cpuMicroseconds(b, stats)
					for range turn {
						if answer, _, err := replace(b.Context(), c); answer != changed {
							b.Fatal(answer, err)
						}
						c.was, c.value = c.value, c.was
					}
					spent[i] += cpuMicroseconds(b, stats) - before
				}
			}
			for i, unit := range []string{"script-µs", "ifeq-µs"} {
				b.ReportMetric(spent[i]/float64(b.N)/turn, unit)
			}
			b.ReportMetric(spent[1]/spent[0], "ratio")
		})
	}
}

// cpuMicroseconds returns the processor time that the server has spent.
func cpuMicroseconds(b *testing.B, conn redis.Conn) (total float64) {
	info, err := redis.String(conn.Do("INFO", "cpu"))
	if err != nil {
		b.Fatal(err)
	}
	for _, match := range regexp.MustCompile(`used_cpu_(?:user|sys):(\S+)`).FindAllStringSubmatch(info, -1) {
		seconds, err := strconv.ParseFloat(match[1], 64)
		if err != nil {
			b.Fatal(err)
		}
		total += seconds * 1e6
	}
	return total
}
