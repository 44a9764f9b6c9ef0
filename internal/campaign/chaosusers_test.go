package campaign

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/internal/redistest"
	"github.com/sessionkv/session/internal/testkit"
	"github.com/sessionkv/session/internal/token"
	"github.com/sessionkv/session/redisstore"
)

// TestChaosOfUsers lets users sign in, renew and be ended on several nodes, by real HTTP, while their Redis is killed,
// stopped and restarted at random. A session that was ended stays ended. All others can go on, or are told to sign in
// or to ask again. Every key has a time to live, and the list of a user names only living sessions.
//
// SESSION_CHAOS sets how long it goes on, and SESSION_SEED repeats its faults.
func TestChaosOfUsers(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	seed, duration := chaosPlan(t)
	c := newUserChaos(t)
	c.run(duration, rand.New(rand.NewPCG(seed, 0)))
	c.check()
}

// A userChaos is a chaos of users.
type userChaos struct {
	chaos
	managers []*session.Manager
	over     devices // that were ended
	living   devices // that nobody has ended
}

// devices are some that many find at once.
type devices struct {
	mu  sync.Mutex
	all []*device
}

func (s *devices) add(d *device) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, d)
}

// A device makes one request after the other. It is signed in as its user, if all went well.
type device struct {
	user   string
	tokens []*http.Cookie // all that it ever had
	sure   bool           // nothing of it has failed
}

func (d *device) latest() *http.Cookie { return d.tokens[len(d.tokens)-1] }

