package campaign

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	cryptorand "crypto/rand"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/sessionkv/session"
	dbsc "github.com/sessionkv/session/internal/device"
	"github.com/sessionkv/session/internal/redistest"
	"github.com/sessionkv/session/internal/testkit"
	"github.com/sessionkv/session/internal/value"
)

// TestChaosOfBoundSessions lets owners sign in, register, write, refresh, renew and sign out, each with a browser that
// binds its sessions, while thieves use what they have copied, and Redis is killed, stopped and restarted at random. Once
// a device has shown its cookie, nobody is served as its user without a proof. No failure signs an owner out, each
// acknowledged increment is counted once, and a session that was signed out stays out.
//
// SESSION_CHAOS sets how long it goes on, and SESSION_SEED repeats its faults.
func TestChaosOfBoundSessions(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	seed, duration := chaosPlan(t)
	c := newBoundChaos(t)
	c.run(duration, rand.New(rand.NewPCG(seed, 0)))
	c.check()
}

// A boundChaos is a chaos of owners and thieves.
type boundChaos struct {
	chaos
	served  []http.Handler // by each of the nodes
	thieves *thieves
	owners  []*victim

	registered, refreshed, renewed, closed atomic.Int64
}

func newBoundChaos(t *testing.T) *boundChaos {
	c := &boundChaos{chaos: chaos{t: t, redis: redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")}}
	managers := c.open(session.Config{DeviceBound: devicePath, Observe: c.observe})
	for _, manager := range managers {
		c.served = append(c.served, manager.HandlerFunc(serveBound))
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), cryptorand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	d := testkit.NewSecureDevice(t, managers[0], devicePath)
	d.SignInBound("mallory")
	c.thieves = &thieves{t: t, server: c, key: key, forged: d.Bound[0].Value}
	return c
}

func (c *boundChaos) observe(_ context.Context, e session.Event) {
	if e.Outcome != session.OutcomeOK {
		return
	}
	switch e.Kind {
	case session.EventRegister:
		c.registered.Add(1)
	case session.EventRefresh:
		c.refreshed.Add(1)
	}
}

// ServeHTTP lets one of the nodes answer.
func (c *boundChaos) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.served[rand.IntN(len(c.served))].ServeHTTP(w, r)
}

// serveBound does what the path says. Headers tell who is signed in, and whether the device has proved itself.
func serveBound(w http.ResponseWriter, r *http.Request, s *session.Session) {
	n, _ := visits.Get(s)
	w.Header().Set("Who", s.User())
	w.Header().Set("Proved", strconv.FormatBool(s.DeviceBound()))
	w.Header().Set("Visits", strconv.Itoa(n))
	if s.User() != "" && r.Method == http.MethodPost {
		time.Sleep(time.Duration(rand.IntN(40)) * time.Millisecond) // so that Redis may fail between the load and the save
	}
	var err error
	switch {
	case r.URL.Path == "/sign-in":
		err = s.SignIn(session.SignIn{User: r.URL.Query().Get("name")})
	case r.URL.Path == "/sign-out":
		s.Destroy()
	case s.User() == "":
	case r.URL.Path == "/renew":
		err = s.Renew()
	case r.URL.Path == "/write":
		err = visits.Update(s, func(n int) int { return n + 1 })
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
	}
}

func (c *boundChaos) run(duration time.Duration, random *rand.Rand) {
	var workers sync.WaitGroup
	for worker := range 6 {
		workers.Go(func() {
			for round := 0; !c.ended.Load(); round++ {
				c.round(fmt.Sprintf("owner%d-%d", worker, round), round%2 == 0)
			}
		})
	}
	c.suffer(duration, random, &workers)
	for round := range 4 { // while all is well, so that each thing happens
		c.round(fmt.Sprintf("last%d", round), round%2 == 0)
	}
}

// round signs an owner in, who uses the session and may sign out, while thieves use it too.
func (c *boundChaos) round(name string, signsOut bool) {
	o := &victim{browser: newBrowser(c.t, c), name: name, sure: true}
	o.loses = func() bool { return !c.ended.Load() && rand.IntN(10) == 0 }
	o.note(o.do(visit{"POST", "/sign-in?name=" + name, false}))
	if len(o.sessions) == 0 {
		return
	}
	var others sync.WaitGroup
	var over atomic.Bool
	for _, use := range []func(*victim){c.steal, c.copy} {
		others.Go(func() {
			for !over.Load() {
				use(o)
				time.Sleep(time.Millisecond) // else they leave nothing to the others while Redis is down
			}
		})
	}
	c.use(o)
	if signsOut && o.sure {
		c.signOut(o)
	}
	over.Store(true)
	others.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.owners = append(c.owners, o)
}

// use does all that an owner can do, in any order.
func (c *boundChaos) use(o *victim) {
	register := func(o *victim) { o.register() }
	steps := []func(*victim){register, register, c.write, c.write, c.write, c.visit, c.visit, c.refresh, c.parallel, c.renew}
	for _, i := range rand.Perm(len(steps)) {
		if o.sure {
			steps[i](o)
		}
	}
	if o.sure {
		o.register()
		c.refresh(o)
	}
}

func (c *boundChaos) visit(o *victim) {
	c.see(o, o.do(visit{"GET", "/", rand.IntN(2) == 0}))
}

// refresh visits after the cookies have run out that prove the device.
func (c *boundChaos) refresh(o *victim) {
	o.dropProofs()
	c.visit(o)
}

func (c *boundChaos) write(o *victim) {
	o.attempted.Add(1)
	if c.see(o, o.do(visit{"POST", "/write", false})) {
		o.acknowledged.Add(1)
	}
}

func (c *boundChaos) parallel(o *victim) {
	responses := make([]*http.Response, 3)
	var all sync.WaitGroup
	for i := range responses {
		all.Go(func() { responses[i] = o.do(visit{"GET", "/", false}) })
	}
	all.Wait()
	for _, response := range responses {
		c.see(o, response)
	}
}

// renew checks that what has proved the session before does not prove it any more. After a failure the session may have
// another token, which nobody has.
func (c *boundChaos) renew(o *victim) {
	old := o.latest()
	if !c.ended.Load() && rand.IntN(2) == 0 {
		return // many fail, after which the owner does nothing more
	}
	if o.sure = c.see(o, o.do(visit{"POST", "/renew", false})); !o.sure {
		return
	}
	c.renewed.Add(1)
	latest := o.latest()
	if old.proof == nil {
		return
	}
	if response := c.thieves.ask("/", nil, latest.token, proofOf(latest.id, old.proof.Value)); response.Header.Get("Proved") == "true" {
		c.t.Errorf("the old cookie of %s proves the session that was renewed", o.name)
	}
}

// steal lets a thief use a session that an owner has, or has had.
func (c *boundChaos) steal(o *victim) {
	all := o.stolen()
	c.thieves.steal(all[rand.IntN(len(all))])
}

// copy lets a thief with both cookies write.
func (c *boundChaos) copy(o *victim) {
	s := o.latest()
	if s.proof == nil {
		return
	}
	o.attempted.Add(1)
	if c.thieves.copy(s, o.name) {
		o.acknowledged.Add(1)
	}
}

// see looks at the response to an owner. It is false if the request has failed, which is no sign-out.
func (c *boundChaos) see(o *victim, response *http.Response) bool {
	who, proved := response.Header.Get("Who"), response.Header.Get("Proved") == "true"
	late := response.Header.Get("Retry-After") != ""
	switch {
	case response.StatusCode == http.StatusOK && who == o.name:
		if o.note(response); proved {
			c.close(o)
		}
		return true
	case response.StatusCode == http.StatusServiceUnavailable && !late:
		time.Sleep(30 * time.Millisecond) // else all is tried within one failure
	default:
		c.t.Errorf("%s gets status %d as %q, late: %v; devices %d, ended by %v", o.name, response.StatusCode, who, late, len(o.credentials()), o.ended)
	}
	return false
}

// close lets more than a minute go by for a session whose device has shown its cookie, so that it is open to nobody else,
// and lets thieves copy a cookie that has run out. It is false if that was not noted, or if Redis does not answer.
func (c *boundChaos) close(o *victim) bool {
	last := o.latest()
	if last.ranOut != nil {
		return true
	}
	conn, err := redis.Dial("tcp", c.redis.Addr(), redis.DialReadTimeout(time.Second))
	if err != nil {
		return false
	}
	defer conn.Close()
	text, err := redis.Bytes(ageProof.Do(conn, "session:{"+last.id[:20]+"}"+last.id[20:], value.NewRevision()))
	var stored struct {
		Bound dbsc.Binding `json:"_bound"`
	}
	if err != nil || json.Unmarshal(text, &stored) != nil {
		return false
	}
	stored.Bound.Session = last.id
	ranOut := stored.Bound.Cookie(time.Now().Add(-11*time.Minute), dbsc.CookieTTL)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sessions[len(o.sessions)-1].ranOut = proofOf(last.id, ranOut)
	c.closed.Add(1)
	return true
}

// ageProof makes it longer ago that a device has first shown its cookie, and returns the session. It saves as the library
// does, with another revision, so that no request that is under way takes it back.
var ageProof = redis.NewScript(1, `
	local text = redis.call('GET', KEYS[1])
	if not text then return false end
	local aged, n = string.gsub(text, '("_bound":{[^}]*"at":)(%d+)', function(head, at)
		return head .. string.format('%d', at - 61)
	end)
	if n == 0 then return false end
	aged = string.gsub(aged, '"_rev":"[^"]*"', '"_rev":"' .. ARGV[1] .. '"', 1)
	redis.call('SET', KEYS[1], aged, 'KEEPTTL')
	return aged`)

// signOut tries a few times. One that has failed may have been done, and then the next one meets nobody.
func (c *boundChaos) signOut(o *victim) {
	for try := 0; try < 5 && !o.out; try++ {
		response := o.do(visit{"POST", "/sign-out", false})
		who := response.Header.Get("Who")
		switch ok := response.StatusCode == http.StatusOK; {
		case ok && (who == o.name || who == "" && try > 0):
			o.out = true
			c.isOut(o)
		case response.StatusCode == http.StatusServiceUnavailable:
			time.Sleep(30 * time.Millisecond)
		default:
			c.t.Errorf("%s signs out, and gets status %d as %q", o.name, response.StatusCode, who)
		}
	}
	o.sure = o.out
}

// isOut uses all that there is of the sessions of an owner who has signed out.
func (c *boundChaos) isOut(o *victim) {
	for n, s := range o.stolen() {
		cookies := []*http.Cookie{s.token}
		if s.proof != nil {
			cookies = append(cookies, s.proof)
		}
		if who := c.thieves.ask("/", nil, cookies...).Header.Get("Who"); who != "" {
			c.t.Errorf("session %d of %s was signed out, and is signed in as %q", n, o.name, who)
		}
	}
	for _, credential := range o.credentials() {
		if o.refresh(credential); o.value(credential.cookie) != "" {
			c.t.Errorf("%s was signed out, and gets a cookie from the endpoint", o.name)
		}
	}
}

func (c *boundChaos) check() {
	out, goOn, bound, acknowledged := 0, 0, 0, int64(0)
	for _, o := range c.owners {
		o.loses = func() bool { return false }
		o.signed = nil // nine minutes later
		if o.out {
			c.isOut(o)
			out++
			continue
		}
		sure := o.sure
		switch response := o.do(visit{"GET", "/", false}); {
		case response.StatusCode == http.StatusOK && response.Header.Get("Who") == o.name:
			goOn++
			acknowledged += o.acknowledged.Load()
			if c.checkOwner(o, response) {
				bound++
			}
		case sure:
			c.t.Errorf("%s had no failure, and gets status %d as %q", o.name, response.StatusCode, response.Header.Get("Who"))
		case response.Header.Get("Who") != "", response.StatusCode != http.StatusOK && response.Header.Get("Retry-After") == "":
			c.t.Errorf("%s can neither go on nor sign in: status %d as %q", o.name, response.StatusCode, response.Header.Get("Who"))
		}
	}
	c.t.Logf("%d signed out, %d of %d others go on, %d of them bound, with %d increments acknowledged", out, goOn, len(c.owners)-out, bound, acknowledged)
	c.t.Logf("%d registrations, %d refreshes, %d renewals, %d sessions closed, %d thieves refused, %d copies served",
		c.registered.Load(), c.refreshed.Load(), c.renewed.Load(), c.closed.Load(), c.thieves.refused.Load(), c.thieves.served.Load())
	for _, n := range []int64{int64(out), int64(bound), acknowledged, c.refreshed.Load(), c.renewed.Load(), c.thieves.refused.Load()} {
		if n == 0 {
			c.t.Error("too little has happened to tell anything")
		}
	}
}

// checkOwner looks at the increments of an owner who goes on, and at the proof if the device has a key. It reports
// whether it has one.
func (c *boundChaos) checkOwner(o *victim, response *http.Response) bool {
	n, _ := strconv.Atoi(response.Header.Get("Visits"))
	if low, high := o.acknowledged.Load(), o.attempted.Load(); int64(n) < low || int64(n) > high {
		c.t.Errorf("%s counts %d, with %d acknowledged of %d", o.name, n, low, high)
	}
	o.note(response)
	last := o.latest()
	if !slices.ContainsFunc(o.credentials(), func(k *credential) bool { return k.id == last.id }) {
		return false
	}
	if response.Header.Get("Proved") != "true" || !c.close(o) {
		c.t.Errorf("%s is not proved by its cookie, or that is not noted", o.name)
	}
	for range 5 {
		c.thieves.steal(o.latest())
	}
	return true
}
