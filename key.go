package session

import (
	"context"
	"fmt"
)

// A Key is the name of a value in a session, and the value's type:
//
//	const visits = session.Key[int]("visits")
//
// A T is encoded and decoded by [encoding/json].
type Key[T any] string

// Get returns the value of the key. It returns false and the zero T if there is none, or if what is stored is not a T.
// In the second case a line is logged, once for a request and key.
func (k Key[T]) Get(s *Session) (T, bool) {
	value, _, ok := k.find(s)
	return value, ok
}

// find is Get, and also tells whether there is a value of any type.
func (k Key[T]) find(s *Session) (value T, present, ok bool) {
	raw, present := s.get(string(k))
	if !present {
		return value, false, false
	}
	value, err := decode[T](raw)
	if err != nil {
		s.logMistyped(string(k), fmt.Sprintf("%T", value))
	}
	return value, true, err == nil
}

// Has reports whether there is a value of the key, of any type.
func (k Key[T]) Has(s *Session) bool {
	_, ok := s.get(string(k))
	return ok
}

// Set stores value; see [Session.Set] for the errors.
func (k Key[T]) Set(s *Session, value T) error { return s.Set(string(k), value) }

// Update replaces the value of the key by fn of it. If there is none, fn gets the zero T, so that a map has to be made
// first. If another request saves the session first, fn is called again with the newer value. Therefore of n
// simultaneous updates none is lost. The result of fn must depend only on its argument, which fn may change in place.
// Neither fn nor a T that encodes itself may use a Session. Update panics if one does, because it would wait for itself.
//
// It returns an error, and changes nothing, if what is stored is not a T. It also returns the errors of [Session.Set].
func (k Key[T]) Update(s *Session, fn func(T) T) error {
	return s.update(string(k), func(raw []byte, ok bool) ([]byte, error) {
		var value T
		if ok {
			var err error
			if value, err = decode[T](raw); err != nil {
				return nil, k.mismatch()
			}
		}
		raw, err := encode(fn(value))
		if err != nil {
			return nil, fmt.Errorf("session: key %q: %w", string(k), err)
		}
		return raw, nil
	})
}

// Pop returns the value of the key as Get does, and deletes it if it is a T. It is for messages that are shown once.
// Two requests at the same time may both get the value; see Take.
func (k Key[T]) Pop(s *Session) (T, bool) {
	value, ok := k.Get(s)
	if ok {
		k.Delete(s)
	}
	return value, ok
}

// Take removes the value of the key from the store and returns it. It is for values that may be used once, such as the
// state of an OAuth sign-in or a nonce. Of simultaneous callers, on all nodes, at most one gets it. Take saves the
// session now, with all changes of the request, and takes as long as [Session.Sync] does.
//
// It returns [ErrNoKey], wrapped, if there is no value or another caller has it. It returns an error if what is stored
// is not a T; the value then stays. It also returns the errors of Sync. If an error leaves it unknown whether the value
// was removed, nobody gets the value.
func (k Key[T]) Take(ctx context.Context, s *Session) (T, error) {
	var value, none T
	err := s.take(ctx, string(k), func(raw []byte, ok bool) (err error) {
		if !ok {
			return fmt.Errorf("%w: %q", ErrNoKey, string(k))
		}
		if value, err = decode[T](raw); err != nil {
			return k.mismatch()
		}
		return nil
	})
	if err != nil {
		return none, err
	}
	return value, nil
}

// mismatch does not wrap the error of encoding/json, which may quote the value.
func (k Key[T]) mismatch() error {
	var value T
	return fmt.Errorf("session: the value of key %q is not a %T", string(k), value)
}

// Delete removes the value of the key.
func (k Key[T]) Delete(s *Session) { s.Delete(string(k)) }
