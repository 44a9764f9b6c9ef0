package boltstore

import (
	"bytes"
	"encoding/binary"

	"github.com/sessionkv/session/driver"
)

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

// remove removes the value of id and its parts.
func (t *tx) remove(id string) {
	t.dropParts(id)
	t.drop(values, []byte(id))
	t.die(session, id)
}
