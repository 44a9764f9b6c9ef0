package boltstore

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sessionkv/session/driver"
)

// fullVariable says in a process of TestFullDisk how the disk becomes full.
const fullVariable = "BOLTSTORE_FULL_DISK"

// A disk that is full fails changes and nothing else, and is used again when it has room. One kind is a limit for files
// of a process of its own; the other a small file system, where the system lets the test mount one.
func TestFullDisk(t *testing.T) {
	switch os.Getenv(fullVariable) {
	case "limit":
		limitFiles(t)
		return
	case "mount":
		mountSmall(t)
		return
	}
	runFull(t, "limit", nil)
	runFull(t, "mount", &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	})
}

func runFull(t *testing.T, kind string, attributes *syscall.SysProcAttr) {
	t.Run(kind, func(t *testing.T) {
		process := exec.Command(os.Args[0], "-test.run=^TestFullDisk$", "-test.v")
		process.Env = append(os.Environ(), fullVariable+"="+kind)
		process.SysProcAttr = attributes
		output, err := process.CombinedOutput()
		switch text := string(output); {
		case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.ENOSPC), strings.Contains(text, "--- SKIP"):
			t.Skipf("no file system can be mounted here: %v\n%s", err, text)
		case err != nil || !strings.Contains(text, "--- PASS"):
			t.Errorf("%v\n%s", err, text)
		}
	})
}

func limitFiles(t *testing.T) {
	signal.Ignore(syscall.SIGXFSZ)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	set := func(size uint64) {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: size, Max: limit.Max}); err != nil {
			t.Fatal(err)
		}
	}
	full(t, filepath.Join(t.TempDir(), "sessions"), syscall.EFBIG, func(size int64) { set(uint64(size)) }, func() { set(limit.Cur) })
}

func mountSmall(t *testing.T) {
	folder := t.TempDir()
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=2m"); err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(folder, 0) })
	other := filepath.Join(folder, "other")
	full(t, filepath.Join(folder, "sessions"), syscall.ENOSPC, func(int64) {
		if err := os.WriteFile(other, make([]byte, 4<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("the file system has too much room: %v", err)
		}
	}, func() {
		if err := os.Remove(other); err != nil {
			t.Fatal(err)
		}
	})
}

// full is the test, with what leaves the disk without room and what gives it room again.
func full(t *testing.T, path string, want error, fillUp func(size int64), room func()) {
	store := open(t, path)
	fill(t, store, 20)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	fillUp(info.Size())
	var kept []int
	for i := range 200 {
		id := fmt.Sprint("late", i)
		value := []byte(strings.Repeat("secret", 1000))
		_, err = store.SaveLarge(t.Context(), id, nil, value, time.Hour, lateParts(i)...)
		if err == nil {
			kept = append(kept, i)
		} else if text := err.Error(); !errors.Is(err, want) && !strings.Contains(text, want.Error()) ||
			!strings.Contains(text, path+" could not be written") || strings.Contains(text, "secret") {
			t.Fatal(err)
		}
	}
	if len(kept) == 200 {
		t.Fatal("the disk was never full")
	}
	wantFilled(t, store, 20)
	room()
	for i := range 20 {
		save(t, store, fmt.Sprint("again", i), time.Hour)
	}
	closeStore(t, store)
	check(t, path)
	store = open(t, path)
	wantFilled(t, store, 20)
	for _, i := range kept {
		id := fmt.Sprint("late", i)
		wantParts(t, store, id, lateParts(i)...)
		if _, err := store.Load(t.Context(), id, time.Hour); err != nil {
			t.Errorf("%s was saved, and is gone: %v", id, err)
		}
	}
	t.Logf("%d of 200 saves fitted; the last error was: %v", len(kept), err)
}

// lateParts has one part of a session in two.
func lateParts(i int) []driver.Part {
	if i%2 == 0 {
		return nil
	}
	return []driver.Part{{Name: "late", Text: []byte(strings.Repeat("secret", 5000))}}
}
