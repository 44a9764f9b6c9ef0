package object

import "sync"

// A member is one name and its value: `"name":value`, with any white space around the colon. It has offsets and no
// slices. Therefore the list of members is short, and a garbage collector looks for no pointers in it.
type member struct {
	start uint32 // the member begins at this offset of Object.parsed, or, with the bit own, of Object.own
	name  uint32 // where the name ends, which begins at start+1; 0 if it has to be decoded first
	end   uint32
}

// own is the bit of member.start that no offset needs.
const own = 1 << 31

func (m *member) from() uint32 { return m.start &^ own }

func (m *member) isOwn() bool { return m.start&own != 0 }

// memberPool keeps the lists that Parse needs until it knows the number of members. A member holds no pointer, so the
// pool keeps nobody's data alive.
var memberPool = sync.Pool{New: func() any { return new([]member) }}

// freeMembers returns members to the pool, unless one huge object has made it too large to keep.
func freeMembers(members *[]member) {
	if cap(*members) <= 1<<16 {
		*members = (*members)[:0]
		memberPool.Put(members)
	}
}
