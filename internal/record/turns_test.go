package record

import (
	"context"
	"errors"
	"testing"

	"github.com/sessionkv/session/internal/value"
)

func TestTurnIsNotWaitedForLongerThanTheContextLives(t *testing.T) {
	var all turns
	taken, err := all.take(t.Context(), "id")
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := all.take(ended, "id"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := all.take(t.Context(), "another"); err != nil {
		t.Errorf("a turn of another session: %v", err)
	}
	all.give("id", taken, value.Value{})
	if len(all.queue) != 1 {
		t.Errorf("%d sessions have a queue, want that of the other alone", len(all.queue))
	}
	if again, err := all.take(t.Context(), "id"); err != nil || again.users != 1 {
		t.Errorf("the turn that was given back: %v", err)
	}
}

func TestPauseEndsWithTheContext(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for try := range 1000 {
		if err := pause(ended, try); err != nil { // the timer may be faster
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
			return
		}
	}
	t.Error("no pause has seen that its context has ended")
}
