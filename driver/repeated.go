package driver

import (
	"context"

	"github.com/sessionkv/session/internal/repeats"
)

// Repeated tells the Manager that a store has sent something again because a connection broke. ctx is the context that
// the store was given. The Manager shows it in the events of session.Config.Observe.
func Repeated(ctx context.Context) {
	if counter := repeats.Of(ctx); counter != nil {
		counter.Add(1)
	}
}
