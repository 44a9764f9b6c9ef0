package boltstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"time"

	"github.com/sessionkv/session/driver"
)

var _ driver.Large = (*Store)(nil)

// LoadLarge implements [driver.Large]. It is Load: parts live as long as their value, whatever that is.
func (s *Store) LoadLarge(ctx context.Context, id string, ttl time.Duration) ([]byte, error) {
	return s.Load(ctx, id, ttl)
}

// SaveLarge implements [driver.Large]. The value and its parts are stored in one step.
func (s *Store) SaveLarge(
	ctx context.Context, id string, was, value []byte, ttl time.Duration, added ...driver.Part,
) ([]byte, error) {
	return s.change(ctx, func(t *tx) ([]byte, error) {
		current, err := t.save(id, was, value, ttl)
		if err != driver.ErrNotFound {
			t.addParts(id, added)
		}
		return current, err
	})
}

// Part implements [driver.Large].
func (s *Store) Part(_ context.Context, id, name string) ([]byte, error) {
	var found []byte
	err := s.view(func(t *tx) {
		if _, ok := t.life(session, id); ok {
			found = t.part(id, name)
		}
	})
	switch {
	case err != nil:
		return nil, err
	case found == nil:
		return nil, driver.ErrNotFound
	}
	return found, nil
}

// RemoveParts implements [driver.Large].
func (s *Store) RemoveParts(ctx context.Context, id string, names ...string) error {
	return s.update(ctx, func(t *tx) { t.dropParts(id, names...) })
}

// text is the only key in the bucket of a part. A part has a bucket so that it has pages of its own: beside others in one
// bucket, its neighbours would be written again whenever it comes or goes.
var text = []byte("text")

// partKey begins with the length of the ID, so that no ID begins the key of another one.
func partKey(id, name string) []byte {
	key := binary.AppendUvarint(make([]byte, 0, binary.MaxVarintLen64+len(id)+len(name)), uint64(len(id)))
	return append(append(key, id...), name...)
}

func (t *tx) addParts(id string, added []driver.Part) {
	for _, part := range added {
		bucket, err := t.Bucket(parts).CreateBucketIfNotExists(partKey(id, part.Name))
		if err == nil {
			err = bucket.Put(text, part.Text)
		}
		t.done(err)
	}
}

// part returns a copy of the text, or nil.
func (t *tx) part(id, name string) []byte {
	bucket := t.Bucket(parts).Bucket(partKey(id, name))
	if bucket == nil {
		return nil
	}
	return clone(bucket.Get(text))
}

// dropParts removes the parts of these names, or all if there are no names. It does not read their texts.
func (t *tx) dropParts(id string, names ...string) {
	if len(names) == 0 {
		names = t.partNames(id)
	}
	for _, name := range names {
		key := partKey(id, name)
		bucket := t.Bucket(parts).Bucket(key)
		if bucket == nil {
			continue
		}
		t.dropped += len(bucket.Get(text))
		t.done(t.Bucket(parts).DeleteBucket(key))
	}
}

func (t *tx) partNames(id string) (names []string) {
	prefix := partKey(id, "")
	cursor := t.Bucket(parts).Cursor()
	for key, _ := cursor.Seek(prefix); bytes.HasPrefix(key, prefix); key, _ = cursor.Next() {
		names = append(names, string(key[len(prefix):]))
	}
	return names
}
