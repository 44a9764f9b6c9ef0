package record

import (
	"hash/maphash"
	"sync/atomic"
)

// known has sessions that had large values when they were last loaded, so that a load lets these live on in the same
// flush. It forgets one when another takes its place; then its next load takes one flush more. The zero value is empty.
type known struct {
	sessions [1 << 12]atomic.Uint64 // by hashes of their IDs, as far as these differ in the place
}

var knownSeed = maphash.MakeSeed()

func (k *known) place(id string) (*atomic.Uint64, uint64) {
	hash := maphash.String(knownSeed, id) | 1 // 0 is nothing
	return &k.sessions[hash>>52], hash
}

func (k *known) has(id string) bool {
	place, hash := k.place(id)
	return place.Load() == hash
}

func (k *known) add(id string) {
	place, hash := k.place(id)
	place.Store(hash)
}

func (k *known) remove(id string) {
	place, hash := k.place(id)
	place.CompareAndSwap(hash, 0)
}
