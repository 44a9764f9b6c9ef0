package load

import (
	"fmt"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	// Timeout is the deadline of every operation, as StoreTimeout is in the session package.
	Timeout = time.Second

	// slack is what an operation may take beyond it on a busy machine.
	slack = 700 * time.Millisecond

	// recovery is how long errors may go on when Redis is back. go-redis, after many failed dials, tries one a second.
	recovery = 1500 * time.Millisecond

	// margin is how long before the fault Redis may lose what it has acknowledged: replication takes a moment, and longer
	// where five masters and their replicas share two processors.
	margin = time.Second

	pace = 2 * time.Millisecond // between two operations of a worker
)

// Failures are those of a load. Times are counted from the beginning of the fault.
type Failures struct {
	Failed                int
	FirstError, LastError time.Duration
	Slowest               time.Duration // operation, whether it failed or not
	Fault                 time.Duration // how long the fault took, until Redis was back
}

func (f Failures) String() string {
	return fmt.Sprintf("%d failed (from %.2f s to %.2f s; Redis was back after %.2f s), slowest operation %.2f s",
		f.Failed, f.FirstError.Seconds(), f.LastError.Seconds(), f.Fault.Seconds(), f.Slowest.Seconds())
}

// names are those of sessions and addresses, in which errors differ that are the same.
var names = regexp.MustCompile(`[0-9A-Z]{26}|[0-9a-f]{20}(:[\w-]+)?|127\.0\.0\.1:\d+`)

// A course is that of a load, with a fault in its middle.
type course struct {
	t     testing.TB
	ended atomic.Bool

	mu       sync.Mutex
	start    time.Time // of the fault
	failures Failures
	errors   map[string]int
}

// run lets the workers run while the fault does, and for a while before and after.
func (c *course) run(workers []func(), fault func()) {
	c.start = time.Now().Add(time.Hour)
	c.errors = map[string]int{}
	var group sync.WaitGroup
	for _, work := range workers {
		group.Go(work)
	}
	time.Sleep(time.Second)
	c.mu.Lock()
	c.start = time.Now()
	c.mu.Unlock()
	fault()
	took := time.Since(c.start)
	time.Sleep(recovery + time.Second)
	c.ended.Store(true)
	group.Wait()
	c.failures.Fault = took
}

// note notes how an operation went that began then, and has failed if err is not nil.
func (c *course) note(begin time.Time, err error) {
	end := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	f := &c.failures
	f.Slowest = max(f.Slowest, end.Sub(begin))
	if err == nil {
		return
	}
	if f.Failed++; f.Failed == 1 {
		f.FirstError = end.Sub(c.start)
	}
	f.LastError = end.Sub(c.start)
	c.errors[names.ReplaceAllString(err.Error(), "…")]++
}

// inFault reports whether Redis may have lost what was acknowledged then.
func (c *course) inFault(at time.Time) bool {
	return at.After(c.start.Add(-margin)) && at.Before(c.start.Add(c.failures.Fault+margin))
}

// check fails the test if errors went on when Redis was back, and logs all of them.
func (c *course) check() {
	c.t.Helper()
	if f := c.failures; f.Failed > 0 && f.LastError > f.Fault+recovery {
		c.t.Errorf("the last error came %v after Redis was back", f.LastError-f.Fault)
	}
	for text, n := range c.errors {
		c.t.Logf("%5d times %s", n, text)
	}
}
