package session

import (
	"context"
	"sync"
)

// turns lets one request of this process at a time retry the save of a session, and tells it what the one before has stored.
// Where hundreds save one session at once, each success makes all others fail, so that without turns they do nothing but
// keep each other busy. Requests of other nodes are not waited for: the store decides between them.
//
// The zero value is ready to use.
type turns struct {
	mu    sync.Mutex
	queue map[string]*turn // by the ID of the session
}

type turn struct {
	taken  chan struct{} // full while a request has the turn
	users  int           // that have or wait for it
	latest version       // what is stored, as far as the one who had the turn last knew
}

// take waits for the turn of the session id, until ctx ends. Who has taken it gives it back with give.
func (t *turns) take(ctx context.Context, id string) (*turn, error) {
	own := t.join(id)
	select {
	case own.taken <- struct{}{}:
		return own, nil
	case <-ctx.Done():
		t.leave(id, own)
		return nil, ctx.Err()
	}
}

func (t *turns) give(id string, own *turn, latest version) {
	own.latest = latest
	<-own.taken
	t.leave(id, own)
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
