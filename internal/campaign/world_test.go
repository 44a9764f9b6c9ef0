package campaign

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/token"
)

// A sight is what the world has last seen under an ID.
type sight struct {
	found
	live     bool   // a session that counts
	lived    bool   // it was one
	to       string // the ID that a marker names
	until    int64
	serial   int
	elements map[int]bool   // of a session or a marker
	twice    bool           // an element is there twice
	named    map[string]int // the numbers of the parts
}

func (s *sight) renewedTo() string {
	if s == nil || s.to == "" || s.until <= time.Now().UnixMilli() {
		return ""
	}
	return s.to
}

// look is what a found value is. It keeps what it has understood of the same text.
func look(f found, before *sight) *sight {
	if before != nil && before.text == f.text {
		s := *before
		s.found = f
		s.live = s.elements != nil && s.to == "" && f.listed
		return &s
	}
	s := &sight{found: f}
	var members map[string]json.RawMessage
	if json.Unmarshal([]byte(f.text), &members) != nil || members["_ended"] != nil {
		return s
	}
	if raw := members["_renewed"]; raw != nil {
		var marker struct {
			Until  int64
			To     string
			Values map[string]json.RawMessage
		}
		_ = json.Unmarshal(raw, &marker)
		s.to, s.until, members = marker.To, marker.Until, marker.Values
	}
	s.elements, s.named = make(map[int]bool), partsNamed(members)
	for key, raw := range members {
		var list []int
		switch {
		case key == "serial":
			_ = json.Unmarshal(raw, &s.serial)
		case key == "entries":
			_ = json.Unmarshal(raw, &list)
		case strings.HasPrefix(key, "k"):
			list = make([]int, 1)
			_ = json.Unmarshal(raw, &list[0])
		}
		for _, e := range list {
			s.twice = s.twice || s.elements[e]
			s.elements[e] = true
		}
	}
	s.live = s.to == "" && f.listed
	return s
}

// A signedIn is a sign-in that was tried.
type signedIn struct {
	user       string
	credential int // which was checked
	stamped    bool
	unsure     bool // it was tried again after an unknown outcome, so that there may be two sessions of it
}

// An element is a number that was written.
type element struct {
	writer *actor
	user   string // whose it is, "" for nobody's
}

// A loss is a session that was destroyed or ended, and who had its elements by then.
type loss struct {
	id       string
	elements map[int]bool
	holders  map[string]bool
}

// A world is a store with all that was done to it, and what must therefore hold.
type world struct {
	seed    uint64
	random  *rand.Rand
	view    func(ids []string) []found
	arrived chan *actor
	limit   int
	counts  map[string]int
	failure string
	notes   []string // for a schedule that is repeated

	ids        []string
	sights     map[string]*sight
	tokens     []string // that clients have
	handed     map[string]bool
	acked      map[string]map[int]bool // what the session of an ID must have
	elements   []element               // by their numbers
	forbidden  map[int]bool
	signIns    []signedIn
	over       map[int]string  // sign-ins that were ended, and how
	removed    map[string]bool // IDs
	losses     []loss
	markers    map[string]string // what the marker of an ID has named, also if it is over
	credential map[string]int
	least      map[string]int // the credential that sign-ins with a stamp must have
	largeWorld
}

func newWorld(seed uint64, view func(ids []string) []found, counts map[string]int) *world {
	return &world{
		seed: seed, random: rand.New(rand.NewPCG(seed, 0)), view: view, arrived: make(chan *actor), counts: counts,
		sights: map[string]*sight{}, handed: map[string]bool{}, acked: map[string]map[int]bool{}, elements: []element{{}}, forbidden: map[int]bool{},
		signIns: []signedIn{{}}, over: map[int]string{}, removed: map[string]bool{}, markers: map[string]string{}, credential: map[string]int{}, least: map[string]int{},
		largeWorld: newLargeWorld(),
	}
}

