package session

import (
	"context"
	"encoding/json"
	"fmt"
)

// A Large is a [Key] for values that are too large to go with every load and save of the session, such as a report or an
// uploaded file:
//
//	const report = session.Large[[]byte]("report")
//
// Such a value is kept beside the session: it is fetched when Get asks for it, and written by the save after it was set.
// All else is as for other values: the request sees what belongs to the session that it has loaded, simultaneous requests
// lose no change, and the value moves, ends and expires with its session. A Large and a Key of one name are two values.
// [Session.Keys] and [Session.JSON] leave large values out; [Session.Clear] removes them.
//
// A []byte is stored as it is, any other T as JSON. The Store has to be one of large values, as those of packages
// redisstore, boltstore and memstore are.
type Large[T any] string

// Get fetches the value. It takes up to StoreTimeout, or until the deadline of ctx. If another request has replaced or
// deleted the value meanwhile, the session is loaded anew first, with all its values; the changes of this request stay.
//
// It returns ErrNoKey, wrapped, if there is none; an error that does not show the value if that is not a T; an error if
// the store has lost the value; and ErrEnded or ErrRenewed if the session turns out to be over. The changes of this
// request are dropped then, as by Sync, and the response does not say so.
func (l Large[T]) Get(ctx context.Context, s *Session) (T, error) {
	var value, none T
	text, err := s.large(ctx, string(l))
	if err != nil {
		return none, err
	}
	if raw, ok := any(&value).(*[]byte); ok {
		*raw = text
		return value, nil
	}
	if err := json.Unmarshal(text, &value); err != nil {
		return none, fmt.Errorf("session: the large value %q is not a %T", string(l), value) // err may quote the value
	}
	return value, nil
}

// Has reports whether there is a value, of any type. It asks nobody.
func (l Large[T]) Has(s *Session) bool {
	s.lock()
	defer s.unlock()
	return s.use.record.HasLarge(string(l))
}

// Set stores value, which may be changed afterwards. It goes to the store with the next save of the session. Until then
// it is in memory, and Get returns it.
//
// The errors are those of [Session.Set], but ErrTooLarge says that all large values of the session would take more than
// Config.MaxLargeBytes. It is errors.ErrUnsupported, wrapped, if the Store is none of large values.
func (l Large[T]) Set(s *Session, value T) error {
	text, err := l.encode(value)
	if err != nil {
		return fmt.Errorf("session: large value %q: %w", string(l), err)
	}
	return s.setLarge(string(l), text)
}

func (l Large[T]) encode(value T) ([]byte, error) {
	if raw, ok := any(value).([]byte); ok {
		return append([]byte{}, raw...), nil
	}
	return encode(value)
}

// Delete removes the value.
func (l Large[T]) Delete(s *Session) {
	s.lock()
	defer s.unlock()
	if s.removable("Delete") {
		s.use.record.DeleteLarge(string(l))
	}
}

// large returns the text of a large value.
func (s *Session) large(ctx context.Context, name string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("session: large value %q not loaded: %w", name, err)
	}
	s.lock()
	defer s.unlock()
	if err := s.changeable(); err != nil {
		return nil, err
	}
	var bound boundContext
	bound.init(ctx, s.config.StoreTimeout)
	bound.obey(ctx)
	defer bound.release()
	text, ok, err := s.use.record.Large(&bound, name)
	if err == nil && !ok {
		return nil, fmt.Errorf("%w: %q", ErrNoKey, name)
	}
	return text, err
}

func (s *Session) setLarge(name string, text []byte) error {
	s.lock()
	defer s.unlock()
	if err := s.settable(name); err != nil {
		return err
	}
	return s.use.record.SetLarge(name, text)
}
