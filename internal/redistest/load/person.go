package load

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/sessionkv/session"
)

// A state is what the holder of a token was told last.
type state uint8

const (
	visitor state = iota // nothing, for there is no token yet
	in                   // signed in
	over                 // ended, or renewed
	doubt                // an operation failed, or what was told has turned out wrong and is counted
)

// A token leads to a session.
type token struct {
	cookie *http.Cookie
	id     string
	state  state
	at     time.Time // when that was told
}

func (t *token) set(s state) {
	if t.state != over { // what was over is not over anew
		t.state, t.at = s, time.Now()
	}
}

// A person is a user with a few devices. The operations come one after the other, except those that are to meet.
type person struct {
	*users
	name    string
	devices [devices]*token // the last of each
	tokens  []*token        // all that there were
}

func newPerson(l *users, name string) *person {
	p := &person{users: l, name: name}
	for i := range p.devices {
		p.devices[i] = new(token)
	}
	return p
}

func (p *person) live() {
	for ; !p.ended.Load(); time.Sleep(usersPace) {
		i := rand.IntN(devices)
		if p.devices[i].state != in {
			p.devices[i] = new(token)
			p.signIn(i)
			continue
		}
		switch n := rand.IntN(20); {
		case n < 6:
			p.look(p.devices[i])
		case n < 9:
			p.lookAtEnded()
		case n < 13:
			p.renew(i)
		case n < 15:
			p.signIn(i)
		case n < 16:
			p.destroy(i)
		case n < 17:
			p.list()
		case n < 19:
			p.endOthers(i, n == 18)
		default:
			p.endAll(i)
		}
	}
}

// look makes a request that only looks.
func (p *person) look(t *token) { p.judge(t, p.ask(t, look)) }

// judge compares an answer with what the holder of the token was told before.
func (p *person) judge(t *token, a answer) {
	switch {
	case a.user != "" && a.user != p.name:
		p.t.Errorf("%s has the session of %s", p.name, a.user)
	case failed(a.err):
	case t.state == in && (a.err != nil || a.user == ""):
		p.signedOut(t)
	case t.state == over && a.user != "":
		p.escaped(t)
	}
}

func (p *person) signedOut(t *token) {
	p.lose(&p.result.SignedOut, "a session is gone", t.at)
	t.state = doubt
}

func (p *person) escaped(t *token) {
	p.lose(&p.result.Escaped, "a session that was ended is used", t.at)
	t.state = doubt
}

// lookAtEnded looks with one of the tokens that are over.
func (p *person) lookAtEnded() {
	ended := slices.DeleteFunc(slices.Clone(p.tokens), func(t *token) bool { return t.state != over })
	if len(ended) > 0 {
		p.look(ended[rand.IntN(len(ended))])
	}
}

// lookAtAll looks with every token there was.
func (p *person) lookAtAll() {
	for _, t := range p.tokens {
		p.look(t)
	}
	p.list()
}

// keep keeps the token that an answer brought, if it did.
func (p *person) keep(a answer, s state) {
	if a.fresh != nil {
		a.fresh.set(s)
		p.tokens = append(p.tokens, a.fresh)
	}
}

// replace makes of an answer that should bring another token the token of a device.
func (p *person) replace(i int, a answer, acknowledged *int) {
	t := p.devices[i]
	p.judge(t, a)
	switch {
	case failed(a.err):
		t.set(doubt)
		p.keep(a, doubt)
	case a.err == nil && a.fresh != nil:
		if t.state == in {
			t.set(over)
		}
		p.keep(a, in)
		p.devices[i] = a.fresh
		p.count(acknowledged)
	case t.state != doubt:
		p.signedOut(t)
	}
}

