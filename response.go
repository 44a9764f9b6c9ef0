package session

import (
	"errors"
	"net/http"
	"slices"
	"strings"
)

// commit saves the session and writes its headers into those of the response, which leave next.
func (s *Session) commit(h http.Header) error {
	s.lock()
	defer s.unlock()
	if err := s.saveForResponse(); err != nil {
		return err
	}
	s.sent = true
	if s.use != nil {
		s.writeHeader(h)
	}
	return nil
}

// offer writes the outcome of an earlier save of the request into the headers of an answer to a failure. That save may
// have begun or renewed a session, and the client would otherwise have no token of it.
func (s *Session) offer(h http.Header) {
	s.lock()
	defer s.unlock()
	if s.use != nil {
		s.writeHeader(h)
	}
}

// setErrorHeader writes the headers of the answer to a failure.
func setErrorHeader(h http.Header, err error) {
	h.Set("Cache-Control", "no-store")
	if errors.Is(err, ErrRenewed) {
		h.Set("Retry-After", "1") // by then the client has the new cookie
	}
}

// reopen lets the session be changed as before its commit, because the headers have not left.
func (s *Session) reopen() {
	s.lock()
	defer s.unlock()
	s.sent = false
}

// saveLate saves what the handler changed after the headers had left. Only the log can tell of a failure.
func (s *Session) saveLate() {
	s.lock()
	defer s.unlock()
	if err := s.saveForResponse(); err != nil {
		s.config.Logger.ErrorContext(s.request.Context(), "session not saved after the response",
			"id", s.use.record.Reference().ID, "error", err)
	}
}

// saveForResponse saves if there is something to save. If the session has ended, that is no failure, and the response
// goes on without a cookie. It is a failure if somebody was to be signed in, or if the other sessions of the user were
// to be ended.
func (s *Session) saveForResponse() error {
	if s.closed != nil {
		return s.closed
	}
	if s.use == nil {
		return nil
	}
	if s.use.record.IsUnchanged() {
		s.use.record.Discard() // a Set of what is there already is not made again by a later save
		return nil
	}
	var bound boundContext
	bound.init(s.request.Context(), s.config.StoreTimeout)
	defer bound.release()
	promised := s.use.record.IsPromising()
	if err := s.save(&bound); err != nil && (promised || !errors.Is(err, ErrEnded)) {
		return err
	}
	return nil
}

func (s *Session) writeHeader(h http.Header) {
	issued, revoked := s.use.record.Issued(), s.use.record.IsRevoked()
	switch {
	case issued == nil && !revoked && !s.use.loaded:
		return
	case s.config.Bearer: // the handler hands over the token
	case issued != nil:
		s.config.Cookie.set(h, issued, s.config.classes.arePersistent(Class(issued.Class)), s.twins())
		s.askForKey(h)
	case revoked:
		s.config.Cookie.clear(h, s.twins())
		s.dropProofs(h)
	}
	s.addVary(h)
	if issued != nil || revoked {
		s.setCacheControl(h, "no-store")
	} else if h["Cache-Control"] == nil {
		s.setCacheControl(h, "private")
	}
}

// twins are the other cookies to clear, if the request had more than one of a living session.
func (s *Session) twins() []*http.Cookie {
	if !s.use.record.HadRivals() {
		return nil
	}
	return s.config.Cookie.twins(s.request.Host)
}

// addVary says which header of the request the response depends on.
func (s *Session) addVary(h http.Header) {
	source := "Cookie"
	if s.config.Bearer {
		source = "Authorization"
	}
	if h["Vary"] == nil {
		s.use.vary = [1]string{source} // a list in the Session, not one more allocation
		h["Vary"] = s.use.vary[:]
		return
	}
	for _, line := range h["Vary"] {
		fields := strings.FieldsFunc(line, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })
		if slices.ContainsFunc(fields, func(f string) bool { return f == "*" || strings.EqualFold(f, source) }) {
			return
		}
	}
	h.Add("Vary", source)
}

func (s *Session) setCacheControl(h http.Header, value string) {
	s.use.cache = [1]string{value}
	h["Cache-Control"] = s.use.cache[:]
}