func (w *world) note(a *actor, format string, args ...any) {
	if os.Getenv("SESSION_SEED") != "" {
		w.notes = append(w.notes, fmt.Sprintf("actor %d: "+format, append([]any{a.number}, args...)...))
	}
}

func (w *world) count(what string) { w.counts[what]++ }

// broken notes the first property that does not hold.
func (w *world) broken(property, format string, args ...any) {
	if w.failure == "" {
		w.failure = strings.Join(append(w.notes, property+": "+fmt.Sprintf(format, args...)), "\n")
	}
}

// know makes an ID one that is looked at.
func (w *world) know(id string) {
	if w.sights[id] == nil {
		w.sights[id] = &sight{}
		w.ids = append(w.ids, id)
	}
}

// element is a new number for a write.
func (w *world) element(a *actor, user string) int {
	w.elements = append(w.elements, element{a, user})
	return len(w.elements) - 1
}

// own makes elements those of user.
func (w *world) own(user string, elements []int) {
	for _, e := range elements {
		w.elements[e].user = user
	}
}

func (w *world) signIn(user string, credential int, stamped bool) int {
	w.signIns = append(w.signIns, signedIn{user: user, credential: credential, stamped: stamped})
	return len(w.signIns) - 1
}

func (w *world) renewedTo(id string) string { return w.sights[id].renewedTo() }

// counting are the sign-ins of a user that count, but that of a session.
func (w *world) counting(user string, but *session.Session) map[int]bool {
	w.look()
	serials := map[int]bool{}
	for id, s := range w.sights {
		if s.live && driver.UserOf(id) == token.Tag(user) {
			serials[s.serial] = true
		}
	}
	if but != nil {
		own, _ := serial.Get(but)
		delete(serials, own)
		if s := w.sights[but.ID()]; s != nil {
			delete(serials, s.serial)
		}
	}
	return serials
}

// countingAt is the sign-in of an ID, if it counts.
func (w *world) countingAt(id string) map[int]bool {
	w.look()
	if s := w.sights[id]; s != nil && s.live {
		return map[int]bool{s.serial: true}
	}
	return nil
}

// end says that sign-ins were ended, which was acknowledged.
func (w *world) end(how string, serials map[int]bool) {
	w.count("end of " + how)
	for serial := range serials {
		w.over[serial] = how
	}
}

// remove says that IDs are not in the list any more.
func (w *world) remove(ids []string) {
	for _, id := range ids {
		w.removed[id] = true
		w.lost(id)
	}
}

// lost says that the session of an ID is no more. What was last seen is what it had.
func (w *world) lost(id string) {
	s := w.sights[id]
	if s == nil || !s.live {
		return
	}
	holders := map[string]bool{}
	for other, seen := range w.sights {
		for e := range s.elements {
			if other != id && seen.to == "" && seen.elements[e] {
				holders[other] = true
			}
		}
	}
	w.losses = append(w.losses, loss{id, s.elements, holders})
}

// destroyed says that a Destroy was acknowledged.
func (w *world) destroyed(ids []string) {
	w.count("destroy")
	w.look()
	for _, id := range ids {
		if to := w.markers[id]; to != "" && w.sights[to].live {
			w.broken("N3", "%s was destroyed, but had been renewed to %s", id, to)
		}
	}
}

func (w *world) forbid(elements []int) {
	for _, e := range elements {
		w.forbidden[e] = true
	}
}

// acknowledge says that elements are in the session of an ID, or of the one that it was renewed to.
func (w *world) acknowledge(id string, elements []int) {
	for hops := 0; id != "" && hops < 9; hops++ {
		if w.acked[id] == nil {
			w.acked[id] = map[int]bool{}
		}
		for _, e := range elements {
			w.acked[id][e] = true
		}
		to := w.renewedTo(id)
		if user := driver.UserOf(id); user != "" && user != driver.UserOf(to) {
			return
		}
		id = to
	}
}

