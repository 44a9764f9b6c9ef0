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
// what the Object refers to and never writes into it. Copies may be used by different goroutines, one Object may not.
//
// Names are compared as encoding/json decodes them: escapes are resolved, and what is not UTF-8 or half a surrogate pair
// is U+FFFD. Where a name occurs more than once, the last one counts.
type Object struct {
	parsed  []byte // the text that was parsed
	own     []byte // the texts of the members that were set since, one after the other
	members []member
}

// A member is one name and its value: `"name":value`, with any white space that stands around the colon. It is offsets
// and no slices, so that the list of members is short, and nothing in which a garbage collector looks for pointers.
type member struct {
	own   bool   // its text is Object.own, not Object.parsed
	start uint32 // the member is text[start:end]
	name  uint32 // the name is text[start+1:name]; 0 if it has to be decoded first
	value uint32 // the value is text[value:end]
	end   uint32
}

// MaxSize is the largest size of an Object, in bytes. Offsets reach several times as far, for an Object refers to what
// was parsed and to what was set. Parse refuses more, and callers of Set see to it. It is also the longest value of Redis.
const MaxSize = 512 << 20

var (
	errNotObject = errors.New("not a JSON object")
	errTooLong   = fmt.Errorf("JSON object of more than %d bytes", MaxSize)
)

// Parse reads raw, which must be one JSON object and nothing else, as strictly as [json.Valid] does. The Object refers to
// raw, so raw must not be changed afterwards. The error says where raw is broken and never quotes it.
func Parse(raw []byte) (Object, error) {
	if len(raw) > MaxSize {
		return Object{}, errTooLong
	}
	start := skipSpace(raw, 0)
	if at(raw, start) != '{' {
		return Object{}, errNotObject
	}
	members := memberPool.Get().(*[]member)
	defer freeMembers(members)
	end, ok := scanObject(raw, start, 1, members)
	if ok {
		end = skipSpace(raw, end)
	}
	if !ok || end < len(raw) {
		return Object{}, fmt.Errorf("JSON object broken at byte %d of %d", end, len(raw))
	}
	if len(*members) == 0 {
		return Object{}, nil
	}
	return Object{parsed: raw, members: slices.Clone(*members)}, nil
}

// source returns the text that m is in.
func (o *Object) source(m *member) []byte {
	if m.own {
		return o.own
	}
	return o.parsed
}

func (o *Object) text(m *member) []byte { return o.source(m)[m.start:m.end] }

func (o *Object) value(m *member) []byte { return o.source(m)[m.value:m.end:m.end] }

// name returns the name as encoding/json decodes it. The result must not be changed.
func (o *Object) name(m *member) []byte {
	if m.name > 0 {
		return o.source(m)[m.start+1 : m.name]
	}
	return decodeName(o.text(m))
}

// decodeName decodes the JSON string that text begins with.
func decodeName(text []byte) []byte {
	var name string
	end, _ := scanString(text, 1)
	_ = json.Unmarshal(text[:end], &name) // cannot fail: the scan has passed it
	return []byte(name)
}

