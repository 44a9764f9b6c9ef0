package session

import (
	"context"
	"sync"
)

// turns lets one request of this process at a time retry the save of a session. Where hundreds save one session at once,
// each success makes all others fail, so that without turns they do nothing but keep each other busy. Requests of other
// nodes are not waited for: the store decides between them.
//
// The zero value is ready to use.
type turns struct {
	mu    sync.Mutex
	queue map[string]*turn // by the ID of the session
}

type turn struct {
	taken chan struct{} // full while a request has the turn
	users int           // that have or wait for it
}

// take waits for the turn of the session id, until ctx ends. The turn ends with the call of release.
func (t *turns) take(ctx context.Context, id string) (release func(), err error) {
	own := t.join(id)
	select {
	case own.taken <- struct{}{}:
		return func() { <-own.taken; t.leave(id, own) }, nil
	case <-ctx.Done():
		t.leave(id, own)
		return nil, ctx.Err()
	}
}

func (t *turns) join(id string) *turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	own := t.queue[id]
	if own == nil {
		own = &turn{taken: make(chan struct{}, 1)}
		if t.queue == nil {
			t.queue = make(map[string]*turn)
		}
		t.queue[id] = own
	}
	own.users++
	return own
}

func (t *turns) leave(id string, own *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if own.users--; own.users == 0 {
		delete(t.queue, id)
	}
}