func newUserChaos(t *testing.T) *userChaos {
	c := &userChaos{chaos: chaos{t: t, redis: redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")}}
	c.managers = c.open(session.Config{Cookie: session.Cookie{InsecureHTTP: true}})
	for _, manager := range c.managers {
		node := httptest.NewServer(manager.HandlerFunc(c.serveUser))
		t.Cleanup(node.Close)
		c.nodes = append(c.nodes, node)
	}
	return c
}

// open returns three Managers of the Redis, one of them without scripts.
func (c *chaos) open(config session.Config) (managers []*session.Manager) {
	for i := range 3 {
		store, err := redisstore.Open(c.redis.Addr(), redisstore.Options{NoScripts: i == 2})
		if err != nil {
			c.t.Fatal(err)
		}
		c.t.Cleanup(func() { _ = store.Close() })
		config.Store, config.StoreTimeout, config.Logger = store, 500*time.Millisecond, new(testkit.Logs).Logger()
		managers = append(managers, testkit.NewManager(c.t, config))
	}
	return managers
}

// serveUser does what the path says and answers with the user.
func (c *userChaos) serveUser(w http.ResponseWriter, r *http.Request, s *session.Session) {
	var err error
	switch action, user, _ := strings.Cut(strings.Trim(r.URL.Path, "/"), "/"); action {
	case "sign-in":
		err = s.SignIn(session.SignIn{User: user})
	case "renew":
		err = s.Renew()
	case "count":
		if s.User() != "" {
			err = visits.Update(s, func(n int) int { return n + 1 })
		}
		if err == nil && s.User() != "" {
			err = storeFile(s, rand.IntN(1000))
		}
	case "read":
		if err = readFile(r.Context(), s); errors.Is(err, errWrongFile) {
			c.t.Errorf("session %s: %v", s.ID(), err)
		}
	case "end-others":
		err = s.EndOthers(session.ByUser)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	fmt.Fprint(w, s.User())
}

// A reply is what a device gets.
type reply struct {
	status int
	user   string
	retry  bool // it is to ask again
}

// ask makes a request of a device with one of its tokens, nil for none, and keeps the token that comes back.
func (c *userChaos) ask(d *device, cookie *http.Cookie, path string) reply {
	r, err := http.NewRequest("POST", c.nodes[rand.IntN(len(c.nodes))].URL+path, nil)
	if err != nil {
		c.t.Error(err)
		return reply{}
	}
	if cookie != nil {
		r.AddCookie(cookie)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Errorf("POST %s: %v", path, err)
		return reply{}
	}
	defer response.Body.Close()
	text, _ := io.ReadAll(response.Body)
	d.tokens = append(d.tokens, response.Cookies()...)
	d.sure = d.sure && response.StatusCode == http.StatusOK
	return reply{response.StatusCode, string(text), response.Header.Get("Retry-After") != ""}
}

func (c *userChaos) run(duration time.Duration, random *rand.Rand) {
	var workers sync.WaitGroup
	for worker := range 6 {
		workers.Go(func() {
			for round := 0; !c.ended.Load(); round++ {
				c.round(fmt.Sprintf("user%d-%d", worker, round), round)
			}
		})
	}
	c.suffer(duration, random, &workers)
}

// round signs a user in on two devices, and ends one of them, both or none.
func (c *userChaos) round(user string, round int) {
	phone, laptop := c.signIn(user), c.signIn(user)
	if phone == nil || laptop == nil {
		return
	}
	var busy sync.WaitGroup
	for _, d := range []*device{phone, laptop} {
		busy.Go(func() {
			for _, path := range []string{"/count", "/renew", "/read", "/count", "/read", "/renew"} {
				c.ask(d, d.latest(), path)
			}
		})
	}
	manager, ctx := c.managers[round%len(c.managers)], c.t.Context()
	if round%4 == 0 { // while the devices are busy
		err := manager.EndAll(ctx, user, session.ByOperator)
		busy.Wait()
		if err == nil {
			c.end(phone, laptop)
		}
		return
	}
	busy.Wait()
	c.living.add(phone)
	switch round % 4 {
	case 1:
		if answer := c.ask(phone, phone.latest(), "/end-others"); answer.status == http.StatusOK && answer.user == user {
			c.end(laptop)
		}
	case 2:
		ref, _ := token.Parse(laptop.latest().Value, time.Now())
		if err := manager.End(ctx, user, ref.ID, session.ByOperator); err == nil {
			c.end(laptop)
		}
	case 3:
		c.living.add(laptop)
	}
}

// signIn returns a device that was signed in, or nil.
func (c *userChaos) signIn(user string) *device {
	d := &device{user: user, sure: true}
	if answer := c.ask(d, nil, "/sign-in/"+user); answer.status != http.StatusOK || len(d.tokens) != 1 {
		return nil
	}
	return d
}

// end says that devices were ended.
func (c *userChaos) end(devices ...*device) {
	for _, d := range devices {
		c.isOver(d)
		c.over.add(d)
	}
}

// isOver makes a request with each token of a device that was ended.
func (c *userChaos) isOver(d *device) {
	for n, cookie := range d.tokens {
		if answer := c.ask(d, cookie, "/who"); answer.status == http.StatusOK && answer.user != "" {
			c.t.Errorf("token %d of %s was ended, and is signed in as %q", n, d.user, answer.user)
		}
	}
}

func (c *userChaos) check() {
	for _, d := range c.over.all {
		c.isOver(d)
	}
	goOn := 0
	for _, d := range c.living.all {
		sure := d.sure
		switch answer := c.ask(d, d.latest(), "/count"); {
		case answer.status == http.StatusOK && answer.user == d.user:
			goOn++
		case sure:
			c.t.Errorf("%s had no failure, and gets status %d as %q", d.user, answer.status, answer.user)
		case answer.status == http.StatusOK && answer.user != "", answer.status != http.StatusOK && !answer.retry:
			c.t.Errorf("%s can neither go on nor sign in: status %d as %q", d.user, answer.status, answer.user)
		}
	}
	if len(c.over.all) == 0 || goOn == 0 {
		c.t.Error("nobody was ended, or nobody goes on")
	}
	c.t.Logf("%d devices were ended, %d of %d others go on", len(c.over.all), goOn, len(c.living.all))
	c.checkKeys()
}

// checkKeys looks at what is left in Redis.
func (c *userChaos) checkKeys() {
	b := testkit.NewBackend(c.t, c.redis.Addr())
	for _, key := range b.Keys(c.t) {
		if ttl := b.Do("PTTL", key); ttl == int64(-1) {
			c.t.Errorf("%s has no time to live", key)
		}
	}
	checkParts(c.t, b)
	checkNamed(c.t, b)
	users := map[string]bool{}
	for _, d := range slices.Concat(c.over.all, c.living.all) {
		users[d.user] = true
	}
	for user := range users {
		testkit.Eventually(c.t, "the list of "+user+" names what lives alone", func() bool { return c.isSwept(b, user) })
	}
}

// isSwept reports whether the list of a user names living sessions alone, and the markers of renewals that were cut off,
// which are there for half a minute. A look at the list sweeps it.
func (c *userChaos) isSwept(b testkit.Backend, user string) bool {
	if _, err := c.managers[0].List(c.t.Context(), user); err != nil {
		c.t.Errorf("the list of %s: %v", user, err)
	}
	slot := "session:{" + token.Tag(user) + "}:"
	members, err := redis.Strings(b.Do("ZRANGE", slot+"user", 0, -1), nil)
	if err != nil {
		c.t.Error(err)
	}
	return !slices.ContainsFunc(members, func(member string) bool {
		value, _ := redis.String(b.Do("GET", slot+member), nil)
		return !strings.Contains(value, `"_user":`) && !strings.Contains(value, `"_renewed":`)
	})
}
