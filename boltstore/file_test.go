package boltstore

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/sessionkv/session/driver"
)

func TestFileIsForItsOwnerAlone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no such modes")
	}
	path := filepath.Join(t.TempDir(), "sessions")
	open(t, path)
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if files, err := os.ReadDir(filepath.Dir(path)); err != nil || len(files) != 1 {
		t.Errorf("the folder has %v, %v; want the file alone", files, err)
	}
}

func TestSessionsAreThereAfterClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sessions")
	store := open(t, path)
	fill(t, store, 300)
	user := "0123:1"
	save(t, store, user, time.Hour)
	if _, err := store.Add(t.Context(), driver.Entry{ID: user, Keep: time.Hour}); err != nil {
		t.Fatal(err)
	}
	stamp, err := store.Stamp(t.Context(), "0123")
	if err != nil {
		t.Fatal(err)
	}
	closeStore(t, store)
	check(t, path)
	store = open(t, path)
	wantFilled(t, store, 300)
	if _, err := store.Load(t.Context(), user, time.Hour); err != nil {
		t.Error(err)
	}
	if again, err := store.Stamp(t.Context(), "0123"); err != nil || again != stamp {
		t.Errorf("stamp %q, %v; want %q", again, err, stamp)
	}
}

func TestCopyIsOfOneMoment(t *testing.T) {
	store := open(t, filepath.Join(t.TempDir(), "sessions"))
	fill(t, store, 60)
	var group sync.WaitGroup
	done := make(chan struct{})
	group.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
				save(t, store, fmt.Sprint("meanwhile", i), time.Hour)
			}
		}
	})
	path := filepath.Join(t.TempDir(), "copy")
	err := store.Copy(path)
	close(done)
	group.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Copy(path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over another file: %v", err)
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	check(t, path)
	wantFilled(t, open(t, path), 60)
}

// The command "bbolt compact" keeps what a Store counts.
func TestCompactedFileIsOneOfTheStore(t *testing.T) {
	folder := t.TempDir()
	path, compacted := filepath.Join(folder, "sessions"), filepath.Join(folder, "compacted")
	store := open(t, path)
	fill(t, store, 60)
	add := func(store *Store, id string) {
		t.Helper()
		save(t, store, id, time.Hour)
		if _, err := store.Add(t.Context(), driver.Entry{ID: id, Keep: time.Hour}); err != nil {
			t.Fatal(err)
		}
	}
	add(store, "user:1")
	closeStore(t, store)
	from, err := bolt.Open(path, fileMode, &options)
	if err != nil {
		t.Fatal(err)
	}
	to, err := bolt.Open(compacted, fileMode, &options)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(bolt.Compact(to, from, 0), to.Close(), from.Close()); err != nil {
		t.Fatal(err)
	}
	store = open(t, compacted)
	wantFilled(t, store, 60)
	add(store, "user:0") // after the other, for they are in the order in which they were added
	list, err := store.Members(t.Context(), "user")
	if err != nil || len(list) != 2 || list[0].ID != "user:1" {
		t.Errorf("%v, %v", list, err)
	}
}

func TestFileIsOfOneStoreAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sessions")
	store := open(t, path)
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), path+" is in use") {
		t.Errorf("in the same process: %v", err)
	}
	another := exec.Command(os.Args[0])
	another.Env = append(os.Environ(), chaosVariable+"="+path)
	if output, err := another.Output(); err == nil || !strings.Contains(string(output), path+" is in use") {
		t.Errorf("in another process: %q, %v", output, err)
	}
	save(t, store, "id", time.Hour)
	closeStore(t, store)
	open(t, path)
}

// Wherever a file was cut off, either nothing of it is missing or Open says so, and leaves it as it is.
func TestFileThatWasCutOff(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sessions")
	store := open(t, path)
	fill(t, store, cutFill)
	closeStore(t, store)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lengths := []int{0, 1, 16, 80, 100, 1000, 5000, len(whole) - 1}
	for page := 0; page < len(whole); page += 4096 {
		lengths = append(lengths, page-1, page, page+1)
	}
	opened := 0
	for _, length := range lengths {
		if length < 0 {
			continue
		}
		if writeFile(t, path, whole[:length]); opens(t, path) {
			opened++
		}
	}
	if opened == 0 || opened == len(lengths) {
		t.Errorf("of %d files %d could be opened", len(lengths), opened)
	}
}

const cutFill = 60

