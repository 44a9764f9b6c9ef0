package boltstore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/sessionkv/session/driver"
)

// Where one ID ends and the name of a part begins is never in doubt.
func TestPartsOfAllIDsAreApart(t *testing.T) {
	store := open(t, filepath.Join(t.TempDir(), "sessions"))
	var texts []string
	for _, a := range []string{"\x00", "\x01", "\x02", "a"} {
		texts = append(texts, a)
		for _, b := range []string{"\x00", "\x01", "\x02", "a"} {
			texts = append(texts, a+b)
		}
	}
	long := string(make([]byte, 127)) // a byte more and its length takes two bytes
	ids := slices.Concat(texts, []string{long, long + "\x01", long + "\x01\x01"})
	names := slices.Concat(texts, []string{""})
	textOf := func(id, name string) driver.Part {
		return driver.Part{Name: name, Text: fmt.Appendf(nil, "%q %q", id, name)}
	}
	for _, id := range ids {
		var all []driver.Part
		for _, name := range names {
			all = append(all, textOf(id, name))
		}
		saveLarge(t, store, id, all...)
	}
	for i, id := range ids {
		for _, name := range names {
			wantParts(t, store, id, textOf(id, name))
		}
		if err := store.RemoveParts(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if n := countParts(t, store); n != (len(ids)-i-1)*len(names) {
			t.Fatalf("after the removal of those of %q there are %d parts", id, n)
		}
	}
}

func TestPartsGoWithTheirValueInOneTransaction(t *testing.T) {
	store := open(t, filepath.Join(t.TempDir(), "sessions"))
	added := []driver.Part{{Name: "1", Text: []byte("one")}, {Name: "2", Text: []byte("two")}}
	transactions := func(what string, want int, fn func() error) {
		t.Helper()
		before := store.lastTransaction(t)
		if err := fn(); err != nil {
			t.Fatal(err)
		}
		if n := store.lastTransaction(t) - before; n != want {
			t.Errorf("%s: %d transactions; want %d", what, n, want)
		}
	}
	transactions("SaveLarge", 1, func() error {
		_, err := store.SaveLarge(t.Context(), "id", nil, []byte("{}"), time.Hour, added...)
		return err
	})
	transactions("reading", 0, func() error {
		wantParts(t, store, "id", added...)
		_, err := store.LoadLarge(t.Context(), "id", time.Hour)
		return err
	})
	transactions("Delete", 1, func() error { _, err := store.Delete(t.Context(), "id", nil); return err })
	if n := countParts(t, store); n != 0 {
		t.Errorf("%d parts without a value", n)
	}
	transactions("RemoveParts after it", 0, func() error { return store.RemoveParts(t.Context(), "id") })
}

// A large part that comes or goes leaves the others where they are, and is not read to be removed.
func TestPartsAreWrittenAndRemovedAlone(t *testing.T) {
	store := open(t, filepath.Join(t.TempDir(), "sessions"))
	const size = 1 << 20
	add := func(id, name string) { saveLarge(t, store, id, partOfSize(name, size)) }
	for _, id := range []string{"1", "2", "3"} {
		for _, name := range []string{"3", "1", "4"} {
			add(id, name)
		}
	}
	for what, change := range map[string]func(){
		"a part": func() { add("2", "2") },
		"Delete": func() { _, _ = store.Delete(t.Context(), "1", nil) },
	} {
		before := content(t, store)
		change()
		changed, after := 0, content(t, store)
		for page := 0; page < len(after); page += 4096 {
			if page >= len(before) || !bytes.Equal(before[page:page+4096], after[page:page+4096]) {
				changed += 4096
			}
		}
		if most := map[string]int{"a part": size, "Delete": 0}[what]; changed > most+20*4096 {
			t.Errorf("%s: %d bytes of the file have changed; want %d", what, changed, most)
		}
	}
}

func TestSweepOfLargePartsIsInSteps(t *testing.T) {
	store := open(t, filepath.Join(t.TempDir(), "sessions"))
	const n, size = 10, 3000
	for i := range n {
		saveLarge(t, store, fmt.Sprint(i), partOfSize("1", size), partOfSize("2", size))
	}
	store.Advance(2 * time.Hour)
	steps := 0
	for more := true; more; steps++ {
		err := store.update(t.Context(), func(t *tx) { more = t.sweep(t.now, sweepStep, 3*size) })
		if err != nil {
			t.Fatal(err)
		}
	}
	if steps != n/2 {
		t.Errorf("%d steps; want one for two sessions each", steps)
	}
	wantKeys(t, store, 0, 0, 0)
}

// What has expired may be in the file still when its ID is used again.
func TestPartsOfAnExpiredValueDoNotComeBack(t *testing.T) {
	store := open(t, filepath.Join(t.TempDir(), "sessions"))
	saveLarge(t, store, "id", partOfSize("1", 10))
	store.Advance(2 * time.Hour)
	if _, err := store.Part(t.Context(), "id", "1"); err != driver.ErrNotFound {
		t.Errorf("the part of a value that has expired: %v", err)
	}
	save(t, store, "id", time.Hour)
	if _, err := store.Part(t.Context(), "id", "1"); err != driver.ErrNotFound || countParts(t, store) != 0 {
		t.Errorf("it is back: %v", err)
	}
}

func TestFileWithoutPartsGetsThem(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sessions")
	store := open(t, path)
	save(t, store, "id", time.Hour)
	closeStore(t, store)
	db, err := bolt.Open(path, fileMode, &options)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(b *bolt.Tx) error { return b.DeleteBucket(parts) })
	if closed := db.Close(); err != nil || closed != nil {
		t.Fatal(err, closed)
	}
	store = open(t, path)
	added := partOfSize("1", 10)
	if _, err := store.SaveLarge(t.Context(), "id", []byte("{}"), []byte("[]"), time.Hour, added); err != nil {
		t.Fatal(err)
	}
	closeStore(t, store)
	check(t, path)
	was := content(t, store)
	store = open(t, path)
	wantParts(t, store, "id", added)
	if !bytes.Equal(content(t, store), was) {
		t.Error("to open a file that has parts changes it")
	}
}

