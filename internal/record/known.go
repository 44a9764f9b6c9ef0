package record

import (
	"hash/maphash"
	"sync/atomic"
)

// known has sessions that had large values when they were last loaded, so that a load lets these live on in the same
// flush. It forgets one when another takes its place; then its next load takes one flush more. The zero value is empty.
type known struct {
	hashes atomic.Pointer[hashes] // nil as long as there was none
}

// hashes are those of IDs. A hash has one place.
type hashes [1 << 12]atomic.Uint64

var knownSeed = maphash.MakeSeed()

func hashOf(id string) uint64 { return maphash.String(knownSeed, id) | 1 } // 0 is nothing

func (h *hashes) place(hash uint64) *atomic.Uint64 { return &h[hash>>52] }

func (k *known) has(id string) bool {
	all := k.hashes.Load()
	if all == nil {
		return false
	}
	hash := hashOf(id)
	return all.place(hash).Load() == hash
}

func (k *known) add(id string) {
	if k.hashes.Load() == nil {
		k.hashes.CompareAndSwap(nil, new(hashes))
	}
	hash := hashOf(id)
	k.hashes.Load().place(hash).Store(hash)
}

func (k *known) remove(id string) {
	if all := k.hashes.Load(); all != nil {
		hash := hashOf(id)
		all.place(hash).CompareAndSwap(hash, 0)
	}
}