// renewed says that a session was renewed, and judges what became of its elements.
func (w *world) renewed(a *actor, from, to string) {
	w.look()
	old, fresh := w.sights[from], w.sights[to]
	for _, loss := range w.losses {
		if loss.id != from && (loss.holders[from] || loss.holders[w.markers[from]]) {
			loss.holders[to] = true
		}
		for e := range fresh.elements {
			back := loss.elements[e] && w.elements[e].writer != a
			if back && fresh.live && (loss.id == from || !loss.holders[to]) {
				w.broken("N3", "element %d of %s, which is no more, is back in %s", e, loss.id, to)
			}
		}
	}
	first, user := old.renewedTo(), driver.UserOf(from)
	switch {
	case first == "" || user != "" && user != driver.UserOf(to):
		return
	case first == to:
		w.count("renewal")
	case driver.UserOf(first) != "" && driver.UserOf(first) != driver.UserOf(to):
		w.count("second renewal of another user")
		for e := range fresh.elements {
			if w.elements[e].writer != a {
				w.broken("N4", "%s has element %d of the visitor, who is another user by now", to, e)
			}
		}
		return
	case !w.sights[first].live:
		w.count("second renewal with nothing")
		return
	default:
		w.count("second renewal")
		for e := range fresh.elements {
			if w.elements[e].writer != a && !old.elements[e] {
				w.broken("N4", "%s has element %d, which the visitor had not", to, e)
			}
		}
	}
	if w.acked[to] == nil {
		w.acked[to] = map[int]bool{}
	}
	maps.Copy(w.acked[to], w.acked[from])
}

// handOut says that a client has a token.
func (w *world) handOut(text, id string) {
	if !w.handed[id] {
		w.handed[id] = true
		w.tokens = append(w.tokens, text)
	}
}

// look sees what is stored, and whether all holds that must.
func (w *world) look() {
	for i, f := range w.view(w.ids) {
		id := w.ids[i]
		before := w.sights[id]
		w.sights[id] = look(f, before)
		w.sights[id].lived = before.lived || w.sights[id].live
		if to := w.sights[id].to; to != "" {
			w.markers[id] = to
		}
	}
	usable := map[string]int{}
	for id, s := range w.sights {
		w.judge(id, s)
		w.judgeParts(id, s)
		if user := driver.UserOf(id); user != "" && s.live && w.handed[id] {
			usable[user]++
		}
	}
	for user, n := range usable {
		if w.limit > 0 && n > w.limit {
			w.broken("U3", "%d sessions of %s, at most %d", n, user, w.limit)
		}
	}
}

func (w *world) judge(id string, s *sight) {
	user := driver.UserOf(id)
	for e := range s.elements {
		switch owner := w.elements[e].user; {
		case w.forbidden[e] && (s.live || s.to != ""):
			w.broken("N2", "element %d of a refused request is in %s", e, id)
		case owner != "" && token.Tag(owner) != user:
			w.broken("N4", "element %d of %s is in %s", e, owner, id)
		}
	}
	if s.twice {
		w.broken("N2", "%s counts an element twice: %s", id, s.text)
	}
	if s.lived && s.elements != nil && s.to == "" && !s.listed && !w.removed[id] {
		w.broken("N6", "%s is not in the list, and nobody has ended it", id)
	}
	if !s.live {
		return
	}
	for e := range w.acked[id] {
		if !s.elements[e] {
			w.broken("N1", "element %d is not in %s: %s", e, id, s.text)
		}
	}
	for _, loss := range w.losses {
		if loss.id == id {
			w.broken("N3", "%s is back: %s", id, s.text)
		}
	}
	if user == "" {
		return
	}
	in := w.signIns[s.serial]
	switch {
	case w.removed[id]:
		w.broken("U1", "%s was removed and counts", id)
	case w.over[s.serial] != "" && !in.unsure:
		w.broken("U1", "sign-in %d, ended with %s, counts as %s", s.serial, w.over[s.serial], id)
	case in.stamped && in.credential < w.least[in.user]:
		w.broken("U2", "sign-in %d has credential %d of %s, at least %d is needed", s.serial, in.credential, in.user, w.least[in.user])
	}
}
