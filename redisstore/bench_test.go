package redisstore_test

import (
	"context"
	"crypto/rand"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/redistest"
	"github.com/sessionkv/session/redisstore"
)

// sizes are those of the values of the benchmarks.
var sizes = []struct {
	name  string
	bytes int
}{{"200B", 200}, {"4kB", 4 << 10}, {"64kB", 64 << 10}, {"1MB", 1 << 20}}

// benchmark runs fn with values of each size, and reports the CPU time that Redis spends: all of it, and that of
// executing commands without reading, parsing and answering them.
func benchmark(b *testing.B, fn func(b *testing.B, pool *redis.Pool, body string)) {
	server := redistest.Start(b)
	stats := server.Dial(b)
	for _, size := range sizes {
		b.Run(size.name, func(b *testing.B) {
			pool := &redis.Pool{MaxIdle: 64, Dial: func() (redis.Conn, error) { return redis.Dial("unix", server.Socket()) }}
			defer pool.Close()
			b.SetBytes(int64(size.bytes))
			b.ReportAllocs()
			cpu, executed := cpuTime(b, stats), executionTime(b, stats)
			fn(b, pool, strings.Repeat("x", size.bytes-50))
			b.StopTimer()
			b.ReportMetric((cpuTime(b, stats)-cpu)/float64(b.N), "redis-µs/op")
			b.ReportMetric((executionTime(b, stats)-executed)/float64(b.N), "redis-exec-µs/op")
		})
	}
}

// cpuTime returns the CPU time that the server has spent, in microseconds.
func cpuTime(b *testing.B, conn redis.Conn) float64 {
	return sum(b, conn, "cpu", func(name, value string) (string, bool) {
		return value, name == "used_cpu_user" || name == "used_cpu_sys"
	}) * 1e6
}

// executionTime returns the time that the server has spent in the store's commands, in microseconds.
func executionTime(b *testing.B, conn redis.Conn) float64 {
	return sum(b, conn, "commandstats", func(name, value string) (string, bool) {
		_, value, _ = strings.Cut(value, "usec=")
		value, _, _ = strings.Cut(value, ",")
		return value, name == "cmdstat_getex" || name == "cmdstat_zrank" || name == "cmdstat_set" || name == "cmdstat_evalsha" || name == "cmdstat_exec"
	})
}

// sum adds up the numbers of a section of INFO that pick chooses.
func sum(b *testing.B, conn redis.Conn, section string, pick func(name, value string) (string, bool)) (total float64) {
	info, err := redis.String(conn.Do("INFO", section))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if value, ok := pick(name, value); ok {
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				b.Fatal(err)
			}
			total += n
		}
	}
	return total
}

func BenchmarkLoad(b *testing.B) { benchmarkLoad(b, rand.Text()) }

// BenchmarkLoadOfAUser also asks the list of a user, which has 10 members.
func BenchmarkLoadOfAUser(b *testing.B) { benchmarkLoad(b, "user:"+rand.Text()) }

func benchmarkLoad(b *testing.B, id string) {
	benchmark(b, func(b *testing.B, pool *redis.Pool, body string) {
		store := redisstore.New(pool, redisstore.Options{})
		_, _ = store.Delete(b.Context(), id, nil)
		mustSave(b, store, id, nil, value(body))
		if user := driver.UserOf(id); user != "" {
			for i := range 9 {
				mustAdd(b, store, user+":"+strconv.Itoa(i)+rand.Text())
			}
			if _, err := store.Add(b.Context(), driver.Entry{ID: id, Keep: time.Hour}); err != nil {
				b.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(b.Context(), time.Hour) // as every call of the Manager has a deadline
		defer cancel()
		for b.Loop() {
			if _, err := store.Load(ctx, id, time.Minute); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkLoadParallel(b *testing.B) {
	benchmark(b, func(b *testing.B, pool *redis.Pool, body string) {
		store := redisstore.New(pool, redisstore.Options{})
		id := rand.Text()
		mustSave(b, store, id, nil, value(body))
		b.SetParallelism(16)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, err := store.Load(b.Context(), id, time.Minute); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

// BenchmarkSet is the floor of a save: a plain SET.
func BenchmarkSet(b *testing.B) {
	benchmark(b, func(b *testing.B, pool *redis.Pool, body string) {
		conn, v := pool.Get(), value(body)
		defer conn.Close()
		for b.Loop() {
			if _, err := conn.Do("SET", "session:floor", v, "PX", 60_000); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkSave replaces one value by another, again and again.
func BenchmarkSave(b *testing.B) {
	benchmark(b, func(b *testing.B, pool *redis.Pool, body string) {
		store := redisstore.New(pool, redisstore.Options{})
		id, was, next := rand.Text(), value(body), value(body)
		mustSave(b, store, id, nil, was)
		ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
		defer cancel()
		for b.Loop() {
			if _, err := store.Save(ctx, id, was, next, time.Minute); err != nil {
				b.Fatal(err)
			}
			was, next = next, was
		}
	})
}

// BenchmarkFar loads a value of 200 B with 32 callers at a time, over networks of different round trips. It reports what
// most and nearly all of the loads take, and how many connections were made.
func BenchmarkFar(b *testing.B) {
	server := redistest.Start(b)
	for _, distance := range []time.Duration{0, time.Millisecond, 5 * time.Millisecond} {
		b.Run(distance.String(), func(b *testing.B) {
			pool := farPool(server.Addr(), distance)
			dials := countDials(pool)
			store := openPool(b, pool, redisstore.Options{})
			id := rand.Text()
			mustSave(b, store, id, nil, value(strings.Repeat("x", 150)))
			for range 100 {
				_ = store.Ping(b.Context())
			}
			var mu sync.Mutex
			var took []float64
			b.SetParallelism(max(1, 32/runtime.GOMAXPROCS(0)))
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				var own []float64
				for pb.Next() {
					start := time.Now()
					if _, err := store.Load(b.Context(), id, time.Minute); err != nil {
						b.Error(err)
					}
					own = append(own, time.Since(start).Seconds()*1e3)
				}
				mu.Lock()
				defer mu.Unlock()
				took = append(took, own...)
			})
			slices.Sort(took)
			b.ReportMetric(took[len(took)/2], "p50-ms")
			b.ReportMetric(took[len(took)*99/100], "p99-ms")
			b.ReportMetric(float64(dials.Load()), "connections")
		})
	}
}
