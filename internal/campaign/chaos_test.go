package campaign

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/internal/redistest"
	"github.com/sessionkv/session/internal/testkit"
)

// TestChaos lets nodes count in shared sessions, by real HTTP, while their Redis is killed, stopped and restarted at
// random. In the end each acknowledged increment is counted once, each acknowledged key is there, and no session whose
// destruction was acknowledged is. Large values belong to what else their sessions have.
//
// SESSION_CHAOS sets how long it goes on, and SESSION_SEED repeats its faults.
func TestChaos(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes seconds")
	}
	seed, duration := chaosPlan(t)
	c := newChaos(t)
	c.run(duration, rand.New(rand.NewPCG(seed, 0)))
	c.check()
}

// chaosPlan returns what the faults are made from, and how long they go on.
func chaosPlan(t *testing.T) (seed uint64, duration time.Duration) {
	seed, duration = rand.Uint64(), 3*time.Second
	if fixed, err := strconv.ParseUint(os.Getenv("SESSION_SEED"), 10, 64); err == nil {
		seed = fixed
	}
	if longer, err := time.ParseDuration(os.Getenv("SESSION_CHAOS")); err == nil {
		duration = longer
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("repeat it with SESSION_SEED=%d", seed)
		}
	})
	return seed, duration
}

type chaos struct {
	t         *testing.T
	redis     *redistest.Server
	nodes     []*httptest.Server
	sessions  []*counted
	ended     atomic.Bool
	mu        sync.Mutex
	destroyed []string // IDs
}

// counted is a session that the workers count in.
type counted struct {
	cookie                  *http.Cookie
	id                      string
	attempted, acknowledged atomic.Int64
	mu                      sync.Mutex
	keys                    map[string]int // what each worker's key has at least
}

