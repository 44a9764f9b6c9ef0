// Package repeats counts how often a store has sent something again. The counter is in the context that a store gets.
package repeats

import (
	"context"
	"sync/atomic"
)

// A Counter counts repeats. The zero value is ready to use.
type Counter struct{ atomic.Int32 }

// Key is the key of a *Counter in a context.
type Key struct{}

// Of returns the Counter of a context, nil if there is none.
func Of(ctx context.Context) *Counter {
	counter, _ := ctx.Value(Key{}).(*Counter)
	return counter
}
