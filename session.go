package session

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/sessionkv/session/internal/record"
	"github.com/sessionkv/session/internal/token"
)

// A Session is what one request sees of its session: the values that the store had when the request loaded it, and the
// request's own changes. [Load] returns it. Changes are saved before the response leaves, so that a handler need not
// call Sync. They are saved whatever the response says, also with an error page. Only a panic drops them.
//
// The values have strings as keys. They are kept as JSON, so that a number of any size stays exact, and a value that
// nobody touches is written back byte for byte. Keys that begin with an underscore are reserved: the Session does not
// show them and keeps them as they are. [Key] has the typed way to read and write.
//
// If another request saved the session meanwhile, the changes of this one are made again on the newer value. If two
// requests set different keys, both succeed. If two set one key, the later wins. [Key.Update] is for values that depend
// on what was there. If the session was destroyed, ended or expired meanwhile, the changes are dropped: a slow request
// does not bring a session back. If it was renewed meanwhile, the save fails with [ErrRenewed].
//
// A Session is safe for the goroutines of its handler, and ends with the handler. After the handler has returned, the
// Session can be read but not changed.
type Session struct {
	config  *Config
	keeper  *record.Keeper
	request *http.Request // whose context does not lead to this Session

	// mu guards the rest. It is held while the store is called, and while the record calls the Logger. Both get
	// contexts that do not lead to this Session. It is also held while a function given to Update runs; lock looks for
	// that.
	mu        sync.Mutex
	use       *use  // nil until the handler first asks for its session
	sent      bool  // the headers have left
	crossSite bool  // AllowCrossSite was called
	closed    error // why nothing can be changed any more
	barred    error // why the stored session cannot be set any more
	onClose   []func(reason error)
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

// lock waits for its turn. In a function given to Update, it would wait for ever, because that function runs under the
// lock.
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
// saved, and changes when a Renew or a SignIn is saved. It is no credential, because nobody can compute the token in
// the cookie from it.
func (s *Session) ID() string { return s.reference().ID }

// Deadline returns when the session's Lifetime ends. It is the zero Time until the session was first saved.
func (s *Session) Deadline() time.Time { return s.reference().Deadline }

// IdleDeadline returns when the session ends if no request uses it until then. It is never after Deadline, and it is
// the zero Time until the session was first saved. After [Peek] it is what the store says. Otherwise it is one
// IdleTimeout after this request has loaded or saved the session.
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

// Renew gives the session a new token, ID and Lifetime, and keeps its values and its user. The old token and ID end
// when this is saved. Call it at every change of privilege, such as a second factor. For a sign-in there is
// [Session.SignIn]. If there is no session, Renew does nothing. Until the save, [Session.ID] returns the old ID.
//
// It returns ErrHeadersSent or ErrCrossSite, ErrEnded or ErrRenewed if the session is over, and an error if the handler
// has returned. After ErrHeadersSent the request can set nothing any more, because values of the new privilege must not
// go to the old token.
//
// If the client has hung up by the time of the save, the save fails and the session stays as it was, because nobody
// would get the new token.
func (s *Session) Renew() error {
	s.lock()
	defer s.unlock()
	if err := s.renewable(record.Create); err != nil {
		return err
	}
	if s.use.record.IsLate() {
		return ErrRenewed
	}
	s.use.record.Renew()
	return nil
}

// Destroy ends the session. The save deletes it from the store, and the response clears the cookie. A Set after it
// begins a new session. If the headers have left, the cookie stays in the browser, where it leads to nothing.
func (s *Session) Destroy() {
	s.lock()
	defer s.unlock()
	if s.closed != nil {
		s.logIgnored("Destroy")
		return
	}
	s.use.record.Destroy()
}

// Discard drops what this request has changed and not yet saved, including SignIn, Renew and Destroy. It is for code
// that recovers from a panic in a handler, or that answers with an error after half of the changes. What [Session.Sync]
// has saved stays.
func (s *Session) Discard() {
	s.lock()
	defer s.unlock()
	if s.closed == nil {
		s.use.record.Discard()
	}
}

// AllowCrossSite lets this request begin a session although another site has sent it; see [ErrCrossSite]. Call it only
// after you have checked that the request answers a request of this user agent, for example by InResponseTo of SAML or
// the state of OAuth.
func (s *Session) AllowCrossSite() {
	s.lock()
	defer s.unlock()
	s.crossSite = true
}

// Sync saves the session now. It is for streams and WebSockets, where the end of the handler is too late. It takes up
// to StoreTimeout, or until the deadline of ctx. Afterwards the Session shows what is stored. An unchanged session is
// loaded anew, which gives it IdleTimeout more to live. Call it now and then in a stream. Between two saves the Session
// keeps every Update, to do it again on a conflict, and the last of several Sets of a key.
//
// It returns ErrEnded if the session was destroyed, ended or expired meanwhile, and ErrRenewed if it was renewed. The
// changes are dropped then. They are also dropped after ErrRevoked and ErrLimit, which refuse a sign-in, and if the
// error says that a session was neither begun nor renewed because its client is gone. After any other error the changes
// are kept for the next save. If that save cannot tell whether they were stored, it drops them, and its error says so.
// If ctx has ended, Sync does nothing and returns the error of ctx.
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

// LogValue returns only the ID, so that neither values nor a token reach a log by accident.
func (s *Session) LogValue() slog.Value { return slog.StringValue(s.ID()) }

// Format prints the ID for every verb of package fmt.
func (s *Session) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.ID())) }

// renewable returns why the session can get no new token, or nil.
func (s *Session) renewable(kind record.Kind) error {
	if err := s.changeable(); err != nil {
		return err
	}
	if !s.use.record.IsStored() {
		return s.beginnable(kind)
	}
	if s.barred == nil && s.sent {
		s.barred = ErrHeadersSent
	}
	return s.barred
}

// beginnable returns why no session can begin, or nil.
func (s *Session) beginnable(kind record.Kind) error {
	switch {
	case s.sent:
		return ErrHeadersSent
	case !s.crossSite && !s.config.Bearer && s.config.Cookie.isWithheld(s.request):
		s.keeper.Refuse(withoutSession(s.request.Context()), record.Act{Kind: kind, Outcome: record.CrossSite})
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

func (s *Session) logIgnored(method string) {
	s.config.Logger.WarnContext(s.request.Context(), "session change ignored",
		"method", method, "id", s.use.record.Reference().ID, "error", s.closed)
}

// close ends all changes. Later changes are refused for this reason.
func (s *Session) close(reason error) {
	s.lock()
	defer s.unlock()
	if s.closed == nil {
		s.closed = reason
	}
	for _, end := range s.onClose {
		end(reason)
	}
	if s.use != nil {
		s.use.record.Free()
	}
}
