package session

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/sessionkv/session/internal/object"
)

// A Key is the name of a value in a session, and the value's type:
//
//	const visits = session.Key[int]("visits")
//
// A T is encoded and decoded by [encoding/json].
type Key[T any] string

// Get returns the value of the key. It is false, with the zero T, if there is none or if it is not a T; [Session.Decode]
// tells which.
func (k Key[T]) Get(s *Session) (T, bool) {
	raw, ok := s.get(string(k))
	if !ok {
		var zero T
		return zero, false
	}
	value, err := decode[T](raw)
	return value, err == nil
}

// Set stores value; see [Session.Set] for the errors.
func (k Key[T]) Set(s *Session, value T) error { return s.Set(string(k), value) }

// Update replaces the value of the key by fn of it; fn gets the zero T if there is none. If another request saves the
// session first, fn is called again with the newer value: of n simultaneous updates none is lost. So fn must depend on its
// argument alone, which it may change in place, and must not use the Session.
//
// It returns an error, and changes nothing, if what is stored is not a T; and the errors of [Session.Set].
func (k Key[T]) Update(s *Session, fn func(T) T) error {
	return s.apply(string(k), func(values *object.Object) error {
		var value T
		if raw, ok := values.Get(string(k)); ok {
			var err error
			if value, err = decode[T](raw); err != nil {
				return fmt.Errorf("session: the value of key %q is not a %T", string(k), value) // err may quote it
			}
		}
		raw, err := encode(fn(value))
		if err != nil {
			return fmt.Errorf("session: key %q: %w", string(k), err)
		}
		values.Set(string(k), raw)
		return nil
	})
}

// Pop returns the value of the key as Get does, and deletes it: for messages that are shown once. Two requests at the same
// time may both get it.
func (k Key[T]) Pop(s *Session) (T, bool) {
	value, ok := k.Get(s)
	k.Delete(s)
	return value, ok
}

// Delete removes the value of the key.
func (k Key[T]) Delete(s *Session) { s.Delete(string(k)) }

// decode is json.Unmarshal to a T, and the zero T with an error.
func decode[T any](raw []byte) (T, error) {
	if value, ok := decodePlain[T](raw); ok {
		return value, nil
	}
	return unmarshal[T](raw)
}

func unmarshal[T any](raw []byte) (T, error) {
	var value, zero T
	if err := json.Unmarshal(raw, &value); err != nil {
		return zero, err
	}
	return value, nil
}

// decodePlain decodes the plain text of what sessions hold most, without the allocations of json.Unmarshal. It is false
// for everything else.
func decodePlain[T any](raw []byte) (value T, ok bool) {
	switch any(value).(type) {
	case int:
		n, err := strconv.Atoi(string(raw))
		value, ok = any(n).(T)
		return value, ok && err == nil
	case int64:
		n, err := strconv.ParseInt(string(raw), 10, 64)
		value, ok = any(n).(T)
		return value, ok && err == nil
	case string:
		if raw[0] != '"' || bytes.IndexByte(raw, '\\') >= 0 || !utf8.Valid(raw) {
			return value, false
		}
		return any(string(raw[1 : len(raw)-1])).(T), true
	}
	return value, false
}
