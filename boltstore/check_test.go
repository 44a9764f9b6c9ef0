package boltstore

import (
	"bytes"
	"encoding/binary"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/sessionkv/session/driver"
)

// check looks into a file that no Store has: its pages, and whether its buckets agree with each other.
func check(t *testing.T, path string) {
	t.Helper()
	db, err := bolt.Open(path, fileMode, &options)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	_ = db.View(func(b *bolt.Tx) error {
		for err := range b.Check() {
			t.Error(err)
		}
		checkLives(t, &tx{Tx: b})
		return nil
	})
}

func checkLives(t *testing.T, b *tx) {
	t.Helper()
	counts := map[byte]int{}
	_ = b.Bucket(lives).ForEach(func(key, record []byte) error {
		l, ok := decodeLife(record)
		kind, name := key[0], string(key[1:])
		if !ok || l.due > l.ends || b.Bucket(due).Get(dueKey(l.due, kind, name)) == nil {
			t.Errorf("%q: %+v is not in the bucket due", key, l)
		}
		if of := map[byte][]byte{session: values, person: users}[kind]; b.Bucket(of).Get([]byte(name)) == nil {
			t.Errorf("%q lives without a record in %s", key, of)
		}
		counts[kind]++
		return nil
	})
	checkParts(t, b)
	for bucket, want := range map[string]int{
		string(values): counts[session], string(users): counts[person], string(due): counts[session] + counts[person],
	} {
		if got := keys(b.Tx, []byte(bucket)); got != want {
			t.Errorf("%d records in %s; want %d", got, bucket, want)
		}
	}
	places := map[string]bool{}
	_ = b.Bucket(members).ForEach(func(id, place []byte) error {
		if user := driver.UserOf(string(id)); b.Bucket(users).Get([]byte(user)) == nil || places[string(place)] {
			t.Errorf("%q at %x has no user, or its place twice", id, place)
		}
		places[string(bytes.Clone(place))] = true
		return nil
	})
}

// checkParts finds parts without a session.
func checkParts(t *testing.T, b *tx) {
	t.Helper()
	_ = b.Bucket(parts).ForEach(func(key, _ []byte) error {
		length, size := binary.Uvarint(key)
		id := key[size:][:length]
		if part := b.Bucket(parts).Bucket(key); b.Bucket(values).Get(id) == nil || part == nil || part.Get(text) == nil {
			t.Errorf("part %q has no text, or its session is gone", key)
		}
		return nil
	})
}

func keys(b *bolt.Tx, bucket []byte) (n int) {
	_ = b.Bucket(bucket).ForEach(func(_, _ []byte) error { n++; return nil })
	return n
}
