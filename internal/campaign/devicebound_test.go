package campaign

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/internal/testkit"
	"github.com/sessionkv/session/memstore"
)

// A flaky store fails while it is told to, before it does what it is asked for, or after.
type flaky struct {
	*memstore.Store
	mu     sync.Mutex
	random *rand.Rand
	fails  bool
}

var errFlaky = errors.New("the store fails")

// fate tells whether a call fails before it is made, and whether after.
func (f *flaky) fate() (before, after bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.random.IntN(6)
	return f.fails && n < 2, f.fails && n == 2
}

func (f *flaky) set(fails bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fails = fails
}

func (f *flaky) Load(ctx context.Context, id string, ttl time.Duration) ([]byte, error) {
	before, after := f.fate()
	if before {
		return nil, errFlaky
	}
	value, err := f.Store.Load(ctx, id, ttl)
	if after {
		return nil, errFlaky
	}
	return value, err
}

func (f *flaky) Peek(ctx context.Context, id string) ([]byte, time.Duration, error) {
	if before, after := f.fate(); before || after {
		return nil, 0, errFlaky
	}
	return f.Store.Peek(ctx, id)
}

func (f *flaky) Save(ctx context.Context, id string, was, value []byte, ttl time.Duration) ([]byte, error) {
	before, after := f.fate()
	if before {
		return nil, errFlaky
	}
	current, err := f.Store.Save(ctx, id, was, value, ttl)
	if after {
		return nil, errFlaky
	}
	return current, err
}

// grace is how long a session that is bound can still be used without a proof, for requests that were under way.
const grace = time.Minute

// An owner has a browser, and may be signed in with it.
type owner struct {
	*browser
	name  string
	in    bool      // signed in
	bound time.Time // when a request was first proved; zero: none was
}

// A boundWorld is owners, thieves and a store that fails at times.
type boundWorld struct {
	*testing.T
	random  *rand.Rand
	forged  string // the cookie that proves another session
	store   *flaky
	manager *session.Manager
	owners  []*owner
	mu      sync.Mutex
	fresh   int // refreshes that gave a cookie
	proofs  int // visits that were proved
	thieves int // who came late
}

// TestBoundSessionsInAnyOrder lets owners sign in, visit, renew and sign out, each with a browser that binds its
// sessions, while thieves who have copied their tokens try to use them, and the store fails at times. A bound session is
// never used without its proof, no owner is signed out by a failure, and after a renewal no old key counts.
//
// SESSION_SEED repeats one order.
func TestBoundSessionsInAnyOrder(t *testing.T) {
	t.Parallel()
	seeds := []uint64{rand.Uint64(), rand.Uint64(), rand.Uint64(), rand.Uint64(), rand.Uint64(), rand.Uint64()}
	if fixed, err := strconv.ParseUint(os.Getenv("SESSION_SEED"), 10, 64); err == nil {
		seeds = []uint64{fixed}
	}
	var fresh, proofs, thieves int
	for _, seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newBoundWorld(t, seed)
				for range 800 {
					w.step()
				}
				fresh, proofs, thieves = fresh+w.fresh, proofs+w.proofs, thieves+w.thieves
			})
		})
	}
	if fresh == 0 || proofs == 0 || thieves == 0 {
		t.Errorf("%d refreshes, %d proofs, %d thieves: too few to tell anything", fresh, proofs, thieves)
	}
}

func newBoundWorld(t *testing.T, seed uint64) *boundWorld {
	random := rand.New(rand.NewPCG(seed, 0))
	w := &boundWorld{T: t, random: random, store: &flaky{Store: new(memstore.Store), random: rand.New(rand.NewPCG(seed, 1))}}
	w.manager = testkit.NewManager(t, session.Config{
		Store: w.store, DeviceBound: devicePath, IdleTimeout: 1000 * time.Hour, Lifetime: 5000 * time.Hour,
		Logger: new(testkit.Logs).Logger(), Observe: w.observe,
	})
	for i := range 3 {
		o := &owner{browser: newBrowser(t, w.manager.HandlerFunc(w.serve)), name: fmt.Sprint("owner", i)}
		o.loses = func() bool { before, after := w.store.fate(); return before || after }
		w.owners = append(w.owners, o)
	}
	d := testkit.NewSecureDevice(t, w.manager, devicePath)
	d.SignInBound("mallory")
	w.forged = d.Bound[0].Value
	return w
}

func (w *boundWorld) observe(_ context.Context, e session.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e.Kind == session.EventRefresh && e.Outcome == session.OutcomeOK {
		w.fresh++
	}
}

// serve says who is signed in, and whether the device has proved itself, in headers.
func (w *boundWorld) serve(rw http.ResponseWriter, r *http.Request, s *session.Session) {
	var err error
	rw.Header().Set("Id", s.ID())
	rw.Header().Set("Who", s.User())
	rw.Header().Set("Proved", strconv.FormatBool(s.DeviceBound()))
	switch r.URL.Path {
	case "/sign-in":
		s.AllowCrossSite()
		err = s.SignIn(session.SignIn{User: r.URL.Query().Get("name")})
	case "/renew":
		err = s.Renew()
	case "/sign-out":
		s.Destroy()
	case "/write":
		err = visits.Update(s, func(n int) int { return n + 1 })
	}
	if err != nil {
		w.Errorf("%s: %v", r.URL.Path, err)
	}
}

