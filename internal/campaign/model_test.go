package campaign

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/sessionkv/session"
)

// The model is the rules of saving on plain lists: what a request did is an ordered list of changes, made at its commit
// on whatever is stored then.
type modelValues []modelValue

type modelValue struct {
	key string
	n   int
}

func (v *modelValues) update(key string, n func(old int) int) {
	for i := range *v {
		if (*v)[i].key == key {
			(*v)[i].n = n((*v)[i].n)
			return
		}
	}
	*v = append(*v, modelValue{key, n(0)})
}

func (v *modelValues) delete(key string) {
	*v = slices.DeleteFunc(*v, func(m modelValue) bool { return m.key == key })
}

func (v modelValues) String() string {
	var text strings.Builder
	for _, m := range v {
		fmt.Fprintf(&text, "%s=%d ", m.key, m.n)
	}
	return text.String()
}

// readValues makes model values of an object of numbers, without the reserved members.
func readValues(text []byte) modelValues {
	var values modelValues
	decoder := json.NewDecoder(bytes.NewReader(text))
	_, _ = decoder.Token()
	for decoder.More() {
		key, _ := decoder.Token()
		n, _ := decoder.Token()
		if number, ok := n.(float64); ok {
			values = append(values, modelValue{key.(string), int(number)})
		}
	}
	return values
}

// A modelChange is made on a key; on all of them if that is "".
type modelChange struct {
	key string
	do  func(*modelValues)
}

type modelSession struct {
	live    bool
	values  modelValues
	renewed *modelMarker // is there in its place
}

// modelMarker is what a renewal leaves for a second one: what the first has not touched.
type modelMarker struct {
	to     *modelSession
	values modelValues
}

type modelRequest struct {
	session  *modelSession // as loaded; nil: none
	changes  []modelChange
	base     modelValues // what the changes were first made on
	destroy  *modelSession
	renew    bool
	late     bool // it came with the token of a session that was renewed
	ended    bool
	barred   bool // by a Renew after the headers
	sent     bool
	failed   bool   // another request had renewed the session, so that nothing of this one is done
	refused  bool   // and the response says so
	cookie   string // what the response must do with it: "", "set" or "clear"
	produced *modelSession
}

// newModelRequest is a request with the token of a session, nil for none.
func newModelRequest(from *modelSession) *modelRequest {
	q := &modelRequest{}
	if from != nil && from.live {
		q.session, q.base = from, slices.Clone(from.values)
	}
	q.late = from != nil && from.renewed != nil
	return q
}

func (q *modelRequest) view() modelValues { return q.applied(q.base) }

func (q *modelRequest) applied(base modelValues) modelValues {
	values := slices.Clone(base)
	for _, change := range q.changes {
		change.do(&values)
	}
	return values
}

// change returns the error that a Set must have.
func (q *modelRequest) change(c modelChange) error {
	switch {
	case q.failed || q.late:
		return session.ErrRenewed
	case q.ended:
		return session.ErrEnded
	case q.session == nil && q.sent || q.barred:
		return session.ErrHeadersSent
	}
	q.changes = append(q.changes, c)
	return nil
}

// remove is a Delete or a Clear, which no Renew bars.
func (q *modelRequest) remove(c modelChange) {
	if !q.ended && !q.failed {
		q.changes = append(q.changes, c)
	}
}

func (q *modelRequest) doRenew() error {
	switch {
	case q.failed:
		return session.ErrRenewed
	case q.ended:
		return session.ErrEnded
	case q.sent:
		q.barred = true
		return session.ErrHeadersSent
	case q.late:
		return session.ErrRenewed
	}
	q.renew = q.session != nil
	return nil
}

func (q *modelRequest) doDestroy() {
	if q.failed || q.late {
		return
	}
	if q.session != nil {
		q.destroy = q.session
	}
	q.session, q.base, q.changes, q.renew, q.ended, q.barred = nil, nil, nil, false, false, false
	if q.cookie == "set" && !q.sent {
		q.cookie = ""
	}
}

// commit does nothing where another request was first to renew the session, unless this one renews it too.
func (q *modelRequest) commit() {
	switch {
	case q.failed:
		return
	case q.destroy != nil && q.destroy.renewed != nil:
		q.failed, q.refused = true, !q.sent
		return
	case q.destroy != nil:
		if q.destroy.live && !q.sent {
			q.cookie = "clear"
		}
		q.destroy.live, q.destroy = false, nil
	}
	switch {
	case q.ended || q.late:
	case q.session == nil:
		if values := q.applied(nil); len(values) > 0 {
			q.begin(values)
		}
	case q.renew:
		q.doubleOrRenew()
	case slices.Equal(q.view(), q.base):
	case q.session.renewed != nil:
		q.fail()
	case !q.session.live:
		q.end()
	default:
		q.session.values = q.applied(q.session.values)
		q.base = slices.Clone(q.session.values)
	}
	q.changes, q.renew = nil, false
}

func (q *modelRequest) doubleOrRenew() {
	first := q.session.renewed
	own := q.applied(nil)
	switch {
	case q.session.live:
		old, untouched := q.session, slices.Clone(q.session.values)
		for _, change := range q.changes {
			untouched = slices.DeleteFunc(untouched, func(v modelValue) bool { return change.key == "" || v.key == change.key })
		}
		q.begin(q.applied(old.values))
		old.live, old.renewed = false, &modelMarker{q.session, untouched}
	case first != nil && first.to.live:
		q.begin(q.applied(first.values))
	case first != nil && first.to.renewed != nil:
		q.fail()
	case len(own) > 0:
		q.begin(own)
	default:
		q.end()
	}
}

func (q *modelRequest) begin(values modelValues) {
	q.session = &modelSession{live: true, values: values}
	q.base, q.produced, q.cookie = slices.Clone(values), q.session, "set"
}

func (q *modelRequest) end() {
	q.ended, q.session, q.base, q.changes, q.renew = true, nil, nil, nil, false
}

func (q *modelRequest) fail() {
	q.end()
	q.ended, q.failed, q.refused = false, true, !q.sent
}
