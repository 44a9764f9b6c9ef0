package boltstore

import (
	"context"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sessionkv/session/driver"
)

// benchmarkFill is how many sessions of 500 bytes there are.
const benchmarkFill = 10_000

func benchmarkStore(b *testing.B) *Store {
	b.Helper()
	store, err := Open(filepath.Join(b.TempDir(), "sessions"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = store.Close() })
	for i := 0; i < benchmarkFill; i += 1000 {
		err := store.update(b.Context(), func(t *tx) {
			for j := range 1000 {
				t.store(benchmarkID(i+j), make([]byte, 500), time.Hour)
				if name := driver.UserOf(benchmarkID(i + j)); name != "" {
					t.add(benchmarkID(i + j))
					t.know(name, user{}.kept(t.now, time.Hour))
				}
			}
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	return store
}

// benchmarkID is of a user if i is odd.
func benchmarkID(i int) string {
	i = i % benchmarkFill * 7919 % benchmarkFill
	if i%2 == 0 {
		return fmt.Sprintf("%036d", i)
	}
	return fmt.Sprintf("%020d:%022d", i, i)
}

func BenchmarkLoad(b *testing.B) {
	store := benchmarkStore(b)
	for kind, first := range map[string]int{"visitor": 0, "user": 1} {
		b.Run(kind, func(b *testing.B) {
			b.ReportAllocs()
			for i := first; b.Loop(); i += 2 {
				if _, err := store.Load(context.Background(), benchmarkID(i), time.Hour); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSave(b *testing.B) {
	for _, callers := range []int{1, 32} {
		b.Run(fmt.Sprint("callers=", callers), func(b *testing.B) {
			store := benchmarkStore(b)
			var number atomic.Int64
			b.ReportAllocs()
			b.SetParallelism(callers) // times GOMAXPROCS: run it with -cpu 1
			b.ResetTimer()
			work := func(next func() bool) {
				for next() {
					i := int(number.Add(1))
					was := make([]byte, 500)
					value := fmt.Appendf(make([]byte, 0, 500), "%0500d", i)
					if _, err := store.Save(context.Background(), benchmarkID(i*2), was, value, time.Hour); err != nil && err != driver.ErrConflict {
						b.Error(err)
					}
				}
			}
			if callers == 1 {
				work(b.Loop)
				return
			}
			begin := store.lastTransaction(b)
			b.RunParallel(func(pb *testing.PB) { work(pb.Next) })
			b.ReportMetric(float64(b.N)/float64(store.lastTransaction(b)-begin), "saves/sync")
		})
	}
}
