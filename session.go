package session

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/object"
)

// A Session is what one request sees of its session: the values that the store had when the request loaded it, and the
// request's own changes. [Load] returns it. Changes are saved before the response leaves, so a handler need not call Save;
// they are saved whatever the response says, also an error page. Only a panic drops them.
//
// The values belong to string keys. They are kept as JSON, so that a number of any size stays exact, and a value that
// nobody touches is written back byte for byte. Keys that begin with an underscore are reserved: the Session does not show
// them and keeps them as they are. [Key] has the typed way to read and write.
//
// If another request saved the session meanwhile, the changes of this one are made again on the newer value: two
// requests that set different keys both succeed, of two that set one key the later wins, and [Key.Update] is for values
// that depend on what was there. If the session was destroyed, renewed or expired meanwhile, the changes are dropped: a
// slow request does not bring a session back.
//
// A Session is safe for the goroutines of its handler, and ends with it: after the handler has returned, it can be read
// but not changed.
type Session struct {
	manager *Manager
	outer   *Session // of the Manager around this one
	request *http.Request

	mu        sync.Mutex
	id        string // "" until the session is stored
	sent      bool   // the headers have left
	closed    error  // why nothing can be changed any more
	*contents        // nil until the handler first asks for its session
}

// contents is what a request that uses its session knows of it.
type contents struct {
	loaded   bool
	loadErr  error
	deadline time.Time
	stored   version       // what the store has under id, as far as is known
	values   object.Object // what is stored, with the changes
	changes  []change      // since the last save, in order
	unsure   *attempt      // a save that may or may not have been executed
	renewed  bool          // Renew was called since the last save
	doomed   string        // ID of the session that Destroy was called on
	ended    bool          // a save found that the session is no more
	issued   *credential   // the cookie that the response has to set
	cleared  bool          // the response has to clear the cookie
	barred   error         // why nothing can be set any more, unless by Destroy first
	finding  boundContext  // of the one load, here to save an allocation, as are the fields of the response's header:
	vary     [1]string
	cache    [1]string
}

// A version is one value of a session: as it is stored, and its members. The zero version is that of a session that is not
// stored.
type version struct {
	value   []byte
	members object.Object
	buffer  *[]byte // that the value is in, to be used again; nil if somebody else may have the value
}

func (v *version) exists() bool { return v.value != nil }

// shared returns v for others to keep, so that free leaves its value alone.
func (v *version) shared() version {
	v.buffer = nil
	return *v
}

// A change is one thing that the request did to the values, kept to be done again on a newer value.
type change func(values *object.Object) error

var (
	// ErrEnded says that the session is no more: it was destroyed, renewed under another ID, or it expired.
	ErrEnded = errors.New("session: ended")

	// ErrNoKey says that a session has no value of the key.
	ErrNoKey = errors.New("session: no value of this key")

	// ErrTooLarge says that a session would be larger than Config.MaxBytes. What is stored stays as it was.
	ErrTooLarge = errors.New("session: larger than Config.MaxBytes")

	// ErrHeaderSent says that a change needs a cookie, and the response's headers have already left: make the change before
	// the first byte of the response.
	ErrHeaderSent = errors.New("session: the headers have left, and the change needs a cookie")

	errReturned = errors.New("session: the handler has returned, and its session with it")
)

// ID names the session in the store, in logs and to those who manage sessions. It is "" until the session was first saved,
// and changes when a Renew is saved. It is no credential: the token in the cookie does not follow from it.
func (s *Session) ID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.id
}

// Deadline returns when the session's Lifetime ends; the zero Time until the session was first saved.
func (s *Session) Deadline() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.deadline
}

// Set stores value under key, encoded as JSON at once: later changes of value do not reach the session. Nothing is
// changed if it returns an error: value cannot be encoded, key is reserved or not UTF-8, ErrTooLarge, ErrHeaderSent if this would begin
// a session, ErrEnded if the session has ended, or that the handler has returned.
func (s *Session) Set(key string, value any) error {
	raw, err := encode(value)
	if err != nil {
		return fmt.Errorf("session: key %q: %w", key, err)
	}
	return s.apply(key, func(values *object.Object) error {
		values.Set(key, raw)
		return nil
	})
}

