package driver

import (
	"context"
	"time"
)

// Large is what a [Store] implements besides that keeps parts beside the values of sessions: texts that are too large to
// go with every load and save. A part has a name that no other part of its ID ever had, and never changes. The value says
// which parts belong to it.
//
// The parts of an ID live as long as its value: LoadLarge and SaveLarge give them that time, for an ID that has parts.
// Whoever deletes a value calls RemoveParts then; [Users].Bury removes the parts of the IDs. What a process leaves behind
// that ends in between expires.
type Large interface {
	// LoadLarge is Load of an ID that has parts. One that has none is no failure.
	LoadLarge(ctx context.Context, id string, ttl time.Duration) (value []byte, err error)

	// SaveLarge is Save of a value that has parts. It stores parts first. After ErrConflict they are there too; after
	// another error they may be.
	SaveLarge(ctx context.Context, id string, old, value []byte, ttl time.Duration, parts ...Part) (current []byte, err error)

	// Part returns the text of a part, or ErrNotFound if there is none of that name.
	Part(ctx context.Context, id, name string) (text []byte, err error)

	// RemoveParts removes the parts of these names, or all if there are no names. One that is not there is no failure.
	RemoveParts(ctx context.Context, id string, names ...string) error
}

// A Part is a text beside the value of a session.
type Part struct {
	Name string
	Text []byte
}