func newChaos(t *testing.T) *chaos {
	c := &chaos{t: t, redis: redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")}
	for range 3 {
		b := testkit.NewBackend(t, c.redis.Addr())
		manager := testkit.NewManager(t, session.Config{
			Store:        b.Store,
			StoreTimeout: 500 * time.Millisecond,
			Cookie:       session.Cookie{InsecureHTTP: true},
			Logger:       new(testkit.Logs).Logger(),
		})
		node := httptest.NewServer(manager.Handler(http.HandlerFunc(c.serve)))
		t.Cleanup(node.Close)
		c.nodes = append(c.nodes, node)
	}
	for range 6 {
		id, cookies, status := c.post(0, "/begin", nil)
		if status != 200 {
			t.Fatalf("status %d", status)
		}
		c.sessions = append(c.sessions, &counted{cookie: cookies[0], id: id, keys: map[string]int{}})
	}
	return c
}

// serve answers with the ID of the session.
func (c *chaos) serve(w http.ResponseWriter, r *http.Request) {
	s, err := session.Load(r.Context())
	if err != nil {
		http.Error(w, "not loaded", http.StatusServiceUnavailable)
		return
	}
	id := s.ID()
	switch r.URL.Path {
	case "/begin":
		err = visits.Set(s, 0)
	case "/count":
		n, _ := strconv.Atoi(r.URL.Query().Get("n"))
		err = visits.Update(s, func(n int) int { return n + 1 })
		if err == nil {
			err = s.Set(r.URL.Query().Get("key"), n)
		}
		if err == nil && n%5 == 0 {
			err = storeFile(s, n)
		}
	case "/read":
		if err = readFile(r.Context(), s); errors.Is(err, errWrongFile) {
			c.t.Errorf("session %s: %v", id, err)
		}
	case "/destroy":
		s.Destroy()
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if id == "" {
		if err := s.Sync(r.Context()); err == nil {
			id = s.ID()
		}
	}
	fmt.Fprint(w, id)
}

func (c *chaos) post(node int, path string, cookie *http.Cookie) (body string, cookies []*http.Cookie, status int) {
	r, err := http.NewRequest("POST", c.nodes[node].URL+path, nil)
	if err != nil {
		c.t.Error(err)
		return "", nil, 0
	}
	if cookie != nil {
		r.AddCookie(cookie)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Errorf("POST %s: %v", path, err)
		return "", nil, 0
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		c.t.Errorf("POST %s: %v", path, err)
	}
	return string(text), response.Cookies(), response.StatusCode
}

func (c *chaos) run(duration time.Duration, random *rand.Rand) {
	var workers sync.WaitGroup
	for worker := range 12 {
		workers.Go(func() { c.count(worker) })
	}
	for range 2 {
		workers.Go(c.beginAndDestroy)
	}
	c.suffer(duration, random, &workers)
}

// suffer breaks Redis again and again while the workers work, and ends them.
func (c *chaos) suffer(duration time.Duration, random *rand.Rand, workers *sync.WaitGroup) {
	faults := 0
	for end := time.Now().Add(duration); time.Now().Before(end); faults++ {
		c.fault(random)
	}
	c.ended.Store(true)
	workers.Wait()
	c.t.Logf("%d faults", faults)
}

// fault breaks Redis for a while, and gives it a while to be well.
func (c *chaos) fault(random *rand.Rand) {
	pause := func() { time.Sleep(time.Duration(random.IntN(300)) * time.Millisecond) }
	switch random.IntN(3) {
	case 0:
		c.redis.Kill()
		pause()
		c.redis.Restart()
	case 1:
		c.redis.Stop()
		pause()
		c.redis.Cont()
	case 2:
		c.redis.Shutdown()
		c.redis.Restart()
	}
	pause()
}

// count adds to the sessions one after the other. Only a 200 is an acknowledgement.
func (c *chaos) count(worker int) {
	key := fmt.Sprint("worker", worker)
	for i := worker; !c.ended.Load(); i++ {
		s := c.sessions[i%len(c.sessions)]
		s.attempted.Add(1)
		if _, _, status := c.post(i%len(c.nodes), fmt.Sprintf("/count?key=%s&n=%d", key, i), s.cookie); status != 200 {
			continue
		}
		s.acknowledged.Add(1)
		if i%5 == 0 {
			c.post((i+1)%len(c.nodes), "/read", s.cookie)
		}
		s.mu.Lock()
		s.keys[key] = i
		s.mu.Unlock()
	}
}

// beginAndDestroy ends sessions while other requests write to them.
func (c *chaos) beginAndDestroy() {
	for i := 0; !c.ended.Load(); i++ {
		id, cookies, status := c.post(i%len(c.nodes), "/begin", nil)
		if status != 200 || len(cookies) == 0 {
			continue
		}
		var writers sync.WaitGroup
		for node := range c.nodes {
			writers.Go(func() { c.post(node, "/count?key=late&n=1", cookies[0]) })
		}
		// A cookie that is cleared says that this request has destroyed the session; without one it may have found none.
		_, cleared, status := c.post((i+1)%len(c.nodes), "/destroy", cookies[0])
		writers.Wait()
		if status == 200 && len(cleared) == 1 && cleared[0].MaxAge < 0 {
			c.mu.Lock()
			c.destroyed = append(c.destroyed, id)
			c.mu.Unlock()
		}
	}
}

func (c *chaos) check() {
	var attempted, acknowledged int64
	for _, s := range c.sessions {
		text, _ := c.redis.Do(c.t, "GET", "session:"+s.id).([]byte)
		values := numbers(text)
		n, _ := values["visits"].Int64()
		if low, high := s.acknowledged.Load(), s.attempted.Load(); n < low || n > high {
			c.t.Errorf("session %s counts %d, with %d acknowledged of %d", s.id, n, low, high)
		}
		for key, least := range s.keys {
			if got, err := values[key].Int64(); err != nil || got < int64(least) {
				c.t.Errorf("session %s has %s for %s, at least %d was acknowledged", s.id, values[key], key, least)
			}
		}
		attempted += s.attempted.Load()
		acknowledged += s.acknowledged.Load()
	}
	for _, id := range c.destroyed {
		if n := c.redis.Do(c.t, "EXISTS", "session:"+id); n != int64(0) {
			c.t.Errorf("destroyed session %s is back", id)
		}
	}
	if acknowledged == 0 || len(c.destroyed) == 0 {
		c.t.Errorf("nothing was acknowledged")
	}
	b := testkit.NewBackend(c.t, c.redis.Addr())
	checkParts(c.t, b)
	checkNamed(c.t, b)
	c.t.Logf("%d of %d increments acknowledged, %d sessions destroyed", acknowledged, attempted, len(c.destroyed))
}

// numbers returns the members of an object as if all were numbers.
func numbers(text []byte) map[string]json.Number {
	var members map[string]json.RawMessage
	_ = json.Unmarshal(text, &members)
	values := make(map[string]json.Number)
	for name, raw := range members {
		values[name] = json.Number(raw)
	}
	return values
}
