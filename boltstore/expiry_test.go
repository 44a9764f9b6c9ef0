package boltstore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/sessionkv/session/driver"
)

// crashed opens a copy of the file as a crash would leave it.
func crashed(t *testing.T, store *Store) *Store {
	t.Helper()
	content, err := os.ReadFile(store.disk.path)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "copy")
	writeFile(t, path, content)
	return open(t, path)
}

func wantTTL(t *testing.T, store *Store, id string, want time.Duration) {
	t.Helper()
	if _, ttl, err := store.Peek(t.Context(), id); err != nil || ttl != want {
		t.Errorf("%v to live, %v; want %v", ttl, err, want)
	}
}

func TestLoadCostsNoWriteAndIsWrittenSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := open(t, filepath.Join(t.TempDir(), "sessions"))
		save(t, store, "id", time.Minute)
		time.Sleep(sweepEvery + 15*time.Second)
		written := store.lastTransaction(t)
		if _, err := store.Load(t.Context(), "id", time.Minute); err != nil {
			t.Fatal(err)
		}
		wantTTL(t, store, "id", time.Minute)
		wantTTL(t, crashed(t, store), "id", 15*time.Second)
		if n := store.lastTransaction(t) - written; n != 0 {
			t.Errorf("a load made %d transactions", n)
		}
		time.Sleep(sweepEvery)
		wantTTL(t, store, "id", time.Minute-sweepEvery)
		wantTTL(t, crashed(t, store), "id", time.Minute-sweepEvery)
		written = store.lastTransaction(t)
		time.Sleep(sweepEvery - 1)
		if n := store.lastTransaction(t) - written; n != 0 {
			t.Errorf("nothing has changed and there were %d transactions", n)
		}
	})
}

func TestCloseWritesWhatLoadsHaveExtended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "sessions")
		store := open(t, path)
		save(t, store, "id", time.Minute)
		time.Sleep(sweepEvery / 2)
		if _, err := store.Load(t.Context(), "id", time.Minute); err != nil {
			t.Fatal(err)
		}
		closeStore(t, store)
		check(t, path)
		wantTTL(t, open(t, path), "id", time.Minute)
	})
}

// A load that came before a save must not let what was saved, such as the mark of an end, live as long as a session.
func TestTouchIsOfOneVersion(t *testing.T) {
	store := open(t, filepath.Join(t.TempDir(), "sessions"))
	save(t, store, "id", time.Hour)
	found, err := store.look("id")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Save(t.Context(), "id", []byte("{}"), []byte("last"), time.Second); err != nil {
		t.Fatal(err)
	}
	store.sweeper.touch("id", found.life.version, found.life.ends)
	for range 2 {
		if _, ttl, err := store.Peek(t.Context(), "id"); err != nil || ttl > time.Second {
			t.Errorf("%v to live, %v", ttl, err)
		}
		if err := store.sweeper.sweep(); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(store.touches.all(1)); n != 0 {
		t.Errorf("%d touches are left", n)
	}
}

func TestManyTouchesAreWrittenBeforeTheirTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := open(t, filepath.Join(t.TempDir(), "sessions"))
		for i := range maxTouches {
			store.sweeper.touch(fmt.Sprint(i), 1, 1)
		}
		synctest.Wait()
		for store.touches.all(1) != nil { // while it writes
			time.Sleep(time.Nanosecond)
		}
		if time.Since(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)) > time.Second {
			t.Error("they were kept until the next sweep")
		}
	})
}

func TestExpiredSessionsLeaveTheFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "sessions")
		store := open(t, path)
		for i := range 20 {
			id := fmt.Sprintf("user%d:1", i)
			save(t, store, id, time.Minute)
			if _, err := store.Add(t.Context(), driver.Entry{ID: id, Keep: time.Hour}); err != nil {
				t.Fatal(err)
			}
			if _, err := store.Stamp(t.Context(), fmt.Sprint("user", i)); err != nil {
				t.Fatal(err)
			}
		}
		save(t, store, "kept", time.Hour)
		save(t, store, "shortened", time.Hour)
		if _, err := store.Save(t.Context(), "shortened", []byte("{}"), []byte("last"), time.Minute); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Second)
		if _, err := store.Load(t.Context(), "user7:1", time.Hour); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		wantKeys(t, store, 2, 20, 1) // an ID goes with its value
		time.Sleep(50 * time.Hour)
		wantKeys(t, store, 0, 0, 0)
		closeStore(t, store)
		check(t, path)
	})
}

