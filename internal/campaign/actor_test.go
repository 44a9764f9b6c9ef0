package campaign

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime/debug"
	"time"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/token"
)

// An action is one thing that a handler or an operator does.
type action uint8

func (a action) String() string {
	return [...]string{"write", "sync", "flush", "sign in", "renew", "destroy", "end others",
		"set large", "read large", "delete large", "end all", "change credential", "end one"}[a]
}

const (
	writing action = iota
	syncing
	flushing
	signingIn
	renewing
	destroying
	endingOthers
	storingLarge
	readingLarge
	deletingLarge

	endingAll
	changingCredential
	endingOne
)

// serial is the key of the number of a sign-in, and entries that of the numbers of writes.
const (
	serial  = session.Key[int]("serial")
	entries = session.Key[[]int]("entries")
)

// An actor is a request on a node of its own, or an operator, one call of the store after the other.
type actor struct {
	world   *world
	number  int
	manager *session.Manager
	actions []action
	user    string
	cookie  string // the token, "" for none
	stamped bool   // its sign-ins have a stamp

	turn        chan struct{}
	calls       int
	crashAt     int // the call before which it stops for good; 0: none
	failAt      int // the call that fails
	failsBefore bool
	faulty      bool // a call has failed
	resting     bool // it is in no call of a Manager
	done        bool

	session *session.Session
	err     error // of the save for the response
	flushed bool  // the headers have left, so that nobody is told of a later failure
	fresh   map[string]bool
	round
}

// A round is what the actor has done since its last save, and what it knew when it began.
type round struct {
	parent  string // the ID before
	late    bool   // parent was renewed by another request before it was loaded
	writes  []int
	larges  []int    // large values, which later ones replace
	stored  []string // IDs that are not of this actor's making
	ended   []string // such IDs too
	destroy bool
	others  bool
	begun   map[int]bool // sign-ins that counted when the save began
}

// run acts, and reports every stop to the schedule.
func (a *actor) run(arrived chan<- *actor) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(crashed); !ok {
				a.world.broken("no panic", "%v\n%s", r, debug.Stack())
			}
			a.world.count("crash")
		}
		a.done = true
		arrived <- a
	}()
	if a.actions[0] < endingAll {
		a.request()
		return
	}
	a.operate(a.actions[0])
}

// yield lets others go on first.
func (a *actor) yield() {
	a.world.arrived <- a
	<-a.turn
}

// rest is yield where time may pass.
func (a *actor) rest() {
	a.resting = true
	a.yield()
	a.resting = false
}

func (a *actor) request() {
	r := httptest.NewRequest("GET", "https://example.com/", nil)
	if a.cookie != "" {
		r.AddCookie(&http.Cookie{Name: "__Host-session", Value: a.cookie})
	}
	w := httptest.NewRecorder()
	a.manager.Handler(http.HandlerFunc(a.serve)).ServeHTTP(w, r)
	if a.session != nil && !a.flushed {
		a.saved(a.err)
	}
	a.handOut(w.Header())
}

