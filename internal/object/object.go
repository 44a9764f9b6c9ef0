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
	"sync/atomic"
	"unicode/utf8"
)

// An Object is a JSON object. The zero Object is empty and ready to use.
//
// A copy made by plain assignment is a snapshot: a change to one copy never shows in the other. A change replaces what
// the Object refers to, or writes behind the end of what all others see. Different goroutines may use different copies,
// but not the same Object.
//
// Names are compared as encoding/json decodes them: escapes are resolved, and what is not UTF-8 or half a surrogate
// pair is U+FFFD. If a name occurs more than once, the last one counts.
type Object struct {
	parsed  []byte // the text that was parsed
	own     []byte // the texts of the members that were set since, one after the other
	members []member

	// used is how many members the arrays of own and members hold, of all copies that share them. Only one copy can end
	// there, and claim what is behind. If it is nil, nothing is behind.
	used *atomic.Int32
}

// MaxSize is the largest size of an Object, in bytes. Offsets reach several times as far, because an Object refers to
// what was parsed and to what was set. Parse refuses more, and callers of Set have to check it. It is also the longest
// value of Redis.
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

// Fits reports whether value, which must be valid JSON, can be the value of a member. Parse reads no object that is
// nested deeper.
func Fits(value []byte) bool {
	if len(value) < 2*maxDepth || bytes.Count(value, []byte("["))+bytes.Count(value, []byte("{")) < maxDepth {
		return true
	}
	_, ok := scanValue(value, 0, 1)
	return ok
}

// source returns the text that m is in.
func (o *Object) source(m *member) []byte {
	if m.isOwn() {
		return o.own
	}
	return o.parsed
}

func (o *Object) text(m *member) []byte { return o.source(m)[m.from():m.end:m.end] }

func (o *Object) value(m *member) []byte {
	text := o.text(m)
	return text[valueIn(text):]
}

// valueIn returns where the value begins in the text of a member.
func valueIn(text []byte) int {
	name, _, _ := scanString(text, 1)
	return skipSpace(text, skipSpace(text, name)+1)
}

// name returns the name as encoding/json decodes it. The result must not be changed.
func (o *Object) name(m *member) []byte {
	if m.name > 0 {
		return o.source(m)[m.from()+1 : m.name]
	}
	return decodeName(o.text(m))
}

// decodeName decodes the JSON string that text begins with.
func decodeName(text []byte) []byte {
	var name string
	end, _, _ := scanString(text, 1)
	_ = json.Unmarshal(text[:end], &name) // cannot fail: the scan has passed it
	return []byte(name)
}

func (o *Object) isNamed(m *member, name string) bool {
	if m.name > 0 && int(m.name-m.from()) != len(`"`)+len(name) {
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

// Len returns the number of members, duplicates included.
func (o *Object) Len() int { return len(o.members) }

// find returns the index of the last member of that normal name, or -1.
func (o *Object) find(name string) int {
	for i := len(o.members) - 1; i >= 0; i-- {
		m := &o.members[i]
		if m.name > 0 && (int(m.name-m.from()) != len(`"`)+len(name) || name != "" && o.source(m)[m.from()+1] != name[0]) {
			continue // without a call: this is most of what a lookup does
		}
		if o.isNamed(m, name) {
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

// Set gives the member called name a value. The value must be valid JSON without white space around it, and is copied.
// A member that is there stays in its place and keeps the text of its name. If it has the very same value, nothing
// changes. A new member becomes the last one.
func (o *Object) Set(name string, value []byte) {
	name = normal(name)
	i := o.find(name)
	if i < 0 {
		o.append(name, value)
		return
	}
	m := &o.members[i]
	text := o.text(m)
	cut := valueIn(text)
	if bytes.Equal(text[cut:], value) {
		return
	}
	head := text[:cut]
	next := o.emptied(len(o.members), len(o.own)+len(head)+len(value))
	next.add(o, o.members[:i])
	next.addText(*m, head, value)
	next.add(o, o.members[i+1:])
	*o = next
}

// append adds a member that is not in the object yet.
func (o *Object) append(name string, value []byte) {
	var room [64]byte
	head, plain := appendHead(room[:0], name)
	var m member
	if plain {
		m.name = uint32(len(`"`) + len(name))
	}
	if !o.claim() {
		next := o.emptied(len(o.members)+1, len(o.own)+len(head)+len(value))
		next.add(o, o.members)
		next.used = new(atomic.Int32)
		next.used.Store(int32(len(next.members) + 1))
		*o = next
	}
	o.addText(m, head, value)
}

// claim reports whether o may append a member to its arrays: no other copy has, and none will.
func (o *Object) claim() bool {
	last := int32(len(o.members))
	return o.used != nil && o.used.CompareAndSwap(last, last+1)
}

// emptied returns an Object on the same parsed text, without members, and with room for that many, and for own texts of
// that size.
func (o *Object) emptied(members, own int) Object {
	return Object{parsed: o.parsed, own: make([]byte, 0, own), members: make([]member, 0, members)}
}

// add appends members of from.
func (o *Object) add(from *Object, members []member) {
	if len(from.own) == 0 {
		o.members = append(o.members, members...)
		return
	}
	for i := range members {
		if m := &members[i]; m.isOwn() {
			o.addText(*m, from.text(m), nil)
		} else {
			o.members = append(o.members, *m)
		}
	}
}

// addText appends a member whose text is head and value, and whose name ends as far behind its start as that of m.
func (o *Object) addText(m member, head, value []byte) {
	start := uint32(len(o.own))
	o.own = append(append(o.own, head...), value...)
	if m.name > 0 {
		m.name += start - m.from()
	}
	m.start, m.end = start|own, uint32(len(o.own))
	o.members = append(o.members, m)
}

// appendHead appends `"name":` in the shortest way, in which the name is escaped only where it has to be. It reports
// whether that is the name as it is.
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
	escaped := func(r rune) bool { return r < ' ' || r == '"' || r == '\\' }
	return utf8.Valid(name) && !bytes.ContainsFunc(name, escaped)
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
		return true // a change would have replaced the list, or made it longer
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
		size += int(o.members[i].end - o.members[i].from())
	}
	return size
}

// AppendTo appends the text of the object to dst: the texts of the members, with nothing but a comma between two.
func (o *Object) AppendTo(dst []byte) []byte {
	dst = append(slices.Grow(dst, o.Size()), '{')
	return append(o.appendMembers(dst, o.members), '}')
}

// AppendFirst is AppendTo with a new first member, in the place of all that are called name. Its name is written in the
// shortest way, so that the text begins with `{"name":value`. The rules for value are those of [Object.Set].
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
			if next.isOwn() != m.isOwn() || next.from() != m.end+1 || source[m.end] != ',' {
				break
			}
			m.end = next.end
		}
		if dst[len(dst)-1] != '{' {
			dst = append(dst, ',')
		}
		dst = append(dst, source[m.from():m.end]...)
	}
	return dst
}
