package session

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/object"
)

// revKey names the first member of every stored session. Its value is new with every save, so that a store can tell two
// values of a session apart by their heads.
const (
	revKey   = "_rev"
	revBytes = 12
	revSize  = len(`"_rev":"",`) + revBytes*4/3
)

func newRev() []byte {
	var raw [revBytes]byte
	_, _ = rand.Read(raw[:])
	rev := append(make([]byte, 0, revSize), '"')
	rev = base64.RawURLEncoding.AppendEncode(rev, raw[:])
	return append(rev, '"')
}

// attempt is a save whose outcome is unknown: what was sent, and how many of the changes are in it.
type attempt struct {
	version
	changes int
}

// Save saves the session now, where the end of the handler is too late: in a stream, or on a WebSocket. It takes up to
// StoreTimeout, or until the deadline of ctx. Afterwards the Session shows what is stored. An unchanged session is loaded
// anew, which gives it IdleTimeout more to live.
//
// It returns ErrEnded if the session was destroyed, renewed or expired meanwhile; the changes are dropped. After any other
// error the changes are kept for the next save, unless that finds that it cannot tell whether they were stored: then it drops
// them and says so. If ctx has ended, Save does nothing and returns its error.
func (s *Session) Save(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("session: not saved: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.savable(); err != nil {
		return err
	}
	bound := s.manager.bound(ctx)
	defer bound.release()
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(bound.deadline) {
		bound.deadline = deadline
	}
	if s.stored.exists() && s.unchanged() && s.doomed == "" {
		return s.touch(bound)
	}
	return s.save(bound)
}

// unchanged reports whether a save would send nothing.
func (s *Session) unchanged() bool {
	return !s.renewed && s.unsure == nil && object.Equal(s.stored.members, s.values)
}

// commit saves the session and writes what it has to say into the response's headers, which leave next.
func (s *Session) commit(h http.Header) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.saveForResponse(); err != nil {
		return err
	}
	s.sent = true
	if s.contents != nil {
		s.writeHeader(h)
	}
	return nil
}

// saveLate saves what the handler changed after the headers had left. Nobody can be told of a failure but the log.
func (s *Session) saveLate() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.saveForResponse(); err != nil {
		s.manager.config.Logger.ErrorContext(s.request.Context(), "session not saved after the response", "id", s.id, "error", err)
	}
}

// saveForResponse saves if there is something to save. That the session has ended is no failure: its response goes on
// without a cookie.
func (s *Session) saveForResponse() error {
	if s.closed != nil {
		return s.closed
	}
	if s.contents == nil {
		return nil
	}
	if s.doomed == "" && s.unchanged() {
		s.changes = nil
		return nil
	}
	ctx := s.manager.bound(s.request.Context())
	defer ctx.release()
	if err := s.save(ctx); err != nil && !errors.Is(err, ErrEnded) {
		return err
	}
	return nil
}

func (s *Session) writeHeader(h http.Header) {
	cookie := &s.manager.config.Cookie
	switch {
	case s.issued != nil:
		cookie.set(h, s.issued)
	case s.cleared:
		cookie.clear(h)
	case !s.loaded:
		return
	}
	s.addVary(h)
	if s.issued != nil || s.cleared {
		s.setCacheControl(h, "no-store")
	} else if h["Cache-Control"] == nil {
		s.setCacheControl(h, "private")
	}
}