func (a *actor) serve(w http.ResponseWriter, r *http.Request) {
	s, err := session.Load(r.Context())
	if err != nil {
		if errors.Is(err, session.ErrRenewed) {
			a.world.count("load of a user's renewed session")
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	a.session = s
	a.world.note(a, "loaded %s, does %v", s.ID(), a.actions)
	if ref, ok := token.Parse(a.cookie, time.Now()); ok && s.ID() == "" && a.world.renewedTo(ref.ID) != "" {
		a.late, a.parent = true, ref.ID
		a.world.count("late load")
		if s.User() != "" || string(s.JSON()) != "{}" {
			a.world.broken("N4", "a late load shows %s of %q", s.JSON(), s.User())
		}
	}
	for _, do := range a.actions {
		a.rest()
		a.do(do, w, r)
	}
	a.begin()
}

func (a *actor) do(do action, w http.ResponseWriter, r *http.Request) {
	s := a.session
	switch do {
	case writing:
		a.write()
	case syncing:
		a.begin()
		a.saved(s.Sync(r.Context()))
	case flushing:
		a.begin()
		w.WriteHeader(http.StatusOK)
		if !a.flushed {
			a.flushed = true
			a.saved(a.err)
			a.handOut(w.Header())
		}
	case signingIn:
		a.signIn(r.Context())
	case renewing:
		_ = s.Renew()
	case destroying:
		a.begin()
		if s.Destroy(); !a.faulty {
			a.world.forbid(a.writes)
			a.world.forbid(a.larges)
		}
		a.writes, a.larges, a.others = nil, nil, false
		a.destroy = a.destroy || a.parent != "" && s.ID() == "" && !a.late
	case endingOthers:
		a.others = s.EndOthers(session.ByUser) == nil
	case storingLarge:
		a.storeLarge()
	case readingLarge:
		a.readLarge(r.Context())
	case deletingLarge:
		a.deleteLarge()
	}
}

// write adds a number to the session, in a key of its own where the session may be renewed: a marker does not keep a key
// that the renewal has set.
func (a *actor) write() {
	s, n := a.session, a.world.element(a, a.session.User())
	var err error
	if a.renews() {
		err = s.Set(fmt.Sprint("k", n), n)
	} else {
		err = entries.Update(s, func(list []int) []int { return append(list[:len(list):len(list)], n) })
	}
	if err == nil {
		a.writes = append(a.writes, n)
	}
}

func (a *actor) renews() bool {
	for _, do := range a.actions {
		if do == signingIn || do == renewing {
			return true
		}
	}
	return false
}

// signIn reads the stamp, then the credential, and signs in.
func (a *actor) signIn(ctx context.Context) {
	in := session.SignIn{User: a.user}
	if a.stamped {
		stamp, err := a.manager.Stamp(ctx, a.user)
		if err != nil {
			return
		}
		in.Stamp = stamp
		a.rest()
	}
	credential := a.world.credential[a.user]
	a.rest()
	if err := a.session.SignIn(in); err == nil {
		a.world.own(a.user, a.writes)
		a.world.own(a.user, a.larges)
		_ = serial.Set(a.session, a.world.signIn(a.user, credential, a.stamped))
	}
}

// begin notes what a save begins with.
func (a *actor) begin() {
	if id := a.session.ID(); id != "" {
		a.parent = id
	}
	if a.others {
		a.begun = a.world.counting(a.session.User(), a.session)
	}
}

// saved judges what a save has answered.
func (a *actor) saved(err error) {
	w, id, before := a.world, a.session.ID(), a.round
	w.note(a, "saved %s after %s, with %v: %v", id, before.parent, before.writes, err)
	// A Destroy that was refused is tried again by the next save, with what was written after it.
	a.round = round{parent: before.parent, late: before.late && id == "", destroy: before.destroy && err != nil}
	switch {
	case err == nil:
		if id != before.parent && before.parent != "" && id != "" && !before.destroy {
			w.renewed(a, before.parent, id)
		}
		w.acknowledge(id, before.writes)
		if before.destroy {
			w.destroyed(before.ended)
		}
		if before.others {
			w.end("the others", before.begun)
		}
	case refusal(err) != "" && !a.faulty:
		w.count(refusal(err))
		if !before.destroy {
			w.forbid(before.writes)
			w.forbid(before.larges)
		}
		if errors.Is(err, session.ErrRenewed) && len(before.ended) > 0 && !before.others {
			w.broken("N2", "answered ErrRenewed, but %v were ended", before.ended)
		}
		if refused := refusal(err); refused != "ErrEnded" && len(before.stored) > 0 && driver.UserOf(before.parent) == "" {
			w.broken("N2", "answered %s, but %v was changed", refused, before.stored)
		}
	default:
		n, _ := serial.Get(a.session)
		w.signIns[n].unsure = true
	}
}

// refusal names the error of what is not done, and is "" for one that leaves it open.
func refusal(err error) string {
	for name, refused := range map[string]error{
		"ErrRenewed": session.ErrRenewed, "ErrEnded": session.ErrEnded, "ErrRevoked": session.ErrRevoked, "ErrLimit": session.ErrLimit,
	} {
		if errors.Is(err, refused) {
			return name
		}
	}
	return ""
}

// handOut gives the client the token that the response sets.
func (a *actor) handOut(header http.Header) {
	response := http.Response{Header: header}
	for _, cookie := range response.Cookies() {
		if ref, ok := token.Parse(cookie.Value, time.Now()); ok && cookie.MaxAge >= 0 {
			a.world.handOut(cookie.Value, ref.ID)
		}
	}
}

// operate does what is not done by a request of the session.
func (a *actor) operate(do action) {
	ctx, w := context.Background(), a.world
	a.rest()
	switch do {
	case changingCredential:
		w.credential[a.user]++
		least := w.credential[a.user]
		if err := a.endAll(ctx, session.CredentialChanged); err == nil {
			w.least[a.user] = max(w.least[a.user], least)
		}
	case endingAll:
		_ = a.endAll(ctx, session.ByOperator)
	case endingOne:
		list, err := a.manager.List(ctx, a.user)
		if err != nil || len(list) == 0 {
			return
		}
		id := list[w.random.IntN(len(list))].ID()
		begun := w.countingAt(id)
		if err := a.manager.End(ctx, a.user, id, session.ByOperator); err == nil {
			w.end("one", begun)
		}
	}
}

func (a *actor) endAll(ctx context.Context, why session.Reason) error {
	a.rest()
	begun := a.world.counting(a.user, nil)
	err := a.manager.EndAll(ctx, a.user, why)
	if err == nil {
		a.world.end("all", begun)
	}
	return err
}
