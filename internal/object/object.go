// Package object keeps a JSON object as the raw text of its members. Only names are ever decoded, so a member that nobody
// touches comes back byte for byte, and numbers keep every digit.
package object

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"unicode/utf8"
)

// An Object is a JSON object. The zero Object is empty and ready to use.
//
// A copy made by plain assignment is a snapshot: a change to one copy never shows in the other, since a change replaces
// the list of members and never writes into it. Copies may be used by different goroutines, one Object may not.
//
// Names are compared as encoding/json decodes them: escapes are resolved, and what is not UTF-8 or half a surrogate pair
// is U+FFFD. Where a name occurs more than once, the last one counts.
type Object struct {
	members []member
}

// A member is one name and its value. It is never changed once it is part of an Object.
type member struct {
	text  []byte // `"name":value`, with any white space that stands around the colon
	name  int    // the name is text[1:name]; 0 if it has to be decoded first
	value int    // the value is text[value:]
}

var errNotObject = errors.New("not a JSON object")

// Parse reads raw, which must be one JSON object and nothing else, as strictly as [json.Valid] does. The Object refers to
// raw, so raw must not be changed afterwards. The error says where raw is broken and never quotes it.
func Parse(raw []byte) (Object, error) {
	start := skipSpace(raw, 0)
	if at(raw, start) != '{' {
		return Object{}, errNotObject
	}
	spans := spanPool.Get().(*[]span)
	defer freeSpans(spans)
	end, ok := scanObject(raw, start, 1, spans)
	if ok {
		end = skipSpace(raw, end)
	}
	if !ok || end < len(raw) {
		return Object{}, fmt.Errorf("JSON object broken at byte %d of %d", end, len(raw))
	}
	return Object{membersOf(raw, *spans)}, nil
}

func membersOf(raw []byte, spans []span) []member {
	if len(spans) == 0 {
		return nil
	}
	members := make([]member, len(spans))
	for i, s := range spans {
		m := &members[i]
		m.text = raw[s.start:s.end:s.end]
		m.value = s.value - s.start
		if isPlain(raw[s.start+1 : s.name-1]) {
			m.name = s.name - 1 - s.start
		}
	}
	return members
}

// newMember writes the member in the shortest way: names are escaped only where they have to be.
func newMember(name string, value []byte) member {
	text := make([]byte, 0, len(`"":`)+len(name)+len(value))
	text = append(text, '"')
	text = append(text, name...)
	end := len(text)
	if isPlain(text[1:]) {
		text = append(text, `":`...)
	} else {
		text, _ = json.Marshal(name) // cannot fail for a string
		text = append(text, ':')
		end = 0
	}
	return member{append(text, value...), end, len(text)}
}

// isPlain reports whether name can stand between quotes as it is and means what it says.
func isPlain(name []byte) bool {
	return skipPlain(name, 0) == len(name) && utf8.Valid(name)
}

// decodedName returns the name as encoding/json decodes it. The result must not be changed.
func (m *member) decodedName() []byte {
	if m.name > 0 {
		return m.text[1:m.name]
	}
	return decodeName(m.text)
}

// decodeName decodes the JSON string that text begins with.
func decodeName(text []byte) []byte {
	var name string
	end, _ := scanString(text, 1)
	_ = json.Unmarshal(text[:end], &name) // cannot fail: the scan has passed it
	return []byte(name)
}

func (m *member) isNamed(name string) bool {
	return string(m.decodedName()) == name
}

// normal returns name as it can occur in an object: whatever is not UTF-8 becomes U+FFFD, byte for byte.
func normal(name string) string {
	if utf8.ValidString(name) {
		return name
	}
	return string([]rune(name))
}

// find returns the index of the last member of that normal name, or -1.
func (o *Object) find(name string) int {
	for i := len(o.members) - 1; i >= 0; i-- {
		if o.members[i].isNamed(name) {
			return i
		}
	}
	return -1
}

// Get returns the raw value of the member called name. The value must not be changed; appending to it copies it.
func (o *Object) Get(name string) (value []byte, ok bool) {
	i := o.find(normal(name))
	if i < 0 {
		return nil, false
	}
	m := &o.members[i]
	return m.text[m.value:], true
}

// Names returns the decoded names in the order of the members, duplicates included.
func (o *Object) Names() iter.Seq[string] {
	members := o.members
	return func(yield func(string) bool) {
		for i := range members {
			if !yield(string(members[i].decodedName())) {
				return
			}
		}
	}
}

// Set gives the member called name a value, which must be valid JSON without white space around it and is copied. A
// member that is there stays in its place and keeps the text of its name; if it has the very same value, nothing changes
// at all. Otherwise the member becomes the last one.
func (o *Object) Set(name string, value []byte) {
	name = normal(name)
	i := o.find(name)
	if i < 0 {
		o.members = slices.Concat(o.members, []member{newMember(name, value)})
		return
	}
	m := o.members[i]
	if bytes.Equal(m.text[m.value:], value) {
		return
	}
	text := make([]byte, 0, m.value+len(value))
	text = append(text, m.text[:m.value]...)
	m.text = append(text, value...)
	o.members = slices.Clone(o.members)
	o.members[i] = m
}

// SetFirst removes every member called name and makes a new one the first, its name written in the shortest way: the text
// of the object then begins with `{"name":value`. The value is as for [Object.Set].
func (o *Object) SetFirst(name string, value []byte) {
	name = normal(name)
	members := make([]member, 1, len(o.members)+1)
	members[0] = newMember(name, value)
	for i := range o.members {
		if m := &o.members[i]; !m.isNamed(name) {
			members = append(members, *m)
		}
	}
	o.members = members
}

// Delete removes every member called name.
func (o *Object) Delete(name string) {
	name = normal(name)
	o.DeleteFunc(func(n []byte) bool { return string(n) == name })
}

// DeleteFunc removes every member for whose decoded name del returns true. del must not change or keep the name.
func (o *Object) DeleteFunc(del func(name []byte) bool) {
	kept := make([]member, 0, len(o.members))
	for i := range o.members {
		if m := &o.members[i]; !del(m.decodedName()) {
			kept = append(kept, *m)
		}
	}
	o.members = kept
}

// Equal reports whether a and b have the same members in the same order and the same text.
func Equal(a, b Object) bool {
	return slices.EqualFunc(a.members, b.members, func(m, n member) bool { return bytes.Equal(m.text, n.text) })
}

// Size returns the number of bytes that [Object.AppendTo] appends.
func (o *Object) Size() int {
	size := len(`{}`) + max(0, len(o.members)-1) // the braces and the commas
	for i := range o.members {
		size += len(o.members[i].text)
	}
	return size
}

// AppendTo appends the text of the object to dst: the texts of the members, with nothing but a comma between two.
func (o *Object) AppendTo(dst []byte) []byte {
	dst = slices.Grow(dst, o.Size())
	dst = append(dst, '{')
	for i := range o.members {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, o.members[i].text...)
	}
	return append(dst, '}')
}
