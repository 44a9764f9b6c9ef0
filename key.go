package session

import "fmt"

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
// argument alone, which it may change in place. It must not use a Session, nor must a T that encodes itself: Update panics
// where it would wait for itself.
//
// It returns an error, and changes nothing, if what is stored is not a T; and the errors of [Session.Set].
func (k Key[T]) Update(s *Session, fn func(T) T) error {
	return s.update(string(k), func(raw []byte, ok bool) ([]byte, error) {
		var value T
		if ok {
			var err error
			if value, err = decode[T](raw); err != nil {
				return nil, fmt.Errorf("session: the value of key %q is not a %T", string(k), value) // err may quote it
			}
		}
		raw, err := encode(fn(value))
		if err != nil {
			return nil, fmt.Errorf("session: key %q: %w", string(k), err)
		}
		return raw, nil
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
