package testkit

import (
	"testing"
	"time"
)

// Patience bounds every wait for something that comes soon.
const Patience = 20 * time.Second

// Eventually waits until ok, and ends the test if that takes too long. What names it.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for start := time.Now(); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Since(start) > Patience {
			t.Fatalf("never: %s", what)
		}
	}
}

// Receive waits for what comes from c, and ends the test if that takes too long.
func Receive[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(Patience):
		t.Fatal("nothing came in time")
		panic("unreachable")
	}
}

// A Gate makes a handler wait at a point of its work until the test lets it go on: the test receives from Reached, and
// closes Open.
type Gate struct{ Reached, Open chan struct{} }

// NewGate returns a Gate that is shut.
func NewGate() Gate { return Gate{make(chan struct{}), make(chan struct{})} }

// Wait is what the handler calls, once.
func (g Gate) Wait() {
	close(g.Reached)
	<-g.Open
}