// encode is json.Marshal, but leaves <, > and & as they are, for people who read the value in the store. What no session can
// hold is ErrTooLarge.
func encode(value any) ([]byte, error) {
	raw, err := json.Marshal(value)
	switch {
	case err != nil:
		return nil, err
	case len(raw) > object.MaxSize:
		return nil, ErrTooLarge
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

// Decode stores the value of key in dst as [json.Unmarshal] does. It returns ErrNoKey, wrapped, if there is none.
func (s *Session) Decode(key string, dst any) error {
	raw, ok := s.get(key)
	if !ok {
		return fmt.Errorf("%w: %q", ErrNoKey, key)
	}
	if err := json.Unmarshal(raw, dst); err != nil {
		return fmt.Errorf("session: key %q: %w", key, err)
	}
	return nil
}

func (s *Session) get(key string) (raw []byte, ok bool) {
	if reserved(key) {
		return nil, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.values.Get(key)
}

func reserved(key string) bool { return strings.HasPrefix(key, "_") }

func isReserved(name []byte) bool { return bytes.HasPrefix(name, []byte("_")) }

// Delete removes the values of keys. Keys without a value, and reserved ones, are passed over.
func (s *Session) Delete(keys ...string) {
	s.remove("Delete", func(values *object.Object) error {
		for _, key := range keys {
			if !reserved(key) {
				values.Delete(key)
			}
		}
		return nil
	})
}

// Clear removes every value. The session and its ID stay; see Destroy.
func (s *Session) Clear() {
	s.remove("Clear", func(values *object.Object) error {
		*values = withoutOwn(*values)
		return nil
	})
}

func withoutOwn(values object.Object) object.Object {
	values.DeleteFunc(func(name []byte) bool { return !isReserved(name) })
	return values
}

// Keys returns the keys that have a value, in the order they are stored in.
func (s *Session) Keys() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var keys []string
	seen := make(map[string]bool)
	for name := range s.values.Names() {
		if !reserved(name) && !seen[name] {
			seen[name] = true
			keys = append(keys, name)
		}
	}
	return keys
}

// MarshalJSON returns the session's values as a JSON object, {} if there are none.
func (s *Session) MarshalJSON() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	own := s.values
	own.DeleteFunc(isReserved)
	return own.AppendTo(nil), nil
}

// Renew gives the session a new token, ID and Lifetime, and keeps its values. The old ones end when this is saved. Call it
// at every change of privilege, above all when somebody signs in: OWASP ASVS 5.0, 7.2.4. It does nothing if there is no
// session.
//
// It returns ErrHeaderSent, ErrEnded if the session has ended, or that the handler has returned. After ErrHeaderSent the
// request can set nothing any more: what belongs to the new privilege must not go to the old token.
func (s *Session) Renew() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.settable(); err != nil {
		return err
	}
	if s.sent {
		s.barred = ErrHeaderSent
		return s.barred
	}
	s.renewed = s.stored.exists()
	return nil
}

// Destroy ends the session: it is deleted from the store, and the response clears the cookie. A Set after it begins a new
// session. If the headers have left, the cookie stays in the browser, where it leads to nothing.
func (s *Session) Destroy() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed != nil {
		s.logIgnored("Destroy")
		return
	}
	if s.stored.exists() {
		s.doomed = s.id
	}
	s.forget()
	s.ended, s.barred = false, nil
}

// forget makes the session an empty one that is not stored.
func (s *Session) forget() {
	s.id, s.deadline = "", time.Time{}
	s.stored, s.values, s.changes, s.unsure = version{}, object.Object{}, nil, nil
	s.renewed, s.issued = false, nil
}

// LogValue returns the ID alone, so that neither values nor a token reach a log by accident.
func (s *Session) LogValue() slog.Value { return slog.StringValue(s.ID()) }

// String returns the ID, for the same reason as LogValue.
func (s *Session) String() string { return s.ID() }

// Format prints the ID for every verb of package fmt.
func (s *Session) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.ID())) }

