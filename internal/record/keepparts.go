package record

import (
	"context"
	"time"
)

// part returns the text of a part of the session id.
func (k *Keeper) part(ctx context.Context, id, name string) ([]byte, error) {
	store, err := k.large()
	if err != nil {
		return nil, err
	}
	return store.Part(ctx, id, name)
}

// removeParts removes these parts, which nothing that is stored names. If that fails, they expire with the session.
func (k *Keeper) removeParts(ctx context.Context, id string, names []string) {
	if len(names) > 0 {
		k.dropParts(ctx, id, names...)
	}
}

// keepParts lets what is stored and its parts live that long. If that fails, the parts live as long as they would have.
func (k *Keeper) keepParts(ctx context.Context, id string, ttl time.Duration) {
	k.known.remove(id)
	store, err := k.large()
	if err != nil || isOver(ttl) {
		return
	}
	if _, err := store.LoadLarge(ctx, id, ttl); err != nil {
		k.Logger.WarnContext(ctx, "large session values of a renewed session live longer than needed", "id", id, "error", err)
	}
}

// removeAllParts removes the large values of a session that is over.
func (k *Keeper) removeAllParts(ctx context.Context, id string) {
	k.known.remove(id)
	k.dropParts(ctx, id)
}

func (k *Keeper) dropParts(ctx context.Context, id string, names ...string) {
	store, err := k.large()
	if err != nil {
		return
	}
	if err := store.RemoveParts(ctx, id, names...); err != nil {
		k.Logger.WarnContext(ctx, "large session values not deleted before they expire", "id", id, "error", err)
	}
}