// opens reports whether a file can be opened and has all of fill. If it cannot be opened, it must not have changed.
func opens(t *testing.T, path string) bool {
	t.Helper()
	was, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	store, err := Open(path)
	if err == nil {
		wantFilled(t, store, cutFill)
		closeStore(t, store)
		return true
	}
	if text := err.Error(); !strings.Contains(text, path+" is damaged") || !strings.Contains(text, "move it away") {
		t.Errorf("%d bytes: %v", len(was), err)
	}
	if is, err := os.ReadFile(path); err != nil || !bytes.Equal(is, was) {
		t.Errorf("the file of %d bytes has changed: %v", len(was), err)
	}
	return false
}

func TestFileThatIsNoneOfTheStore(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "sessions")
	for name, content := range map[string][]byte{
		"text":      []byte("no sessions\n"),
		"long text": bytes.Repeat([]byte("no sessions\n"), 10_000),
		"zeros":     make([]byte, 1<<16),
	} {
		if writeFile(t, path, content); opens(t, path) {
			t.Errorf("%s was opened", name)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	foreign, err := bolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := foreign.Close(); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		path:   path + " is a bolt file of another program",
		folder: folder + " is damaged or no bolt file",
	} {
		if store, err := Open(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Open(%q) = %v, %v; want %q", path, store, err, want)
		}
	}
	if _, err := Open(filepath.Join(folder, "none", "sessions")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a folder that is not there: %v", err)
	}
}

// A file may be damaged where nobody looks when it is opened, or become so later.
func TestDamageIsAnErrorAndNoCrash(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows lets nobody else change a file that is mapped")
	}
	for name, damage := range map[string]func(*os.File, int64) error{
		"zeros": func(f *os.File, size int64) error {
			_, err := f.WriteAt(make([]byte, size-2*4096), 2*4096)
			return err
		},
		"cut off":   func(f *os.File, size int64) error { return f.Truncate(2 * 4096) },
		"emptied":   func(f *os.File, size int64) error { return f.Truncate(0) },
		"scrambled": func(f *os.File, size int64) error { return scramble(f, size) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "sessions")
			store, err := Open(path)
			if err != nil {
				t.Fatal(err)
			}
			fill(t, store, 200)
			file, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			info, err := file.Stat()
			if err != nil {
				t.Fatal(err)
			}
			if err := damage(file, info.Size()); err != nil {
				t.Fatal(err)
			}
			damaged := 0
			for i := range 200 {
				if _, err := store.Load(t.Context(), fmt.Sprint("filled", i), time.Hour); err != nil {
					damaged++
				}
			}
			_, err = store.Save(t.Context(), "another", nil, []byte("secret"), time.Hour)
			if damaged == 0 || err == nil || !strings.Contains(err.Error(), path+" is damaged") || strings.Contains(err.Error(), "secret") {
				t.Errorf("%d loads failed; Save: %v", damaged, err)
			}
			_ = store.Close() // it returns
		})
	}
}

// scramble makes noise of all pages but the first four.
func scramble(f *os.File, size int64) error {
	noise := make([]byte, size-4*4096)
	for i := range noise {
		noise[i] = byte(i * i >> 3)
	}
	_, err := f.WriteAt(noise, 4*4096)
	return err
}

func fill(t *testing.T, store *Store, n int) {
	t.Helper()
	var group sync.WaitGroup
	for i := range n {
		group.Go(func() {
			_, err := store.SaveLarge(t.Context(), fmt.Sprint("filled", i), nil, filling(i), time.Hour, fillingParts(i)...)
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

func filling(i int) []byte { return bytes.Repeat([]byte{byte(i)}, i*i%5000) }

func wantFilled(t *testing.T, store *Store, n int) {
	t.Helper()
	for i := range n {
		value, err := store.Load(t.Context(), fmt.Sprint("filled", i), time.Hour)
		if err != nil || !bytes.Equal(value, filling(i)) {
			t.Fatalf("value %d: %d bytes, %v", i, len(value), err)
		}
		wantParts(t, store, fmt.Sprint("filled", i), fillingParts(i)...)
	}
}

func writeFile(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func closeStore(t *testing.T, store *Store) {
	t.Helper()
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}

func save(t *testing.T, store *Store, id string, ttl time.Duration) {
	t.Helper()
	if _, err := store.Save(t.Context(), id, nil, []byte("{}"), ttl); err != nil {
		t.Fatal(err)
	}
}

func wantNone(t *testing.T, store *Store, id string) {
	t.Helper()
	if value, _, err := store.Peek(t.Context(), id); !errors.Is(err, driver.ErrNotFound) {
		t.Errorf("%s: %q, %v; want nothing", id, value, err)
	}
}
