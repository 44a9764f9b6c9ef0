package record

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/object"
	"github.com/sessionkv/session/internal/token"
	"github.com/sessionkv/session/internal/value"
)

// The members that say what a stored value is, beside its values. A value has at most one of them.
const (
	ownerKey  = "_user"
	markerKey = "_renewed"
	lastKey   = "_ended"
)

// An owner is the user of a session.
type owner struct {
	Name     string `json:"name,omitempty"`
	Raw      []byte `json:"raw,omitempty"` // the name, if it is not UTF-8, which JSON would change
	SignedIn int64  `json:"at"`            // in Unix milliseconds
	Class    uint8  `json:"class,omitempty"`
	Deadline int64  `json:"until"` // in Unix seconds
}

func newOwner(user string, signedIn int64, ref token.Reference) owner {
	o := owner{SignedIn: signedIn, Class: ref.Class, Deadline: ref.Deadline.Unix()}
	if utf8.ValidString(user) {
		o.Name = user
	} else {
		o.Raw = []byte(user)
	}
	return o
}

func (o *owner) user() string {
	if o.Raw != nil {
		return string(o.Raw)
	}
	return o.Name
}

// ownerOf returns the user of a session. It is false if the members do not name the one that the ID belongs to.
func ownerOf(members object.Object, id string) (o owner, ok bool) {
	raw, ok := members.Get(ownerKey)
	if !ok {
		return owner{}, false
	}
	if o, ok = readOwner(raw); !ok {
		return owner{}, false
	}
	return o, tagOf(o.user()) == driver.UserOf(id)
}

// readOwner reads what json.Marshal has made of an owner. It is false if raw is something else.
func readOwner(raw []byte) (o owner, ok bool) {
	if o, ok = plainOwner(string(raw)); ok {
		return o, true
	}
	var decoded owner // which is on the heap, as o is not
	err := json.Unmarshal(raw, &decoded)
	return decoded, err == nil
}

// plainOwner is readOwner for a name without escapes, and false for everything else. Package encoding/json takes twenty
// times as long, at each load.
func plainOwner(raw string) (o owner, ok bool) {
	raw, begins := strings.CutPrefix(raw, `{"name":"`)
	raw, ends := strings.CutSuffix(raw, `}`)
	name, rest, _ := strings.Cut(raw, `","at":`)
	rest, until, _ := strings.Cut(rest, `,"until":`)
	at, class, hasClass := strings.Cut(rest, `,"class":`)
	if !begins || !ends || strings.ContainsAny(name, `"\`) || !utf8.ValidString(name) {
		return owner{}, false
	}
	if !hasClass {
		class = "0"
	}
	number, wrongClass := strconv.ParseUint(class, 10, 8)
	signedIn, wrongTime := strconv.ParseInt(at, 10, 64)
	deadline, wrongDeadline := strconv.ParseInt(until, 10, 64)
	ok = wrongClass == nil && wrongTime == nil && wrongDeadline == nil
	return owner{Name: name, SignedIn: signedIn, Class: uint8(number), Deadline: deadline}, ok
}

// markerTTL is for how long a marker counts: longer than a request and its repeats take.
const markerTTL = 30 * time.Second

// A marker is what a renewal leaves in the place of the old value. No marker replaces another: the first renewal counts.
type marker struct {
	Until  int64           `json:"until"` // in Unix milliseconds; the key may live longer
	To     string          `json:"to"`    // the new ID, which is no credential
	Values json.RawMessage `json:"values,omitempty"`
	from   string          // the ID that it was found in the place of
}

// newMarker returns the marker of a renewal to the ID to. Values are for a second renewal by the same browser.
func newMarker(to string, values *object.Object) value.Value {
	m := marker{Until: time.Now().Add(markerTTL).UnixMilli(), To: to}
	if values != nil {
		m.Values = values.AppendTo(nil)
	}
	return alone(markerKey, m)
}

// parts are those that a second renewal asks for.
func (m *marker) parts() []string {
	values, _ := object.Parse(m.Values) // what is not understood has none
	return largeOf(values).parts()
}

// A lastWord is what is left in the place of a session that somebody has ended.
type lastWord struct {
	Until int64 `json:"until"` // in Unix milliseconds
	Why   uint8 `json:"why"`
}

// lastWordTTL is for how long a client can be told why its session was ended.
const lastWordTTL = 5 * time.Minute

func newLastWord(why uint8) value.Value {
	return alone(lastKey, lastWord{time.Now().Add(lastWordTTL).UnixMilli(), why})
}

// alone returns the value that has nothing but a mark.
func alone(key string, mark any) value.Value {
	raw, _ := json.Marshal(mark) // never fails for these types
	var members object.Object
	members.Set(key, raw)
	v, _ := value.Encode(members, math.MaxInt)
	return v
}

// A mark is what a stored value is if it is no session: nothing any more, a marker or a last word.
type mark struct {
	marker *marker
	why    uint8 // of a lastWord
}

// markOf returns the mark of a value, nil if it is a session. A mark that is over is an empty one.
func markOf(members object.Object) *mark {
	if members.Len() > 2 {
		return nil // there is more than a revision and a mark, which is quickly seen
	}
	if raw, ok := members.Get(markerKey); ok {
		m := new(marker)
		if json.Unmarshal(raw, m) != nil || isPast(m.Until) {
			return new(mark)
		}
		return &mark{marker: m}
	}
	if raw, ok := members.Get(lastKey); ok {
		var last lastWord
		if json.Unmarshal(raw, &last) != nil || isPast(last.Until) {
			return new(mark)
		}
		return &mark{why: last.Why}
	}
	return nil
}

func isPast(milliseconds int64) bool { return time.Now().UnixMilli() >= milliseconds }

// tagOf is what stands for a user in an ID. A variable lets a test give two users one tag.
var tagOf = token.Tag