// renew renews a session while other requests of the device load it. For these the session may be renewed, but never
// gone.
func (p *person) renew(i int) {
	var twins [2]answer
	var group sync.WaitGroup
	for twin := range twins {
		group.Go(func() { twins[twin] = p.ask(p.devices[i], look) })
	}
	a := p.ask(p.devices[i], renew)
	group.Wait()
	for _, twin := range twins {
		if twin.err == nil && !failed(a.err) {
			p.judge(p.devices[i], twin)
		}
	}
	p.replace(i, a, &p.result.Renewals)
}

// signIn signs a device in, which may be signed in already. Nobody ends the user's sessions meanwhile. Therefore the
// stamp holds.
func (p *person) signIn(i int) {
	stamp, ok := p.stamp()
	if !ok {
		return
	}
	if p.devices[i].state == visitor {
		p.devices[i].at = time.Now()
	}
	p.replace(i, p.ask(p.devices[i], p.signInBy(stamp)), &p.result.SignIns)
}

func (p *person) stamp() (stamp session.Stamp, ok bool) {
	begin := time.Now()
	stamp, err := p.manager.Stamp(p.t.Context(), p.name)
	p.noteAnswer(begin, err)
	return stamp, err == nil
}

func (p *person) signInBy(stamp session.Stamp) func(s *session.Session) error {
	return func(s *session.Session) error { return s.SignIn(session.SignIn{User: p.name, Stamp: stamp}) }
}

func (p *person) destroy(i int) {
	t := p.devices[i]
	a := p.ask(t, func(s *session.Session) error { s.Destroy(); return nil })
	p.judge(t, a)
	switch {
	case failed(a.err):
		t.set(doubt)
	case t.state == in:
		t.set(over)
		p.count(&p.result.Ends)
	}
}

// endOthers ends the other sessions, of which one is renewed meanwhile.
func (p *person) endOthers(i int, renewing bool) {
	t, other := p.devices[i], p.devices[(i+1)%devices]
	var met answer
	var group sync.WaitGroup
	if other.state == in {
		group.Go(func() { met = p.ask(other, renew) })
	}
	a := p.ask(t, func(s *session.Session) error {
		if s.User() == "" {
			return session.ErrEnded
		}
		if err := s.EndOthers(session.ByUser); err != nil || !renewing {
			return err
		}
		return s.Renew()
	})
	group.Wait()
	p.keep(met, doubt)
	told := over
	if a.err != nil {
		told = doubt
	}
	for _, token := range p.tokens {
		if token != t {
			token.set(told)
		}
	}
	if renewing {
		p.replace(i, a, &p.result.Ends)
		return
	}
	p.judge(t, a)
	if a.err != nil {
		t.set(doubt)
		return
	}
	p.count(&p.result.Ends)
}

// endAll ends all sessions while one is renewed, and another device signs in by a stamp from before.
func (p *person) endAll(i int) {
	stamp, ok := p.stamp()
	if !ok {
		return
	}
	var renewed, signedIn answer
	var group sync.WaitGroup
	group.Go(func() { renewed = p.ask(p.devices[i], renew) })
	group.Go(func() { signedIn = p.ask(new(token), p.signInBy(stamp)) })
	begin := time.Now()
	err := p.manager.EndAll(p.t.Context(), p.name, session.ByOperator)
	p.noteAnswer(begin, err)
	group.Wait()
	p.keep(renewed, doubt)
	p.keep(signedIn, doubt)
	told := over
	if err != nil {
		told = doubt
	} else {
		p.count(&p.result.Ends)
	}
	for _, token := range p.tokens {
		token.set(told)
	}
}

// list compares the list of the user's sessions with the tokens.
func (p *person) list() {
	begin := time.Now()
	list, err := p.manager.List(p.t.Context(), p.name)
	p.noteAnswer(begin, err)
	if err != nil {
		return
	}
	listed := map[string]bool{}
	for _, s := range list {
		listed[s.ID()] = true
	}
	for _, t := range p.tokens {
		switch {
		case t.state == in && !listed[t.id]:
			p.signedOut(t)
		case t.state == over && listed[t.id]:
			p.escaped(t)
		}
	}
}
