package record

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/sessionkv/session/internal/object"
	"github.com/sessionkv/session/internal/value"
)

// largeKey is the member that says which large values a session has.
const largeKey = "_large"

// A large is what the value of a session knows of a large one: enough to find it in the store. The part there has a name
// that is new with every value, so that a session never gets the part of another version of itself.
type large struct {
	Rev   string `json:"rev"`
	Bytes int    `json:"bytes"`
}

func newLarge(size int) large { return large{value.NewRevision(), size} }

// part is the name of the part of a large value. It begins with the name of that, for who looks into the store.
func (l large) part(name string) string { return name + ":" + l.Rev }

// larges are those of one session, by their names.
type larges map[string]large

// largeOf returns what members say. What is not understood is nothing.
func largeOf(members object.Object) larges {
	raw, ok := members.Get(largeKey)
	if !ok {
		return nil
	}
	var all larges
	if json.Unmarshal(raw, &all) != nil {
		return nil
	}
	return all
}

// partOf returns the name of the part of a large value, "" if members have none. It is cheaper than to read all.
func partOf(members object.Object, name string) string {
	raw, _ := members.Get(largeKey)
	all, err := object.Parse(raw)
	if err != nil {
		return ""
	}
	one, ok := all.Get(name)
	var l large
	if !ok || json.Unmarshal(one, &l) != nil {
		return ""
	}
	return l.part(name)
}

func hasLarge(members object.Object) bool {
	_, ok := members.Get(largeKey)
	return ok
}

// sameLarge reports whether two versions of a session have the same large values. If these are only written in another
// way, it is false.
func sameLarge(a, b object.Object) bool {
	x, _ := a.Get(largeKey)
	y, _ := b.Get(largeKey)
	return bytes.Equal(x, y)
}

// part returns the name of the part of a large value, "" if there is none.
func (all larges) part(name string) string {
	l, ok := all[name]
	if !ok {
		return ""
	}
	return l.part(name)
}

func (all larges) parts() (names []string) {
	for name, l := range all {
		names = append(names, l.part(name))
	}
	return names
}

func (all larges) size() (bytes int) {
	for _, l := range all {
		bytes += l.Bytes
	}
	return bytes
}

// changeLarge makes a change of a large value: raw is a large, or nil to remove it.
func changeLarge(members *object.Object, name string, raw []byte) error {
	all := largeOf(*members)
	if all == nil {
		all = make(larges)
	}
	delete(all, name)
	if raw != nil {
		var l large
		if err := json.Unmarshal(raw, &l); err != nil {
			return err
		}
		all[name] = l
	}
	if len(all) == 0 {
		members.Delete(largeKey)
		return nil
	}
	encoded, err := json.Marshal(all)
	if err == nil {
		members.Set(largeKey, encoded)
	}
	return err
}

// without returns the names that are not in other.
func without(names, other []string) []string {
	return slices.DeleteFunc(names, func(name string) bool { return slices.Contains(other, name) })
}
