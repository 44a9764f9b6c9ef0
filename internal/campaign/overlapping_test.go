package campaign

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/internal/testkit"
)

// A realRequest is a request whose handler does one step at a time.
type realRequest struct {
	session *session.Session
	writer  http.ResponseWriter
	steps   chan func()
	done    chan struct{}
	w       *httptest.ResponseRecorder
}

func startRequest(t *testing.T, manager *session.Manager, cookies []*http.Cookie) *realRequest {
	r := httptest.NewRequest("GET", "/", nil)
	for _, cookie := range cookies {
		r.AddCookie(cookie)
	}
	q := &realRequest{steps: make(chan func()), done: make(chan struct{}), w: httptest.NewRecorder()}
	loaded := make(chan struct{})
	go func() {
		defer close(q.done)
		manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			q.session, q.writer = testkit.Load(t, r), w
			close(loaded)
			for step := range q.steps {
				step()
				q.done <- struct{}{}
			}
		})).ServeHTTP(q.w, r)
	}()
	<-loaded
	return q
}

func (q *realRequest) do(step func()) { q.steps <- step; <-q.done }

func (q *realRequest) finish() { close(q.steps); <-q.done }

// pair is a request and its model.
type pair struct {
	real  *realRequest
	model *modelRequest
}

// known is a session that a browser could have: its cookies and its model.
type known struct {
	cookies []*http.Cookie
	model   *modelSession
}

// TestOverlappingRequestsFollowTheModel runs schedules of overlapping requests of a few sessions, step by step, and
// compares what is stored, what the requests see, the errors and the cookies with the model. SESSION_SEED repeats one
// schedule.
func TestOverlappingRequestsFollowTheModel(t *testing.T) {
	t.Parallel()
	schedules := 5000
	if testing.Short() {
		schedules = 500
	}
	seed := rand.Uint64()
	if fixed, err := strconv.ParseUint(os.Getenv("SESSION_SEED"), 10, 64); err == nil {
		seed, schedules = fixed, 1
	}
	for i := range schedules {
		runSchedule(t, seed+uint64(i))
		if t.Failed() {
			t.Fatalf("repeat it with SESSION_SEED=%d", seed+uint64(i))
		}
	}
}

func runSchedule(t *testing.T, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 0))
	store := testkit.NewMemory()
	manager := testkit.NewManager(t, session.Config{Store: store})
	all := []known{{}}
	var open []pair
	for range 40 {
		if len(open) == 0 || len(open) < 4 && random.IntN(4) == 0 {
			from := all[random.IntN(len(all))]
			open = append(open, pair{startRequest(t, manager, from.cookies), newModelRequest(from.model)})
			continue
		}
		i := random.IntN(len(open))
		if random.IntN(6) == 0 {
			all = append(all, open[i].finish(t)...)
			open = append(open[:i], open[i+1:]...)
			continue
		}
		open[i].step(t, random)
	}
	for _, p := range open {
		all = append(all, p.finish(t)...)
	}
	compareStored(t, store, all)
}

// step lets the request and its model do the same thing.
func (p pair) step(t *testing.T, random *rand.Rand) {
	s, key, n := p.real.session, string(rune('a'+random.IntN(4))), random.IntN(3)
	var got, want error
	var name string
	p.real.do(func() {
		switch random.IntN(9) {
		case 0, 1:
			name = "Set " + key
			got, want = s.Set(key, n), p.model.change(modelChange{key, func(v *modelValues) { v.update(key, func(int) int { return n }) }})
		case 2, 3:
			name = "Update " + key
			got = session.Key[int](key).Update(s, func(old int) int { return old + n })
			want = p.model.change(modelChange{key, func(v *modelValues) { v.update(key, func(old int) int { return old + n }) }})
		case 4:
			name = "Delete " + key
			s.Delete(key)
			p.model.remove(modelChange{key, func(v *modelValues) { v.delete(key) }})
		case 5:
			name = "Clear"
			s.Clear()
			p.model.remove(modelChange{"", func(v *modelValues) { *v = nil }})
		case 6:
			name = "Renew"
			got, want = s.Renew(), p.model.doRenew()
		case 7:
			name = "Destroy"
			s.Destroy()
			p.model.doDestroy()
		case 8:
			name = "WriteHeader"
			if !p.model.sent {
				p.real.writer.WriteHeader(200)
				p.model.commit()
				p.model.sent = true
			}
		}
		if !errors.Is(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
		text := s.JSON()
		if got, want := readValues(text).String(), p.model.view().String(); got != want {
			t.Errorf("after %s the session has %s, want %s", name, got, want)
		}
	})
}

// finish returns the session that the response tells the browser of, if any.
func (p pair) finish(t *testing.T) []known {
	p.real.finish()
	p.model.commit()
	cookies := p.real.w.Result().Cookies()
	cookie := ""
	switch {
	case len(cookies) > 1:
		t.Errorf("cookies %v", cookies)
	case len(cookies) == 1 && cookies[0].MaxAge < 0:
		cookie = "clear"
	case len(cookies) == 1:
		cookie = "set"
	}
	status := 200
	if p.model.refused {
		status = 503
	}
	if cookie != p.model.cookie || p.real.w.Code != status {
		t.Errorf("status %d, cookie %q, want %d, %q", p.real.w.Code, cookie, status, p.model.cookie)
	}
	if cookie == "set" && p.model.produced != nil {
		return []known{{cookies, p.model.produced}}
	}
	return nil
}

func compareStored(t *testing.T, store *testkit.Memory, all []known) {
	var got, want []string
	for _, stored := range store.Stored() {
		var value struct {
			Renewed struct{ Values json.RawMessage } `json:"_renewed"`
		}
		_ = json.Unmarshal([]byte(stored), &value)
		if left := value.Renewed.Values; left != nil {
			got = append(got, "renewed "+readValues(left).String())
		} else {
			got = append(got, readValues([]byte(stored)).String())
		}
	}
	for _, k := range all {
		switch {
		case k.model == nil:
		case k.model.live:
			want = append(want, k.model.values.String())
		case k.model.renewed != nil:
			want = append(want, "renewed "+k.model.renewed.values.String())
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("stored %q, want %q", got, want)
	}
}
