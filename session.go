package session

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/sessionkv/session/internal/record"
	"github.com/sessionkv/session/internal/token"
	"github.com/sessionkv/session/internal/value"
)

// A Session is what one request sees of its session: the values that the store had when the request loaded it, and the
// request's own changes. [Load] returns it. Changes are saved before the response leaves, so a handler need not call
// Sync; they are saved whatever the response says, also an error page. Only a panic drops them.
//
// The values belong to string keys. They are kept as JSON, so that a number of any size stays exact, and a value that
// nobody touches is written back byte for byte. Keys that begin with an underscore are reserved: the Session does not
// show them and keeps them as they are. [Key] has the typed way to read and write.
//
// If another request saved the session meanwhile, the changes of this one are made again on the newer value: two
// requests that set different keys both succeed, of two that set one key the later wins, and [Key.Update] is for values
// that depend on what was there. If the session was destroyed, ended or expired meanwhile, the changes are dropped: a
// slow request does not bring a session back. If it was renewed meanwhile, the save is [ErrRenewed].
//
// A Session is safe for the goroutines of its handler, and ends with it: after the handler has returned, it can be read
// but not changed.
type Session struct {
	config  *Config
	keeper  *record.Keeper
	request *http.Request // whose context does not lead to this Session

	// mu guards the rest. It is held while the store is called, and the Logger by the record, but with contexts that do
	// not lead to this Session; and while a function given to Update runs, which lock looks for.
	mu        sync.Mutex
	use       *use  // nil until the handler first asks for its session
	sent      bool  // the headers have left
	crossSite bool  // AllowCrossSite was called
	closed    error // why nothing can be changed any more
	barred    error // why the stored session cannot be set any more
}

// use is what a request that uses its session needs, in one allocation.
type use struct {
	loaded   bool
	peeked   bool // the load has left the idle time as it is
	loadErr  error
	record   record.Record
	bound    boundContext // of the load
	vary     [1]string    // in the response's header, as is cache
	cache    [1]string
	mistyped map[string]bool // the keys whose value was found to be of another type than asked for
}

// lock waits for its turn. In a function given to Update, which runs under the lock, it would wait for ever.
func (s *Session) lock() {
	if s.mu.TryLock() {
		return
	}
	if record.InUpdate() {
		panic("session: a function given to Key.Update used a Session; it must depend on its argument alone")
	}
	s.mu.Lock()
}

func (s *Session) unlock() { s.mu.Unlock() }

// ID names the session in the store, in logs and to those who manage sessions. It is "" until the session was first
// saved, and changes when a Renew is saved. It is no credential: the token in the cookie does not follow from it.
func (s *Session) ID() string { return s.reference().ID }

// Deadline returns when the session's Lifetime ends; the zero Time until the session was first saved.
func (s *Session) Deadline() time.Time { return s.reference().Deadline }

// IdleDeadline returns when the session ends if no request uses it until then, never after Deadline; the zero Time
// until it was first saved. After [Peek] it is what the store says, else IdleTimeout after this request has loaded or
// saved it.
func (s *Session) IdleDeadline() time.Time {
	s.lock()
	defer s.unlock()
	if s.use == nil {
		return time.Time{}
	}
	return s.use.record.IdleDeadline()
}

func (s *Session) reference() token.Reference {
	s.lock()
	defer s.unlock()
	if s.use == nil {
		return token.Reference{}
	}
	return s.use.record.Reference()
}

// Set stores value under key, encoded as JSON at once: later changes of value do not reach the session. Nothing is
// changed if it returns an error: value cannot be encoded or would lose everything, key is reserved or not UTF-8,
// ErrTooLarge, ErrHeadersSent or ErrCrossSite if this would begin a session, ErrEnded or ErrRenewed if the session is
// over, or that the handler has returned.
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