// Between large parts that come and go there are small sessions that stay.
func TestSpaceOfLargePartsIsUsedAgain(t *testing.T) {
	store := open(t, filepath.Join(t.TempDir(), "sessions"))
	var early int
	for generation := range 20 {
		for i := range 5 {
			id := fmt.Sprintf("%d-%d", generation, i)
			saveLarge(t, store, id, partOfSize("1", 100_000+rand.IntN(400_000)), partOfSize("2", 10_000))
			save(t, store, fmt.Sprint("small ", id), 10*time.Hour)
		}
		store.Advance(time.Hour)
		if err := store.sweeper.sweep(); err != nil {
			t.Fatal(err)
		}
		if n := countParts(t, store); n != 0 {
			t.Fatalf("%d parts are left", n)
		}
		if generation == 9 {
			early = len(content(t, store))
		}
	}
	if late := len(content(t, store)); late > early {
		t.Errorf("the file has grown from %d to %d bytes", early, late)
	}
}

// content is the file.
func content(t *testing.T, store *Store) []byte {
	t.Helper()
	content, err := os.ReadFile(store.disk.path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// saveLarge adds parts to the value of id, which it makes if there is none.
func saveLarge(t *testing.T, store *Store, id string, added ...driver.Part) {
	t.Helper()
	if _, err := store.SaveLarge(t.Context(), id, nil, []byte("{}"), time.Hour, added...); err != nil {
		t.Fatal(err)
	}
}

func wantParts(t *testing.T, store *Store, id string, want ...driver.Part) {
	t.Helper()
	for _, part := range want {
		text, err := store.Part(t.Context(), id, part.Name)
		if err != nil || !bytes.Equal(text, part.Text) {
			t.Fatalf("part %q of %q: %.20q, %d bytes, %v; want %d bytes", part.Name, id, text, len(text), err, len(part.Text))
		}
	}
}

func countParts(t *testing.T, store *Store) (n int) {
	t.Helper()
	if err := store.disk.view(func(b *bolt.Tx) { n = keys(b, parts) }); err != nil {
		t.Fatal(err)
	}
	return n
}

// partOfSize has a text that tells it from all others.
func partOfSize(name string, size int) driver.Part {
	noise := rand.New(rand.NewPCG(rand.Uint64(), 0))
	text := make([]byte, 0, size+8)
	for len(text) < size {
		text = binary.BigEndian.AppendUint64(text, noise.Uint64())
	}
	return driver.Part{Name: name, Text: text[:size]}
}

// fillingParts are those of the sessions of fill: a large part, or many small ones.
func fillingParts(i int) (all []driver.Part) {
	switch i % 20 {
	case 0:
		all = append(all, driver.Part{Name: "large", Text: bytes.Repeat([]byte{byte(i)}, 10_000)})
	case 1:
		for j := range 5 {
			all = append(all, driver.Part{Name: fmt.Sprint(j), Text: bytes.Repeat([]byte{byte(j)}, 100*j)})
		}
	}
	return all
}

// partOf is the part of a step. Its text follows from its name, which is a number.
func partOf(name string) driver.Part {
	n, _ := strconv.ParseUint(name, 10, 64)
	return driver.Part{Name: name, Text: bytes.Repeat([]byte(name), int(n%3000))}
}

// applyParts is apply for parts. It comes first.
func (m *model) applyParts(s step) {
	switch s.Call {
	case "saveLarge":
		m.parts[s.ID] = append(m.parts[s.ID], s.Part)
	case "conflict":
		if m.isThere(s.ID) {
			m.parts[s.ID] = append(m.parts[s.ID], s.Part)
		}
	case "removePart":
		m.parts[s.ID] = slices.DeleteFunc(m.parts[s.ID], func(name string) bool { return name == s.Part })
	case "delete", "bury", "removeParts":
		m.parts[s.ID] = nil
	}
}

// partsDiffer is differs for the parts of an ID.
func (m *model) partsDiffer(store *Store, id string) error {
	var names []string
	err := store.view(func(t *tx) {
		names = t.partNames(id)
		for _, name := range names {
			if !bytes.Equal(t.part(id, name), partOf(name).Text) {
				names = append(names, "damaged "+name)
			}
		}
	})
	want := slices.Sorted(slices.Values(m.parts[id]))
	if err != nil || !slices.Equal(names, want) {
		return fmt.Errorf("%s has the parts %q, %v; want %q", id, names, err, want)
	}
	return nil
}