func (o *Object) isNamed(m *member, name string) bool {
	if m.name > 0 && int(m.name-m.start) != len(`"`)+len(name) {
		return false
	}
	return string(o.name(m)) == name
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
		if o.isNamed(&o.members[i], name) {
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
	return o.value(&o.members[i]), true
}

// Names returns the decoded names in the order of the members, duplicates included.
func (o *Object) Names() iter.Seq[string] {
	snapshot := *o
	return func(yield func(string) bool) {
		for i := range snapshot.members {
			if !yield(string(snapshot.name(&snapshot.members[i]))) {
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
		next := o.emptied(len(o.members)+1, len(o.own)+len(`"":`)+len(name)+len(value))
		next.add(o, o.members)
		next.addNew(name, value)
		*o = next
		return
	}
	m := &o.members[i]
	if bytes.Equal(o.value(m), value) {
		return
	}
	head := o.source(m)[m.start:m.value]
	next := o.emptied(len(o.members), len(o.own)+len(head)+len(value))
	next.add(o, o.members[:i])
	next.addText(*m, head, value)
	next.add(o, o.members[i+1:])
	*o = next
}

// emptied returns an Object on the same parsed text, without members, and with room for that many, and for own texts of
// that size.
func (o *Object) emptied(members, own int) Object {
	return Object{o.parsed, make([]byte, 0, own), make([]member, 0, members)}
}

// add appends members of from.
func (o *Object) add(from *Object, members []member) {
	if len(from.own) == 0 {
		o.members = append(o.members, members...)
		return
	}
	for i := range members {
		if m := &members[i]; m.own {
			o.addText(*m, from.text(m), nil)
		} else {
			o.members = append(o.members, *m)
		}
	}
}

// addText appends a member whose text is head and value, and laid out as m.
func (o *Object) addText(m member, head, value []byte) {
	move := uint32(len(o.own)) - m.start
	o.own = append(o.own, head...)
	o.own = append(o.own, value...)
	if m.name > 0 {
		m.name += move
	}
	m.own, m.start, m.value, m.end = true, m.start+move, m.value+move, uint32(len(o.own))
	o.members = append(o.members, m)
}

// addNew appends a member that is not in the object yet.
func (o *Object) addNew(name string, value []byte) {
	var room [64]byte
	head, plain := appendHead(room[:0], name)
	m := member{value: uint32(len(head))}
	if plain {
		m.name = uint32(len(`"`) + len(name))
	}
	o.addText(m, head, value)
}

// appendHead appends `"name":` in the shortest way, and reports whether that is the name as it is: it is escaped only where
// it has to be.
func appendHead(dst []byte, name string) (_ []byte, plain bool) {
	start := len(dst)
	dst = append(append(dst, '"'), name...)
	if isPlain(dst[start+1:]) {
		return append(dst, `":`...), true
	}
	text, _ := json.Marshal(name) // cannot fail for a string
	return append(append(dst[:start], text...), ':'), false
}

// isPlain reports whether name can stand between quotes as it is and means what it says.
func isPlain(name []byte) bool {
	return skipPlain(name, 0) == len(name) && utf8.Valid(name)
}

// Delete removes every member called name.
func (o *Object) Delete(name string) {
	name = normal(name)
	o.DeleteFunc(func(n []byte) bool { return string(n) == name })
}

// DeleteFunc removes every member for whose decoded name del returns true. del must not change or keep the name.
func (o *Object) DeleteFunc(del func(name []byte) bool) {
	kept := o.emptied(len(o.members), len(o.own))
	for i := range o.members {
		if !del(o.name(&o.members[i])) {
			kept.add(o, o.members[i:i+1])
		}
	}
	*o = kept
}

// Equal reports whether a and b have the same members in the same order and the same text.
func Equal(a, b Object) bool {
	if len(a.members) != len(b.members) {
		return false
	}
	if len(a.members) == 0 || &a.members[0] == &b.members[0] {
		return true // a change would have replaced the list
	}
	for i := range a.members {
		if !bytes.Equal(a.text(&a.members[i]), b.text(&b.members[i])) {
			return false
		}
	}
	return true
}

// Size returns the number of bytes that [Object.AppendTo] appends.
func (o *Object) Size() int {
	size := len(`{}`) + max(0, len(o.members)-1) // the braces and the commas
	for i := range o.members {
		size += int(o.members[i].end - o.members[i].start)
	}
	return size
}

// AppendTo appends the text of the object to dst: the texts of the members, with nothing but a comma between two.
func (o *Object) AppendTo(dst []byte) []byte {
	dst = append(slices.Grow(dst, o.Size()), '{')
	return append(o.appendMembers(dst, o.members), '}')
}

// AppendFirst is AppendTo with a new first member, in the place of all that are called name. Its name is written in the
// shortest way: the text begins with `{"name":value`. The value is as for [Object.Set].
func (o *Object) AppendFirst(dst []byte, name string, value []byte) []byte {
	name = normal(name)
	dst = append(slices.Grow(dst, o.Size()+len(`"":,`)+len(name)+len(value)), '{')
	dst, _ = appendHead(dst, name)
	dst = append(dst, value...)
	start := 0
	for i := range o.members {
		if o.isNamed(&o.members[i], name) {
			dst = o.appendMembers(dst, o.members[start:i])
			start = i + 1
		}
	}
	return append(o.appendMembers(dst, o.members[start:]), '}')
}

// appendMembers appends the texts of members, with a comma before each but the first of an object. Those that stand with
// nothing but a comma between them are copied as one.
func (o *Object) appendMembers(dst []byte, members []member) []byte {
	for len(members) > 0 {
		m, source := members[0], o.source(&members[0])
		for members = members[1:]; len(members) > 0; members = members[1:] {
			next := &members[0]
			if next.own != m.own || next.start != m.end+1 || source[m.end] != ',' {
				break
			}
			m.end = next.end
		}
		if dst[len(dst)-1] != '{' {
			dst = append(dst, ',')
		}
		dst = append(dst, source[m.start:m.end]...)
	}
	return dst
}