// update is Set of what fn makes of the value that is there.
func (s *Session) update(key string, fn func(raw []byte, ok bool) ([]byte, error)) error {
	s.lock()
	defer s.unlock()
	if err := s.settable(key); err != nil {
		return err
	}
	return s.use.record.Update(key, fn)
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

// Keys returns the keys that have a value, in the order they are stored in.
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

// JSON returns the session's values as a JSON object, {} if there are none. The package encoding/json does not: a
// Session that is logged inside of something else shows none of its values.
func (s *Session) JSON() []byte {
	s.lock()
	defer s.unlock()
	visible := s.use.record.Visible()
	return visible.AppendTo(nil)
}

// Renew gives the session a new token, ID and Lifetime, and keeps its values and its user. The old ones end when this is
// saved. Call it at every change of privilege, such as a second factor: OWASP ASVS 5.0, 7.2.4. For a sign-in there is
// [Session.SignIn]. It does nothing if there is no session.
//
// It returns ErrHeadersSent, ErrCrossSite, ErrEnded or ErrRenewed if the session is over, or that the handler has
// returned. After ErrHeadersSent the request can set nothing any more: what belongs to the new privilege must not go to
// the old token.
//
// If the client has hung up by the time of the save, the save fails and the session stays as it was: nobody would get the
// new token.
func (s *Session) Renew() error {
	s.lock()
	defer s.unlock()
	if err := s.renewable(); err != nil {
		return err
	}
	if s.use.record.IsLate() {
		return ErrRenewed
	}
	s.use.record.Renew()
	return nil
}

// Destroy ends the session: it is deleted from the store, and the response clears the cookie. A Set after it begins a new
// session. If the headers have left, the cookie stays in the browser, where it leads to nothing.
func (s *Session) Destroy() {
	s.lock()
	defer s.unlock()
	if s.closed != nil {
		s.logIgnored("Destroy")
		return
	}
	s.use.record.Destroy()
}

// Discard drops what this request has changed and not yet saved, SignIn, Renew and Destroy too: for code that recovers
// from a panic in a handler, or that answers with an error after half of the changes. What [Session.Sync] has saved stays.
func (s *Session) Discard() {
	s.lock()
	defer s.unlock()
	if s.closed == nil {
		s.use.record.Discard()
	}
}

// AllowCrossSite lets this request begin a session although another site has sent it; see [ErrCrossSite]. Call it only
// where the request was checked to answer one that this user agent has made, as by InResponseTo of SAML or the state of
// OAuth.
func (s *Session) AllowCrossSite() {
	s.lock()
	defer s.unlock()
	s.crossSite = true
}

// Sync saves the session now, where the end of the handler is too late: in a stream, or on a WebSocket. It takes up to
// StoreTimeout, or until the deadline of ctx. Afterwards the Session shows what is stored. An unchanged session is loaded
// anew, which gives it IdleTimeout more to live. A stream saves now and then: until then each Update is kept, to be done
// again on a conflict, and of several Sets of a key the last.
//
// It returns ErrEnded if the session was destroyed, renewed or expired meanwhile; the changes are dropped. So they are
// after an error that says that a session was neither begun nor renewed, for its client is gone. After any other error
// the changes are kept for the next save, unless that finds that it cannot tell whether they were stored: then it drops
// them and says so. If ctx has ended, Sync does nothing and returns its error.
func (s *Session) Sync(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("session: not saved: %w", err)
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
	if s.use.record.IsStored() && s.use.record.IsUnchanged() {
		s.use.record.Discard() // as at the end of the handler
		return s.use.record.Touch(&bound)
	}
	return s.save(&bound)
}

func (s *Session) save(ctx context.Context) error {
	return s.use.record.Save(ctx, s.request.Context().Err())
}

// take removes the value of a key at once. taken gets the value that this call alone has removed, and may refuse it.
func (s *Session) take(ctx context.Context, key string, taken func(raw []byte, ok bool) error) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("session: not saved: %w", err)
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

// LogValue returns the ID alone, so that neither values nor a token reach a log by accident.
func (s *Session) LogValue() slog.Value { return slog.StringValue(s.ID()) }

// Format prints the ID for every verb of package fmt.
func (s *Session) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.ID())) }

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
		return s.beginnable()
	}
	return s.barred
}

// renewable returns why the session can get no new token, or nil.
func (s *Session) renewable() error {
	if err := s.changeable(); err != nil {
		return err
	}
	if !s.use.record.IsStored() {
		return s.beginnable()
	}
	if s.barred == nil && s.sent {
		s.barred = ErrHeadersSent
	}
	return s.barred
}

// beginnable returns why no session can begin, or nil.
func (s *Session) beginnable() error {
	switch {
	case s.sent:
		return ErrHeadersSent
	case !s.crossSite && s.config.Cookie.isWithheld(s.request):
		return ErrCrossSite
	}
	return nil
}

// changeable returns why no change can be saved any more, or nil.
func (s *Session) changeable() error {
	if s.closed == nil {
		return s.use.record.Over()
	}
	return s.closed
}

// removable reports whether something can be removed. Where there is no session any more, there is nothing to remove.
func (s *Session) removable(method string) bool {
	if s.closed != nil {
		s.logIgnored(method)
		return false
	}
	return s.use.record.Over() == nil
}

func (s *Session) logIgnored(method string) {
	s.config.Logger.WarnContext(s.request.Context(), "session change ignored",
		"method", method, "id", s.use.record.Reference().ID, "error", s.closed)
}

// close ends all changes, for the reason that changes made later are given.
func (s *Session) close(reason error) {
	s.lock()
	defer s.unlock()
	if s.closed == nil {
		s.closed = reason
	}
	if s.use != nil {
		s.use.record.Free()
	}
}
