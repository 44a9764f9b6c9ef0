package session

import (
	"context"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/sessionkv/session/internal/record"
	"github.com/sessionkv/session/internal/value"
)

// Set stores value under key. It encodes value as JSON at once, so that later changes of value do not reach the
// session.
//
// If it returns an error, it has changed nothing. It is an error if value cannot be encoded or would lose everything,
// if key is reserved or not UTF-8, and if the handler has returned. It returns ErrTooLarge if the session would be
// larger than Config.MaxBytes. It returns ErrHeadersSent or ErrCrossSite if it would begin a session and cannot, and
// ErrEnded or ErrRenewed if the session is over.
func (s *Session) Set(key string, value any) error {
	raw, err := encode(value)
	if err != nil {
		return fmt.Errorf("session: key %q: %w", key, err)
	}
	s.lock()
	defer s.unlock()
	if err := s.settable(key); err != nil {
		return err
	}
	return s.use.record.Set(key, raw)
}

// update is Set of the value that fn makes of the one that is there.
func (s *Session) update(key string, fn func(raw []byte, ok bool) ([]byte, error)) error {
	s.lock()
	defer s.unlock()
	if err := s.settable(key); err != nil {
		return err
	}
	return s.use.record.Update(key, fn)
}

// Decode stores the value of key in dst as [json.Unmarshal] does. It returns [ErrNoKey], wrapped, if there is none. If
// the value is of another type, it returns an error that does not show the value.
func (s *Session) Decode(key string, dst any) error {
	raw, ok := s.get(key)
	if !ok {
		return fmt.Errorf("%w: %q", ErrNoKey, key)
	}
	if err := json.Unmarshal(raw, dst); err != nil {
		return fmt.Errorf("session: the value of key %q does not fit into a %T", key, dst) // err may quote the value
	}
	return nil
}

func (s *Session) get(key string) (raw []byte, ok bool) {
	if value.IsReserved(key) {
		return nil, false
	}
	s.lock()
	defer s.unlock()
	return s.use.record.Get(key)
}

// Delete removes the values of keys. Keys without a value, and reserved ones, are passed over.
func (s *Session) Delete(keys ...string) {
	s.lock()
	defer s.unlock()
	if !s.removable("Delete") {
		return
	}
	for _, key := range keys {
		if !value.IsReserved(key) {
			s.use.record.Delete(key)
		}
	}
}

// Clear removes every value. The session and its ID stay; see Destroy.
func (s *Session) Clear() {
	s.lock()
	defer s.unlock()
	if s.removable("Clear") {
		s.use.record.Clear()
	}
}

// Keys returns the keys that have a value, in the order in which they are stored.
func (s *Session) Keys() []string {
	s.lock()
	defer s.unlock()
	visible := s.use.record.Visible()
	var keys []string
	seen := make(map[string]bool)
	for name := range visible.Names() {
		if !seen[name] {
			seen[name] = true
			keys = append(keys, name)
		}
	}
	return keys
}

// JSON returns the session's values as a JSON object. It is {} if there are none. Package encoding/json does not return
// them: if a Session is logged inside of something else, none of its values is shown.
func (s *Session) JSON() []byte {
	s.lock()
	defer s.unlock()
	visible := s.use.record.Visible()
	return visible.AppendTo(nil)
}

// take removes the value of a key at once. taken gets the value that only this call has removed, and may refuse it.
func (s *Session) take(ctx context.Context, key string, taken func(raw []byte, ok bool) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("session: not saved: %w", err)
	}
	if value.IsReserved(key) {
		return taken(nil, false)
	}
	s.lock()
	defer s.unlock()
	if err := s.changeable(); err != nil {
		return err
	}
	var bound boundContext
	bound.init(ctx, s.config.StoreTimeout)
	bound.obey(ctx)
	defer bound.release()
	return s.use.record.Take(&bound, key, s.request.Context().Err(), taken)
}

// logMistyped says, once for each key, that its value is of another type than asked for.
func (s *Session) logMistyped(key, want string) {
	s.lock()
	defer s.unlock()
	if s.use.mistyped[key] {
		return
	}
	if s.use.mistyped == nil {
		s.use.mistyped = make(map[string]bool)
	}
	s.use.mistyped[key] = true
	s.config.Logger.WarnContext(s.request.Context(), "session value is of another type than asked for, and passed over",
		"key", key, "type", want, "id", s.use.record.Reference().ID)
}

// settable returns why key cannot be set, or nil.
func (s *Session) settable(key string) error {
	switch {
	case value.IsReserved(key):
		return fmt.Errorf("session: key %q: keys that begin with an underscore are reserved", key)
	case !utf8.ValidString(key):
		return fmt.Errorf("session: key %q is not UTF-8", key)
	}
	if err := s.changeable(); err != nil {
		return err
	}
	switch {
	case s.use.record.IsLate():
		return ErrRenewed
	case !s.use.record.IsStored():
		return s.beginnable(record.Create)
	}
	return s.barred
}

// removable reports whether something can be removed. If there is no session any more, there is nothing to remove.
func (s *Session) removable(method string) bool {
	if s.closed != nil {
		s.logIgnored(method)
		return false
	}
	return s.use.record.Over() == nil
}
