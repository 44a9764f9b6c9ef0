package session

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sessionkv/session/internal/token"
)

// load asks the store, once, and gives the session its idle time anew.
func (s *Session) load(ctx context.Context) (*Session, error) {
	s.lock()
	defer s.unlock()
	if !s.isLoaded() {
		return s.first(ctx, false)
	}
	if s.use.loadErr == nil && s.use.peeked && s.closed == nil {
		return s.extend(ctx)
	}
	return s.result()
}

// peek is load that leaves the idle time as it is.
func (s *Session) peek(ctx context.Context) (*Session, error) {
	s.lock()
	defer s.unlock()
	if !s.isLoaded() {
		return s.first(ctx, true)
	}
	return s.result()
}

func (s *Session) isLoaded() bool { return s.use != nil && s.use.loaded }

func (s *Session) result() (*Session, error) {
	if s.use.loadErr != nil {
		return nil, s.use.loadErr
	}
	return s, nil
}

// first asks the store for the session. It remembers a failure, unless the failure comes from ctx.
func (s *Session) first(ctx context.Context, peek bool) (*Session, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("session: not loaded: %w", err)
	}
	if s.closed != nil {
		return nil, s.closed
	}
	s.use = &use{peeked: peek}
	s.use.record.Init(s.keeper)
	switch {
	case s.config.Bearer:
		s.use.record.Prove = refuseBound
	case s.config.DeviceBound != "":
		s.use.record.Prove = s.prove
	}
	s.use.loadErr = s.find(ctx)
	s.use.loaded = s.use.loadErr == nil || ctx.Err() == nil
	return s.result()
}

// find looks up what the request's cookies refer to.
func (s *Session) find(ctx context.Context) error {
	var room [maxTokens]token.Reference
	refs := s.references(time.Now(), &room)
	if len(refs) == 0 && s.config.Observe == nil {
		return nil
	}
	bound := &s.use.bound
	bound.init(ctx, s.config.StoreTimeout)
	bound.obey(ctx)
	defer bound.release()
	if s.use.peeked {
		return s.use.record.Peek(bound, refs)
	}
	return s.use.record.Find(bound, refs)
}

// references are what the request's tokens refer to.
func (s *Session) references(now time.Time, room *[maxTokens]token.Reference) []token.Reference {
	if s.config.Bearer {
		return bearerReferences(s.request, now, room)
	}
	return s.config.Cookie.references(s.request, now, room)
}

// extend gives a session that was only peeked at its idle time anew. It remembers a failure as first does.
func (s *Session) extend(ctx context.Context) (*Session, error) {
	if !s.use.record.IsStored() {
		s.use.peeked = false
		return s, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("session: not loaded: %w", err)
	}
	var bound boundContext
	bound.init(ctx, s.config.StoreTimeout)
	bound.obey(ctx)
	defer bound.release()
	err := s.use.record.Touch(&bound)
	if err != nil && !errors.Is(err, ErrEnded) {
		if ctx.Err() == nil {
			s.use.loadErr = err
		}
		return nil, err
	}
	s.use.peeked = false
	return s, nil
}
