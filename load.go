package session

import (
	"context"
	"fmt"
	"time"

	"github.com/sessionkv/session/internal/token"
)

// load asks the store, once.
func (s *Session) load(ctx context.Context) (*Session, error) {
	s.lock()
	defer s.unlock()
	if s.use == nil || !s.use.loaded {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("session: not loaded: %w", err)
		}
		if s.closed != nil {
			return nil, s.closed
		}
		s.use = &use{}
		s.use.record.Init(s.keeper)
		s.use.loadErr = s.find(ctx)
		s.use.loaded = s.use.loadErr == nil || ctx.Err() == nil
	}
	if s.use.loadErr != nil {
		return nil, s.use.loadErr
	}
	return s, nil
}

// find looks up what the request's cookies refer to.
func (s *Session) find(ctx context.Context) error {
	var room [maxTokens]token.Reference
	refs := s.config.Cookie.references(s.request, time.Now(), &room)
	if len(refs) == 0 {
		return nil
	}
	bound := &s.use.bound
	bound.init(ctx, s.config.StoreTimeout)
	bound.obey(ctx)
	defer bound.release()
	err := s.use.record.Find(bound, refs)
	s.use.ambiguous = s.use.record.HasRivals()
	return err
}