// apply makes a change to the values, now and again on a newer value when the session is saved.
func (s *Session) apply(key string, c change) error {
	switch {
	case reserved(key):
		return fmt.Errorf("session: key %q: keys that begin with an underscore are reserved", key)
	case !utf8.ValidString(key):
		return fmt.Errorf("session: key %q is not UTF-8", key)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.settable(); err != nil {
		return err
	}
	if !s.stored.exists() && s.sent {
		return ErrHeaderSent
	}
	values := s.values
	if err := c(&values); err != nil {
		return err
	}
	if size := encodedSize(values); size > s.manager.config.MaxBytes && size > encodedSize(s.values) {
		return fmt.Errorf("%w: %d bytes with key %q, at most %d", ErrTooLarge, size, key, s.manager.config.MaxBytes)
	}
	s.values = values
	s.changes = append(s.changes, c)
	return nil
}

// remove makes a change that cannot fail. Where there is nothing to remove from, there is nothing to do.
func (s *Session) remove(method string, c change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed != nil {
		s.logIgnored(method)
		return
	}
	if s.ended {
		return
	}
	_ = c(&s.values)
	s.changes = append(s.changes, c)
}

// settable returns an error if nothing can be set any more.
func (s *Session) settable() error {
	if err := s.savable(); err != nil {
		return err
	}
	return s.barred
}

// savable returns an error if no change can be saved any more.
func (s *Session) savable() error {
	if s.closed != nil {
		return s.closed
	}
	if s.ended {
		return ErrEnded
	}
	return nil
}

func (s *Session) logIgnored(method string) {
	s.manager.config.Logger.Warn("session change ignored", "method", method, "id", s.id, "error", s.closed)
}

// close ends all changes, for the reason that changes made later are given. What is stored is of no use any more.
func (s *Session) close(reason error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed == nil {
		s.closed = reason
	}
	if s.contents != nil {
		s.stored.free()
	}
}

// load asks the store, once.
func (s *Session) load(ctx context.Context) (*Session, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("session: not loaded: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.contents == nil || !s.loaded {
		if s.closed != nil {
			return nil, s.closed
		}
		s.contents = &contents{}
		s.loadErr = s.find(ctx)
		s.loaded = s.loadErr == nil || ctx.Err() == nil
	}
	if s.loadErr != nil {
		return nil, s.loadErr
	}
	return s, nil
}

// find looks up what the request's cookies refer to. If two of them lead to living sessions, one may be an attacker's, so
// neither is used.
func (s *Session) find(ctx context.Context) error {
	var room [maxTokens]reference
	refs := s.manager.config.Cookie.references(s.request, time.Now(), &room)
	if len(refs) == 0 {
		return nil
	}
	s.finding.init(ctx, s.manager.config.StoreTimeout)
	defer s.finding.release()
	for _, ref := range refs {
		found, err := s.manager.fetch(&s.finding, ref)
		switch {
		case errors.Is(err, driver.ErrNotFound):
		case err != nil:
			return err
		case s.stored.exists():
			s.manager.config.Logger.WarnContext(ctx, "cookies of two living sessions, neither is used", "id", s.id, "other", ref.id)
			s.forget()
			return nil
		default:
			s.id, s.deadline = ref.id, ref.deadline
			s.stored, s.values = found, found.members
		}
	}
	return nil
}

// fetch loads one session and gives it its time to live anew. A value that is no session is logged, left alone, and
// driver.ErrNotFound.
func (m *Manager) fetch(ctx context.Context, ref reference) (version, error) {
	ttl := m.ttl(ref.deadline)
	if ttl < time.Millisecond {
		return version{}, driver.ErrNotFound
	}
	value, err := m.config.Store.Load(ctx, ref.id, ttl)
	if err != nil {
		if errors.Is(err, driver.ErrNotFound) && err != driver.ErrNotFound {
			m.logInvalid(ctx, ref.id, err)
		}
		return version{}, err
	}
	members, err := object.Parse(value)
	if err != nil {
		m.logInvalid(ctx, ref.id, err)
		return version{}, driver.ErrNotFound
	}
	return version{value: value, members: members}, nil
}

func (m *Manager) logInvalid(ctx context.Context, id string, err error) {
	m.config.Logger.WarnContext(ctx, "stored value is not a session", "id", id, "error", err)
}
