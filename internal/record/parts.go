package record

import (
	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/object"
)

// parts are the large values that a request has set, by the names of their parts, until they are saved. The zero value
// has none.
type parts map[string]*part

type part struct {
	text  []byte
	there bool // the store has it, although the save that it belongs to has failed
	sent  bool // by this save, which need not send it again after a conflict
}

func (p *parts) add(name string, text []byte) {
	if *p == nil {
		*p = make(parts)
	}
	(*p)[name] = &part{text: text}
}

func (p parts) text(name string) (text []byte, ok bool) {
	found := p[name]
	if found == nil {
		return nil, false
	}
	return found.text, true
}

// sendAgain lets the next save send all of them: what an earlier one has put there may have expired since.
func (p parts) sendAgain() {
	for _, part := range p {
		part.sent = false
	}
}

// missing returns those of the session with these members that this save has not sent.
func (p parts) missing(members object.Object) (missing []driver.Part) {
	if len(p) == 0 {
		return nil
	}
	for _, name := range largeOf(members).parts() {
		if found := p[name]; found != nil && !found.sent {
			missing = append(missing, driver.Part{Name: name, Text: found.text})
		}
	}
	return missing
}

// arrived notes that the store has them.
func (p parts) arrived(sent []driver.Part) {
	for i := range sent {
		if found := p[sent[i].Name]; found != nil {
			found.there, found.sent = true, true
		}
	}
}

// there are the names of those that the store has.
func (p parts) there() (names []string) {
	for name, found := range p {
		if found.there {
			names = append(names, name)
		}
	}
	return names
}

// drop forgets one that the store does not have.
func (p parts) drop(name string) {
	if found := p[name]; found != nil && !found.there {
		delete(p, name)
	}
}

// saved forgets those of names, which belong to what is stored.
func (p parts) saved(names []string) {
	for _, name := range names {
		delete(p, name)
	}
}