// addVary says that the response depends on the request's cookies.
func (s *Session) addVary(h http.Header) {
	if h["Vary"] == nil {
		s.vary = [1]string{"Cookie"} // a list in the Session, not one more allocation
		h["Vary"] = s.vary[:]
		return
	}
	for _, line := range h["Vary"] {
		fields := strings.FieldsFunc(line, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
		if slices.ContainsFunc(fields, func(f string) bool { return f == "*" || strings.EqualFold(f, "Cookie") }) {
			return
		}
	}
	h.Add("Vary", "Cookie")
}

func (s *Session) setCacheControl(h http.Header, value string) {
	s.cache = [1]string{value}
	h["Cache-Control"] = s.cache[:]
}

// save brings the store up to what the request did to its session.
func (s *Session) save(ctx context.Context) error {
	if err := s.deleteDoomed(ctx); err != nil {
		return err
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	switch {
	case !s.stored.exists():
		return s.create(ctx)
	case s.renewed:
		return s.move(ctx)
	default:
		return s.update(ctx)
	}
}

// deleteDoomed deletes the session that Destroy was called on. If it is gone already, the cookie is left alone: it may by
// now be that of a new session.
func (s *Session) deleteDoomed(ctx context.Context) error {
	if s.doomed == "" {
		return nil
	}
	_, err := s.manager.config.Store.Delete(ctx, s.doomed)
	if err != nil && !errors.Is(err, driver.ErrNotFound) {
		return err
	}
	s.cleared = s.cleared || err == nil
	s.doomed = ""
	return nil
}

// settle finds out about a save that failed earlier, by repeating it as it was.
func (s *Session) settle(ctx context.Context) error {
	if s.unsure == nil {
		return nil
	}
	sent := s.unsure
	current, err := s.replace(ctx, sent.value)
	switch {
	case err == nil:
		current = sent.value
	case errors.Is(err, driver.ErrConflict):
		err = errors.New("session: it is not known whether an earlier save took place, for another request has saved since")
	default:
		return err
	}
	s.unsure, s.changes = nil, s.changes[sent.changes:]
	return errors.Join(err, s.rebaseOn(current))
}

// create stores a new session, unless it would be empty.
func (s *Session) create(ctx context.Context) error {
	if object.Equal(s.values, object.Object{}) {
		s.changes = nil
		return nil
	}
	next, err := s.encode()
	if err != nil {
		return err
	}
	fresh := newCredential(time.Now(), s.manager.config.Lifetime)
	if err := s.insert(ctx, fresh, next.value); err != nil {
		return err
	}
	s.issue(fresh)
	s.saved(next)
	return nil
}

// insert stores value under an ID that is not in use.
func (s *Session) insert(ctx context.Context, fresh *credential, value []byte) error {
	_, err := s.manager.config.Store.Save(ctx, fresh.id, nil, value, s.manager.ttl(fresh.deadline))
	if errors.Is(err, driver.ErrConflict) || errors.Is(err, driver.ErrNotFound) {
		return fmt.Errorf("session: the store refused the new ID %s: %v", fresh.id, err)
	}
	return err
}

// update replaces what is stored by the values of this request. When another request was faster, it makes the changes
// again on what that has stored.
func (s *Session) update(ctx context.Context) error {
	err := s.tryUpdate(ctx)
	if !errors.Is(err, driver.ErrConflict) {
		return err
	}
	id := s.id
	turn, err := s.manager.turns.take(ctx, id)
	if err != nil {
		return crowded(err)
	}
	defer func() { s.manager.turns.give(id, turn, s.stored.shared()) }()
	if turn.latest.exists() {
		if err := s.rebase(turn.latest); err != nil {
			return err
		}
	}
	for try := 0; ; try++ {
		if err := s.tryUpdate(ctx); !errors.Is(err, driver.ErrConflict) {
			return err
		}
		if err := pause(ctx, try); err != nil {
			return crowded(err)
		}
	}
}

// tryUpdate returns ErrConflict after it has made the changes again on what is stored.
func (s *Session) tryUpdate(ctx context.Context) error {
	if object.Equal(s.stored.members, s.values) {
		s.changes = nil
		return nil
	}
	next, err := s.encode()
	if err != nil {
		return err
	}
	current, err := s.replace(ctx, next.value)
	switch {
	case err == nil:
		s.saved(next)
	case errors.Is(err, driver.ErrConflict):
		if failure := s.rebaseOn(current); failure != nil {
			return failure
		}
	case !errors.Is(err, ErrEnded):
		s.unsure = &attempt{next, len(s.changes)}
	}
	return err
}

// replace stores value in place of what is stored, if that is what this request knows. ErrEnded ends the session.
func (s *Session) replace(ctx context.Context, value []byte) (current []byte, err error) {
	ttl := s.manager.ttl(s.deadline)
	if ttl < time.Millisecond {
		return nil, s.end()
	}
	current, err = s.manager.config.Store.Save(ctx, s.id, s.stored.value, value, ttl)
	if errors.Is(err, driver.ErrNotFound) {
		return nil, s.end()
	}
	return current, err
}

// move stores the session under a new ID and deletes the old one, in this order, so that a failure does not lose it. If the
// old one was changed meanwhile, the changes of this request are made again on that value; if they cannot be, the session
// ends, for to put the old one back could undo a Destroy that came in between.
func (s *Session) move(ctx context.Context) error {
	next, err := s.encode()
	if err != nil {
		return err
	}
	fresh := newCredential(time.Now(), s.manager.config.Lifetime)
	if err := s.insert(ctx, fresh, next.value); err != nil {
		return err
	}
	last, err := s.manager.config.Store.Delete(ctx, s.id)
	switch {
	case err == nil && bytes.Equal(last, s.stored.value):
		s.issue(fresh)
		s.saved(next)
		return nil
	case err == nil:
		err = s.moveOnto(ctx, fresh, next.value, last)
	case errors.Is(err, driver.ErrNotFound):
		err = s.moveOnto(ctx, fresh, next.value, []byte("{}"))
	}
	if err != nil {
		_, _ = s.manager.config.Store.Delete(ctx, fresh.id) // nobody has its token; if this fails too, it expires
	}
	return err
}

// moveOnto replaces value, which was stored under the new ID, by what the changes make of last, the value that the old ID
// had in the end. If there was none, the new session has only what this request has set, and none begins if that is
// nothing.
func (s *Session) moveOnto(ctx context.Context, fresh *credential, value, last []byte) error {
	if err := s.rebaseOn(last); err != nil {
		return err
	}
	if object.Equal(s.values, object.Object{}) {
		return s.end()
	}
	merged, err := s.encode()
	if err != nil {
		return err
	}
	_, err = s.manager.config.Store.Save(ctx, fresh.id, value, merged.value, s.manager.ttl(fresh.deadline))
	if errors.Is(err, driver.ErrNotFound) {
		return s.end()
	}
	if err != nil {
		return fmt.Errorf("session: renewed session not merged with its last value: %w", err)
	}
	s.issue(fresh)
	s.saved(merged)
	return nil
}

// touch loads the session anew.
func (s *Session) touch(ctx context.Context) error {
	found, err := s.manager.fetch(ctx, reference{s.id, s.deadline})
	if errors.Is(err, driver.ErrNotFound) {
		return s.end()
	}
	if err != nil {
		return err
	}
	s.saved(found)
	return nil
}

// rebaseOn is rebase for a value as it is stored. One that is no session ends this one.
func (s *Session) rebaseOn(value []byte) error {
	members, err := object.Parse(value)
	if err != nil {
		s.manager.logInvalid(s.request.Context(), s.id, err)
		return s.end()
	}
	return s.rebase(version{value: value, members: members})
}

// rebase makes the changes of this request on current, which is what the store has now.
func (s *Session) rebase(current version) error {
	values := current.members
	for _, c := range s.changes {
		if err := c(&values); err != nil {
			return err
		}
	}
	s.stored, s.values = current, values
	return nil
}

// issue makes the session one that the response has to tell the browser of.
func (s *Session) issue(fresh *credential) {
	s.id, s.deadline, s.issued, s.renewed = fresh.id, fresh.deadline, fresh, false
}

// saved makes current, which holds all changes, the version that later changes build on.
func (s *Session) saved(current version) {
	s.stored, s.values, s.changes = current, current.members, nil
}

// end drops everything, for the session is no more. The ID stays, for logs.
func (s *Session) end() error {
	id := s.id
	s.forget()
	s.id, s.ended = id, true
	return ErrEnded
}

// encode returns the values with a new revision.
func (s *Session) encode() (version, error) {
	buffer := buffers.Get().(*[]byte)
	*buffer = s.values.AppendFirst((*buffer)[:0], revKey, newRev())
	if size := len(*buffer); size > s.manager.config.MaxBytes {
		buffers.Put(buffer)
		return version{}, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, size, s.manager.config.MaxBytes)
	}
	return version{*buffer, s.values, buffer}, nil
}

// buffers have been the values of sessions that were saved, and will be those of others. A save that failed does not give
// its own back: the store may still be reading it.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// free gives back the memory of the value. The members do not refer to it, but to the texts that they were parsed from.
func (v *version) free() {
	if v.buffer != nil {
		buffers.Put(v.buffer)
	}
	*v = version{}
}

// encodedSize returns the size that values will have when they are stored.
func encodedSize(values object.Object) int {
	size := values.Size()
	if _, ok := values.Get(revKey); !ok {
		size += revSize
	}
	return size
}

const (
	firstPause = 100 * time.Microsecond
	maxPause   = 64 * time.Millisecond
)

// pause lets the nodes that save this session take turns. It grows with the number of tries, and is random, so that they do
// not stay in step.
func pause(ctx context.Context, try int) error {
	longest := min(firstPause<<min(try, 16), maxPause)
	timer := time.NewTimer(mathrand.N(longest) + 1)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func crowded(err error) error {
	return fmt.Errorf("session: not saved, for other requests kept changing it: %w", err)
}
