// Package value is the stored form of a session: a JSON object whose first member, the revision, is new with every save.
package value

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/sessionkv/session/internal/object"
)

// ErrTooLarge says that a session would be larger than it may be. It is session.ErrTooLarge.
var ErrTooLarge = errors.New("session: larger than Config.MaxBytes")

// revKey names the first member of every stored session, so that a store can tell two values of a session apart by their
// heads.
const (
	revKey   = "_rev"
	revBytes = 12
	revSize  = len(`"_rev":"",`) + revBytes*4/3
)

// newRev returns a revision in room.
func newRev(room *[revSize]byte) []byte {
	var raw [revBytes]byte
	_, _ = rand.Read(raw[:])
	rev := base64.RawURLEncoding.AppendEncode(append(room[:0], '"'), raw[:])
	return append(rev, '"')
}

// NewRevision returns a text that is new with every call.
func NewRevision() string {
	var room [revSize]byte
	rev := newRev(&room)
	return string(rev[1 : len(rev)-1])
}

// A Value is one value of a session: as it is stored, and its members. The zero Value is that of a session that is not
// stored.
type Value struct {
	Bytes   []byte
	Members object.Object
	buffer  *[]byte // that Bytes are in, to be used again; nil if somebody else may have them
}

// Parse returns the Value that is stored as text.
func Parse(text []byte) (Value, error) {
	members, err := object.Parse(text)
	if err != nil {
		return Value{}, err
	}
	return Value{Bytes: text, Members: members}, nil
}

// Encode returns the members with a new revision. It returns ErrTooLarge, wrapped, if they take more than limit bytes.
func Encode(members object.Object, limit int) (Value, error) {
	var room [revSize]byte
	buffer := buffers.Get().(*[]byte)
	*buffer = members.AppendFirst((*buffer)[:0], revKey, newRev(&room))
	if n := len(*buffer); n > limit {
		buffers.Put(buffer)
		return Value{}, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, n, limit)
	}
	return Value{*buffer, members, buffer}, nil
}

// Exists reports whether v is stored at all.
func (v *Value) Exists() bool { return v.Bytes != nil }

// LeaveToOthers makes Free leave the memory of v alone, for others have its Bytes: a store that may still be sending
// them, or another request.
func (v *Value) LeaveToOthers() { v.buffer = nil }

// buffers have been the values of sessions that were saved, and will be those of others.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// Free gives back the memory of the Bytes, which must not be used any more. The Members do not refer to it, but to the
// texts that they were parsed from.
func (v *Value) Free() {
	if v.buffer != nil {
		buffers.Put(v.buffer)
	}
	*v = Value{}
}

// Size returns how many bytes members will take when they are stored.
func Size(members *object.Object) int {
	size := members.Size()
	if _, ok := members.Get(revKey); !ok {
		size += revSize
	}
	return size
}

// IsReserved reports whether a key is the library's own. Reserved members are not shown to handlers, and are kept.
func IsReserved(key string) bool { return strings.HasPrefix(key, reservedPrefix) }

const reservedPrefix = "_"

// DeleteVisible deletes the members that handlers see.
func DeleteVisible(members *object.Object) {
	members.DeleteFunc(func(name []byte) bool { return !hasReservedName(name) })
}

// Visible returns the members that handlers see.
func Visible(members object.Object) object.Object {
	members.DeleteFunc(hasReservedName)
	return members
}

func hasReservedName(name []byte) bool { return bytes.HasPrefix(name, []byte(reservedPrefix)) }
