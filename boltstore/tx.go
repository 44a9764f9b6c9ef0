package boltstore

import (
	"context"
	"encoding/binary"
	"time"

	bolt "go.etcd.io/bbolt"
)

// records are what a file and the memory beside it have.
type records struct {
	disk *disk
	clock
	touches touches
}

// view calls fn with what is committed.
func (r *records) view(fn func(*tx)) error {
	return r.disk.view(func(t *bolt.Tx) { fn(r.tx(t)) })
}

// update calls fn in a transaction, as [disk.update] does.
func (r *records) update(ctx context.Context, fn func(*tx)) error {
	return r.disk.update(ctx, func(b *bolt.Tx) (bool, error) {
		t := r.tx(b)
		fn(t)
		return t.changed, t.err
	})
}

func (r *records) tx(t *bolt.Tx) *tx { return &tx{Tx: t, now: r.now(), touches: &r.touches} }

// A tx is a transaction at a moment.
type tx struct {
	*bolt.Tx
	now     int64
	touches *touches
	changed bool
	dropped int   // bytes of parts
	err     error // the first failure of a change
}

// The kinds of what expires.
const (
	session = 's'
	person  = 'u'
)

// A life says when something expires. Its entry in the bucket due has that moment or an earlier one. Therefore the
// entry need not move whenever the life is made longer.
type life struct {
	ends    int64
	due     int64
	version uint64 // of the value; see touch
}

const lifeSize = 24

func (l life) encode() []byte {
	b := make([]byte, 0, lifeSize)
	b = binary.BigEndian.AppendUint64(b, uint64(l.ends))
	b = binary.BigEndian.AppendUint64(b, uint64(l.due))
	return binary.BigEndian.AppendUint64(b, l.version)
}

func decodeLife(b []byte) (l life, ok bool) {
	if len(b) != lifeSize {
		return life{}, false
	}
	return life{
		ends:    int64(binary.BigEndian.Uint64(b)),
		due:     int64(binary.BigEndian.Uint64(b[8:])),
		version: binary.BigEndian.Uint64(b[16:]),
	}, true
}

func lifeKey(kind byte, name string) []byte { return append([]byte{kind}, name...) }

func dueKey(moment int64, kind byte, name string) []byte {
	key := binary.BigEndian.AppendUint64(make([]byte, 0, 9+len(name)), uint64(moment))
	return append(append(key, kind), name...)
}

func (t *tx) put(bucket, key, value []byte) {
	t.done(t.Bucket(bucket).Put(key, value))
}

func (t *tx) drop(bucket, key []byte) {
	t.done(t.Bucket(bucket).Delete(key))
}

func (t *tx) done(err error) {
	t.changed = true
	if t.err == nil {
		t.err = err
	}
}

// next returns another number each time.
func (t *tx) next(bucket []byte) uint64 {
	number, err := t.Bucket(bucket).NextSequence()
	t.done(err)
	return number
}

// life returns that of what has not expired.
func (t *tx) life(kind byte, name string) (l life, ok bool) {
	l, ok = decodeLife(t.Bucket(lives).Get(lifeKey(kind, name)))
	if ok && kind == session {
		l.ends = t.touches.get(name, l.version, l.ends)
	}
	return l, ok && l.ends > t.now
}

// live lets something expire then.
func (t *tx) live(kind byte, name string, ends int64, version uint64) {
	l := life{ends, ends, version}
	key := lifeKey(kind, name)
	switch was, ok := decodeLife(t.Bucket(lives).Get(key)); {
	case ok && was.due <= ends:
		l.due = was.due
	case ok:
		t.drop(due, dueKey(was.due, kind, name))
		fallthrough
	default:
		t.put(due, dueKey(ends, kind, name), nil)
	}
	t.put(lives, key, l.encode())
}

// die forgets when something expires.
func (t *tx) die(kind byte, name string) {
	key := lifeKey(kind, name)
	if was, ok := decodeLife(t.Bucket(lives).Get(key)); ok {
		t.drop(due, dueKey(was.due, kind, name))
		t.drop(lives, key)
	}
}

// find returns the value of id, which is valid until the transaction changes something or ends.
func (t *tx) find(id string) (value []byte, l life, ok bool) {
	if l, ok = t.life(session, id); !ok {
		return nil, life{}, false
	}
	return t.Bucket(values).Get([]byte(id)), l, true
}

// store stores another value.
func (t *tx) store(id string, value []byte, ttl time.Duration) {
	t.put(values, []byte(id), value)
	t.live(session, id, after(t.now, ttl), t.next(lives))
}

// clone never returns nil, which would say that nothing is stored.
func clone(value []byte) []byte { return append([]byte{}, value...) }