func wantKeys(t *testing.T, store *Store, sessions, people, listed int) {
	t.Helper()
	_ = store.disk.view(func(b *bolt.Tx) {
		got := [...]int{keys(b, values), keys(b, users), keys(b, members)}
		if got != [...]int{sessions, people, listed} {
			t.Errorf("%d sessions, users and IDs in lists; want %d, %d and %d", got, sessions, people, listed)
		}
		checkLives(t, &tx{Tx: b})
	})
}

func TestSpaceOfExpiredSessionsIsUsedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sessions")
	store := open(t, path)
	size := func() int64 {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	var early int64
	for generation := range 30 {
		for part := range 5 {
			err := store.update(t.Context(), func(t *tx) {
				for i := range 20 {
					t.store(fmt.Sprint(generation, part, i), make([]byte, 500*(i+part)), time.Minute)
				}
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		store.Advance(time.Minute)
		if err := store.sweeper.sweep(); err != nil {
			t.Fatal(err)
		}
		if generation == 4 {
			early = size()
		}
	}
	if late := size(); late > early {
		t.Errorf("the file has grown from %d to %d bytes", early, late)
	}
	wantKeys(t, store, 0, 0, 0)
}

// A sweep of many goes on in steps.
func TestSweepRemovesMoreThanOneStep(t *testing.T) {
	store := open(t, filepath.Join(t.TempDir(), "sessions"))
	const n = 2*sweepStep + 100
	err := store.update(t.Context(), func(t *tx) {
		for i := range n {
			t.store(fmt.Sprint("expired", i), []byte("{}"), time.Minute)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	save(t, store, "kept", time.Hour)
	store.Advance(2 * time.Minute)
	if err := store.sweeper.sweep(); err != nil {
		t.Fatal(err)
	}
	wantKeys(t, store, 1, 0, 0)
	wantNone(t, store, "expired1")
}

func TestCallReturnsAtItsDeadline(t *testing.T) {
	store := open(t, filepath.Join(t.TempDir(), "sessions"))
	writing, err := store.disk.db.Begin(true) // as a disk that is slow
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	for range 2 { // the second finds the goroutine busy
		_, err := store.Save(ctx, "id", nil, []byte("secret"), time.Hour)
		if !errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "secret") {
			t.Errorf("Save: %v", err)
		}
	}
	if err := writing.Rollback(); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Save(t.Context(), "id", nil, []byte("secret"), time.Hour); err != nil {
		t.Errorf("the repeat: %v", err)
	}
}

func TestCallWithoutTimeLeftChangesNothing(t *testing.T) {
	store := open(t, filepath.Join(t.TempDir(), "sessions"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 50 {
		if _, err := store.Save(ctx, "id", nil, []byte("{}"), time.Hour); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	save(t, store, "other", time.Hour) // comes after them
	wantNone(t, store, "id")
}

func TestClosedStoreSaysSo(t *testing.T) {
	store := open(t, filepath.Join(t.TempDir(), "sessions"))
	closeStore(t, store)
	_, loaded := store.Load(t.Context(), "id", time.Hour)
	_, saved := store.Save(t.Context(), "id", nil, []byte("{}"), time.Hour)
	if loaded != errClosed || saved != errClosed || store.Close() != nil {
		t.Errorf("Load: %v; Save: %v", loaded, saved)
	}
}

func TestStorePrintsNothingOfItsContents(t *testing.T) {
	store := open(t, filepath.Join(t.TempDir(), "sessions"))
	save(t, store, "id", time.Hour)
	var text strings.Builder
	slog.New(slog.NewTextHandler(&text, nil)).Info("store", "store", store)
	fmt.Fprintf(&text, "%v %+v %#v %s %d", store, store, store, store, store)
	if strings.Contains(text.String(), "id") || strings.Count(text.String(), "boltstore.Store") != 6 {
		t.Errorf("printed %s", text.String())
	}
}

// lastTransaction is the number of the last one.
func (s *Store) lastTransaction(t testing.TB) (n int) {
	t.Helper()
	if err := s.disk.view(func(b *bolt.Tx) { n = b.ID() }); err != nil {
		t.Fatal(err)
	}
	return n
}