func (w *boundWorld) step() {
	o := w.owners[w.random.IntN(len(w.owners))]
	w.store.set(false)
	switch n := w.random.IntN(20); {
	case n < 3:
		time.Sleep(time.Duration(w.random.Int64N(int64(15 * time.Minute))))
	case n < 6:
		w.store.set(w.random.IntN(2) == 0)
		o.register()
	case n == 6 && (!o.in || w.random.IntN(3) == 0):
		w.signIn(o)
	case n == 7 && o.in:
		w.renew(o)
	case n == 8 && w.random.IntN(4) == 0:
		if w.check(o, o.do(visit{method: "POST", path: "/sign-out"}), o.in) {
			o.in, o.bound = false, time.Time{}
		}
	case n == 9:
		w.parallel(o)
	case n < 14:
		w.steal(o)
	default:
		w.store.set(w.random.IntN(3) == 0)
		w.visit(o)
	}
}

func (w *boundWorld) signIn(o *owner) {
	v := []visit{{"POST", "/sign-in", false}, {"POST", "/sign-in", true}, {"GET", "/sign-in", true}}[w.random.IntN(3)]
	v.path += "?name=" + o.name
	if response := o.do(v); response.StatusCode == http.StatusOK {
		o.in, o.bound = true, time.Time{}
	}
}

// renew checks that what has proved the session before does not prove it any more.
func (w *boundWorld) renew(o *owner) {
	old, before := o.credentials(), o.value(testkit.CookieName)
	if !w.check(o, o.do(visit{method: "POST", path: "/renew"}), true) {
		return
	}
	o.bound = time.Time{}
	if o.value(testkit.CookieName) == before {
		w.Errorf("Renew has left the token")
	}
	other := newBrowser(w, o.server)
	other.jar[testkit.CookieName] = crumb{value: o.value(testkit.CookieName)}
	id := other.do(visit{method: "GET", path: "/"}).Header.Get("Id")
	for _, c := range old {
		claim := &credential{id: id, key: c.key, cookie: boundPrefix + id[21:29], turn: make(chan struct{}, 1)}
		other.jar[claim.cookie] = crumb{value: o.value(c.cookie)}
		if other.do(visit{method: "GET", path: "/"}).Header.Get("Proved") == "true" {
			w.Errorf("the old cookie proves the session that was renewed")
		}
		other.dropProofs()
		if other.refresh(claim) != "" || other.value(claim.cookie) != "" {
			w.Errorf("the old key gets a cookie")
		}
	}
}

// visit makes a request of some kind.
func (w *boundWorld) visit(o *owner) {
	v := []visit{{"GET", "/", false}, {"GET", "/", true}, {"POST", "/write", false}, {"POST", "/", true}}[w.random.IntN(4)]
	if v.path == "/write" && !o.in {
		v.path = "/"
	}
	response := o.do(v)
	if v.bringsLax() {
		w.check(o, response, o.in)
	}
}

// check compares who a response is for with who has to be signed in. It is false if the request has failed, which is no
// sign-out.
func (w *boundWorld) check(o *owner, response *http.Response, in bool) bool {
	if response.StatusCode == http.StatusServiceUnavailable {
		return false
	}
	who, proved := response.Header.Get("Who"), response.Header.Get("Proved") == "true"
	if response.StatusCode != http.StatusOK || in != (who == o.name) {
		w.Errorf("status %d, %s is signed in: %v, and the request sees %q; devices %d, ended by %v", response.StatusCode, o.name, in, who, len(o.devices), o.ended)
	}
	if proved {
		w.proofs++
		if o.bound.IsZero() && !w.store.fails { // else it may not have been noted
			o.bound = time.Now()
		}
	}
	return true
}

// parallel makes requests at once, for which a browser refreshes once.
func (w *boundWorld) parallel(o *owner) {
	if w.random.IntN(2) == 0 {
		o.dropProofs()
	}
	before, devices := w.fresh, len(o.credentials())
	responses := make([]*http.Response, 5)
	var all sync.WaitGroup
	for i := range responses {
		all.Go(func() { responses[i] = o.do(visit{method: "GET", path: "/"}) })
	}
	all.Wait()
	for _, response := range responses {
		w.check(o, response, o.in)
	}
	if got := w.fresh - before; got > devices {
		w.Errorf("%d refreshes of %d keys for five requests", got, devices)
	}
}

// steal uses the token of an owner without the proof, in the ways that a thief has.
func (w *boundWorld) steal(o *owner) {
	token := o.value(testkit.CookieName)
	if token == "" {
		return
	}
	thief := newBrowser(w, o.server)
	thief.jar[testkit.CookieName] = crumb{value: token}
	for _, c := range o.credentials() { // a proof of another session, under every name
		thief.jar[c.cookie] = crumb{value: w.forged}
	}
	response := thief.do(visit{method: "GET", path: "/"})
	if thief.register(); len(thief.devices) > 0 {
		w.Errorf("a thief has registered a key")
	}
	if o.bound.IsZero() || time.Since(o.bound) <= grace {
		return
	}
	w.thieves++
	if who := response.Header.Get("Who"); who != "" || response.StatusCode != http.StatusOK {
		w.Errorf("a thief is signed in as %q, with status %d", who, response.StatusCode)
	}
}
