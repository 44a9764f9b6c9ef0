package memstore

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) driver.Store { return new(Store) })
}

func TestValuesExpireByTheRealClockToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var store Store
		save(t, &store, "id", time.Minute)
		time.Sleep(time.Minute - 1)
		if _, err := store.Load(t.Context(), "id", time.Minute); err != nil {
			t.Errorf("within its time to live: %v", err)
		}
		time.Sleep(time.Minute)
		if _, err := store.Load(t.Context(), "id", time.Minute); err != driver.ErrNotFound {
			t.Errorf("after it: %v", err)
		}
	})
}

// Nobody asks for most sessions again after they have expired. Their memory is given back by the saves of others.
func TestExpiredValuesAreSwept(t *testing.T) {
	var store Store
	const n = 1000
	for i := range n {
		save(t, &store, fmt.Sprint("old", i), time.Duration(1+i%7)*time.Minute)
	}
	save(t, &store, "kept", time.Hour)
	store.Advance(10 * time.Minute)
	for i := range n / 2 {
		save(t, &store, fmt.Sprint("new", i), time.Hour)
	}
	if len(store.entries) != n/2+1 || len(store.queue) != n/2+1 {
		t.Errorf("%d entries, %d in the queue; want %d", len(store.entries), len(store.queue), n/2+1)
	}
	if _, err := store.Load(t.Context(), "kept", time.Hour); err != nil {
		t.Errorf("a living session: %v", err)
	}
	store.Advance(2 * time.Hour)
	for range n {
		_, _ = store.Delete(t.Context(), "none", nil)
	}
	if len(store.entries) != 0 || len(store.queue) != 0 {
		t.Errorf("%d entries, %d in the queue after deletions", len(store.entries), len(store.queue))
	}
}

func TestStorePrintsNothingOfItsContents(t *testing.T) {
	var store Store
	save(t, &store, "id", time.Hour)
	var text strings.Builder
	slog.New(slog.NewTextHandler(&text, nil)).Info("store", "store", &store)
	fmt.Fprintf(&text, "%v %+v %#v %s %d", &store, &store, &store, &store, &store)
	if strings.Contains(text.String(), "id") || strings.Count(text.String(), "memstore.Store") != 6 {
		t.Errorf("printed %s", text.String())
	}
}

func save(t *testing.T, store *Store, id string, ttl time.Duration) {
	t.Helper()
	if _, err := store.Save(t.Context(), id, nil, []byte("{}"), ttl); err != nil {
		t.Fatal(err)
	}
}

// What expires while the sessions of a user are listed is left out.
func TestMembersThatExpireMeanwhileAreLeftOut(t *testing.T) {
	var store Store
	const n = 1000
	id := func(i int) string { return fmt.Sprintf("user:%d", i) }
	for i := range n {
		save(t, &store, id(i), time.Hour)
		if _, err := store.Add(t.Context(), driver.Entry{ID: id(i), Keep: time.Hour}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range n { // again, with the time that it really has
		save(t, &store, id(i), 10*time.Millisecond+time.Duration(i)*20*time.Microsecond)
	}
	for left := n; left > 0; {
		members, err := store.Members(t.Context(), "user")
		if err != nil || len(members) > left {
			t.Fatalf("%d members after %d: %v", len(members), left, err)
		}
		left = len(members)
	}
}
