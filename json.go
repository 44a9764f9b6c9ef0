package session

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"unicode/utf8"

	"github.com/sessionkv/session/internal/object"
)

var errNested = errors.New("session: the value is nested too deeply for a session: 9,999 levels are the most")

// encode is json.Marshal, but leaves <, > and & as they are, for people who read the value in the store. What no session can
// hold is ErrTooLarge.
func encode(value any) ([]byte, error) {
	raw, err := json.Marshal(value)
	switch {
	case err != nil:
		return nil, err
	case len(raw) > object.MaxSize:
		return nil, ErrTooLarge
	case !object.Fits(raw):
		return nil, errNested
	case !bytes.Contains(raw, []byte(`\u00`)):
		return raw, nil
	}
	var buf bytes.Buffer
	encoder := json.NewEncoder(&buf)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

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
