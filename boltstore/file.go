package boltstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// The buckets of a file.
var (
	values  = []byte("values")  // ID → value
	lives   = []byte("lives")   // kind, name → life
	due     = []byte("due")     // time, kind, name → nothing; for the sweep
	users   = []byte("users")   // name → user
	members = []byte("members") // ID → its place in the list of its user
	parts   = []byte("parts")   // ID, name → a bucket with the text
)

// format is a bucket whose name says what this package has written.
var format = []byte("sessionkv/session/boltstore 1")

const fileMode = 0o600

var options = bolt.Options{
	Timeout:      time.Nanosecond, // one try: who has the file does not let it go soon
	FreelistType: bolt.FreelistMapType,
	NoStatistics: true,
}

// openFile opens the file at path and makes it if there is none.
func openFile(path string) (*disk, error) {
	d := newDisk(path)
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = create(path)
	case err == nil && info.Size() == 0: // bolt would begin anew
		return nil, d.damaged("it is empty")
	}
	if err != nil {
		return nil, fmt.Errorf("boltstore: %w", err)
	}
	if err := d.guard(d.open); err != nil {
		_ = d.release()
		return nil, err
	}
	go d.write()
	return d, nil
}

// open opens the file twice, the first time only to read. Otherwise bolt would read beyond the end of a file that was
// cut off.
func (d *disk) open() error {
	reading := options
	reading.ReadOnly = true
	for _, step := range []struct {
		options *bolt.Options
		check   func(*bolt.Tx) error
	}{{&reading, d.checkSize}, {&options, d.checkBuckets}} {
		if err := d.release(); err != nil {
			return d.failed("opened", err)
		}
		db, err := bolt.Open(d.path, fileMode, step.options)
		if err != nil {
			return d.explain(err)
		}
		d.db = db
		if err := db.View(step.check); err != nil {
			return err
		}
	}
	return d.failed("written", d.addBucket())
}

// addBucket gives a file the bucket for parts, without which another version of this package made it.
func (d *disk) addBucket() error {
	tx, err := d.db.Begin(true)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // says only that it was committed
	if tx.Bucket(parts) != nil {
		return nil
	}
	if _, err := tx.CreateBucket(parts); err != nil {
		return err
	}
	return tx.Commit()
}

// explain says what to do about an error of bolt.Open.
func (d *disk) explain(err error) error {
	var system syscall.Errno
	switch {
	case errors.Is(err, bolterrors.ErrTimeout):
		return fmt.Errorf("boltstore: %s is in use: one Store of one process has it at a time", d.path)
	case errors.As(err, &system):
		return fmt.Errorf("boltstore: %w", err)
	}
	return d.damaged(err)
}

func (d *disk) checkSize(tx *bolt.Tx) error {
	info, err := os.Stat(d.path)
	if err != nil {
		return fmt.Errorf("boltstore: %w", err)
	}
	if info.Size() < tx.Size() {
		return d.damaged(fmt.Sprintf("it has %d of %d bytes", info.Size(), tx.Size()))
	}
	return nil
}

func (d *disk) checkBuckets(tx *bolt.Tx) error {
	if tx.Bucket(format) == nil {
		return fmt.Errorf("boltstore: %s is a bolt file of another program, or of another version of boltstore", d.path)
	}
	for _, name := range [][]byte{values, lives, due, users, members} {
		if tx.Bucket(name) == nil {
			return d.damaged(fmt.Sprintf("it has no bucket %q", name))
		}
	}
	return nil
}

// create makes a file with empty buckets. It is whole as soon as it has its name, so that a process may be killed at any
// instant, and another may create it at the same time.
func create(path string) error {
	draft, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-")
	if err != nil {
		return err
	}
	defer os.Remove(draft.Name())
	if err := draft.Close(); err != nil {
		return err
	}
	db, err := bolt.Open(draft.Name(), fileMode, &options)
	if err != nil {
		return err
	}
	err = errors.Join(db.Update(func(tx *bolt.Tx) error {
		for _, name := range [][]byte{format, values, lives, due, users, members, parts} {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		return nil
	}), db.Close())
	if err != nil {
		return err
	}
	if err := os.Link(draft.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder makes the names in a folder outlast a power cut. Windows does that by itself.
func syncFolder(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
