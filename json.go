package session

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"unicode/utf8"

	"github.com/sessionkv/session/internal/object"
)

var errNested = errors.New("session: the value is nested too deeply for a session: 9,999 levels are the most")

// encode is json.Marshal, but leaves <, > and & as they are, for people who read the value in the store. If no session
// can hold the result, it returns ErrTooLarge.
func encode(value any) ([]byte, error) {
	if t := reflect.TypeOf(value); t != nil && losesAll(t) {
		return nil, fmt.Errorf("a %v has no exported fields, so that JSON would lose all of it; export some, or give it a MarshalJSON", t)
	}
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

// losesAll reports whether encoding/json leaves out everything that a value of type t can hold. This is so for structs
// whose fields are all unexported or left out by their tags, and that do not encode themselves. It is also so for
// pointers to them, lists and maps of them.
func losesAll(t reflect.Type) bool {
	if t.Kind() < reflect.Array || t.Kind() == reflect.String {
		return false // the usual case, without a look into the cache
	}
	if known, ok := lossy.Load(t); ok {
		return known.(bool)
	}
	loses := lossIn(t, false, nil)
	lossy.Store(t, loses)
	return loses
}

// lossy has the answers of losesAll, by type.
var lossy sync.Map

var (
	jsonMarshaler = reflect.TypeFor[json.Marshaler]()
	textMarshaler = reflect.TypeFor[encoding.TextMarshaler]()
)

// lossIn is losesAll for a value that can be pointed to if addressable. encoding/json then also calls the methods of
// the pointer. around are the types that contain t.
func lossIn(t reflect.Type, addressable bool, around []reflect.Type) bool {
	encodesItself := t.Implements(jsonMarshaler) || t.Implements(textMarshaler)
	if p := reflect.PointerTo(t); addressable {
		encodesItself = encodesItself || p.Implements(jsonMarshaler) || p.Implements(textMarshaler)
	}
	if encodesItself || slices.Contains(around, t) {
		return false
	}
	around = append(around, t)
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice:
		return lossIn(t.Elem(), true, around)
	case reflect.Array:
		return lossIn(t.Elem(), addressable, around)
	case reflect.Map:
		return lossIn(t.Elem(), false, around)
	case reflect.Struct:
		for i := range t.NumField() {
			if field := t.Field(i); isEncoded(field) && !lossIn(field.Type, addressable, around) {
				return false
			}
		}
		return t.NumField() > 0
	}
	return false
}

// isEncoded reports whether encoding/json looks at a field.
func isEncoded(field reflect.StructField) bool {
	if field.Tag.Get("json") == "-" {
		return false
	}
	embedded := field.Type
	if embedded.Kind() == reflect.Pointer {
		embedded = embedded.Elem()
	}
	return field.IsExported() || field.Anonymous && embedded.Kind() == reflect.Struct
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

// decodePlain decodes the plain text of the types that sessions hold most, without the allocations of json.Unmarshal.
// It returns false for everything else.
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
