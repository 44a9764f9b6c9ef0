package record

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/sessionkv/session/internal/value"
)

// turns lets one request of this process at a time retry the save of a session, and tells it what the one before has
// stored. Where hundreds save one session at once, each success makes all others fail, so that without turns they do
// nothing but keep each other busy. Requests of other nodes are not waited for: the store decides between them.
//
// The zero value is ready to use.
type turns struct {
	mu    sync.Mutex
	queue map[string]*turn // by the ID of the session
}

type turn struct {
	taken  chan struct{} // full while a request has the turn
	users  int           // that have or wait for it
	latest value.Value   // what is stored, as far as the one who had the turn last knew
}

// take waits for the turn of the session id, until ctx ends. Who has taken it gives it back with give.
func (t *turns) take(ctx context.Context, id string) (*turn, error) {
	waiting := t.join(id)
	select {
	case waiting.taken <- struct{}{}:
		return waiting, nil
	case <-ctx.Done():
		t.leave(id, waiting)
		return nil, ctx.Err()
	}
}

func (t *turns) give(id string, taken *turn, latest value.Value) {
	taken.latest = latest
	<-taken.taken
	t.leave(id, taken)
}

func (t *turns) join(id string) *turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	joined := t.queue[id]
	if joined == nil {
		joined = &turn{taken: make(chan struct{}, 1)}
		if t.queue == nil {
			t.queue = make(map[string]*turn)
		}
		t.queue[id] = joined
	}
	joined.users++
	return joined
}

func (t *turns) leave(id string, left *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if left.users--; left.users == 0 {
		delete(t.queue, id)
	}
}

const (
	firstPause = 100 * time.Microsecond
	maxPause   = 64 * time.Millisecond
)

// pause lets the nodes that save this session take turns. It grows with the number of tries, and is random, so that
// they do not stay in step.
func pause(ctx context.Context, try int) error {
	longest := min(firstPause<<min(try, 16), maxPause)
	timer := time.NewTimer(rand.N(longest) + 1)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
