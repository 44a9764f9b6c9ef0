package boltstore

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) driver.Store { return open(t, filepath.Join(t.TempDir(), "sessions")) })
}

func TestConcurrentSavesShareSyncs(t *testing.T) {
	store := open(t, filepath.Join(t.TempDir(), "sessions"))
	before := store.lastTransaction(t)
	var group sync.WaitGroup
	const callers, each = 50, 4
	for i := range callers {
		group.Go(func() {
			for j := range each {
				if _, err := store.Save(t.Context(), fmt.Sprint(i, " ", j), nil, []byte("{}"), time.Hour); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if n := store.lastTransaction(t) - before; n > callers*each/2 {
		t.Errorf("%d saves of %d callers made %d transactions", callers*each, callers, n)
	}
}

// What changes nothing is not synced.
func TestRefusalsCostNoSync(t *testing.T) {
	store := open(t, filepath.Join(t.TempDir(), "sessions"))
	save(t, store, "id", time.Hour)
	if _, err := store.Stamp(t.Context(), "user"); err != nil {
		t.Fatal(err)
	}
	before := store.lastTransaction(t)
	_, conflict := store.Save(t.Context(), "id", nil, []byte("other"), time.Hour)
	_, gone := store.Delete(t.Context(), "none", nil)
	removed := store.Remove(t.Context(), "user:1")
	_, stamped := store.Stamp(t.Context(), "user")
	_, listed := store.Members(t.Context(), "user")
	if conflict != driver.ErrConflict || gone != driver.ErrNotFound || removed != driver.ErrRemoved || stamped != nil || listed != nil {
		t.Errorf("%v, %v, %v, %v, %v", conflict, gone, removed, stamped, listed)
	}
	if n := store.lastTransaction(t) - before; n != 0 {
		t.Errorf("%d transactions", n)
	}
}

func open(t *testing.T, path string) *Store {
	t.Helper()
	store, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}
