package campaign

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/driver"
)

// larges are the names of the large values. Each has the same number as a key, so that one sees what belongs together.
var larges = []session.Large[int]{"large0", "large1"}

func numberOf(large session.Large[int]) session.Key[int] { return session.Key[int]("k" + large) }

// A largeWorld is what a world has besides for large values.
type largeWorld struct {
	requests []action                  // what they do
	faulty   bool                      // there can be faults
	faults   bool                      // there were some
	parts    map[string][]string       // the names of those that an ID ever had
	named    map[string]map[string]int // by the last session of an ID
}

func newLargeWorld() largeWorld {
	return largeWorld{parts: map[string][]string{}, named: map[string]map[string]int{}}
}

// storeLarge sets a large value.
func (a *actor) storeLarge() {
	s, n := a.session, a.world.element(a, a.session.User())
	large := larges[a.world.random.IntN(len(larges))]
	if large.Set(s, n) == nil && numberOf(large).Set(s, n) == nil {
		a.world.count("large value set")
		a.larges = append(a.larges, n)
	}
}

func (a *actor) deleteLarge() {
	large := larges[a.world.random.IntN(len(larges))]
	large.Delete(a.session)
	numberOf(large).Delete(a.session)
}

// readLarge reads a large value, and judges whether it belongs to what else the session has.
func (a *actor) readLarge(ctx context.Context) {
	large := larges[a.world.random.IntN(len(larges))]
	n, err := large.Get(ctx, a.session)
	number, ok := numberOf(large).Get(a.session)
	a.world.note(a, "reads %d, %v with %d, %v", n, err, number, ok)
	switch {
	case err == nil && (!ok || n != number):
		a.world.broken("L1", "a reader gets %d with %d, %v", n, number, ok)
	case err == nil:
		a.world.count("large value read")
	case errors.Is(err, session.ErrNoKey) && ok:
		a.world.broken("L1", "a reader gets nothing with %d", number)
	case refusal(err) != "":
		a.saved(err) // which has dropped what was changed
	case errors.Is(err, session.ErrNoKey), a.faulty:
	default:
		a.world.broken("L2", "a reader gets %v", err)
	}
}

// A reference is what the value of a session knows of a large one.
type reference struct{ Rev string }

// partsNamed returns the names of the parts that members name, and the numbers that these must have. A number without a
// large value names a part that there is not.
func partsNamed(members map[string]json.RawMessage) map[string]int {
	var references map[string]reference
	_ = json.Unmarshal(members["_large"], &references)
	named := make(map[string]int)
	for name, r := range references {
		number, err := strconv.Atoi(string(members["k"+name]))
		if err != nil {
			number = -1
		}
		named[name+":"+r.Rev] = number
	}
	for _, large := range larges {
		if _, ok := references[string(large)]; !ok && members["k"+string(large)] != nil {
			named[string(large)] = 0
		}
	}
	return named
}

// knowParts makes parts those that are looked at.
func (w *world) knowParts(id string, parts []driver.Part) {
	for _, name := range names(parts) {
		if !slices.Contains(w.parts[id], name) {
			w.parts[id] = append(w.parts[id], name)
		}
	}
}

// judgeParts judges the parts of an ID after a call.
func (w *world) judgeParts(id string, s *sight) {
	if s.live {
		w.named[id] = s.named
	}
	if s.hasty && s.live {
		w.broken("L2", "the parts of %s end before it: %s", id, s.text)
	}
	if !(s.live && w.handed[id] || s.renewedTo() != "") {
		return
	}
	for name, number := range s.named {
		switch text, ok := s.parts[name]; {
		case !ok:
			w.broken("L2", "%s has no part %s: %s", id, name, s.text)
		case text != fmt.Sprint(number):
			w.broken("L1", "%s has %s for %s: %s", id, text, name, s.text)
		}
	}
}

// atRest judges what is left when all actors have ended, if nothing went wrong.
func (w *world) atRest() {
	if w.faults {
		return
	}
	w.count("end without a fault")
	for id, s := range w.sights {
		named := s.named
		switch {
		case s.live:
		case s.to != "" && driver.UserOf(id) == "": // until the marker is over
			named = w.named[id]
		default:
			named = nil
		}
		for name := range s.parts {
			if _, ok := named[name]; !ok {
				w.broken("L3", "%s is left with %s: %s", name, id, s.text)
			}
		}
	}
}
