package campaign

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/internal/testkit"
)

// The model is the rules of saving on plain lists: what a request did is an ordered list of changes, made at its commit
// on whatever is stored then.
type modelValues []modelValue

type modelValue struct {
	key string
	n   int
}

func (v *modelValues) update(key string, n func(old int) int) {
	for i := range *v {
		if (*v)[i].key == key {
			(*v)[i].n = n((*v)[i].n)
			return
		}
	}
	*v = append(*v, modelValue{key, n(0)})
}

func (v *modelValues) delete(key string) {
	*v = slices.DeleteFunc(*v, func(m modelValue) bool { return m.key == key })
}

func (v modelValues) String() string {
	var text strings.Builder
	for _, m := range v {
		fmt.Fprintf(&text, "%s=%d ", m.key, m.n)
	}
	return text.String()
}

// readValues makes model values of an object of numbers, without the reserved members.
func readValues(text []byte) modelValues {
	var values modelValues
	decoder := json.NewDecoder(bytes.NewReader(text))
	_, _ = decoder.Token()
	for decoder.More() {
		key, _ := decoder.Token()
		n, _ := decoder.Token()
		if number, ok := n.(float64); ok {
			values = append(values, modelValue{key.(string), int(number)})
		}
	}
	return values
}

type modelChange func(*modelValues)

type modelSession struct {
	live   bool
	values modelValues
}

type modelRequest struct {
	session  *modelSession // as loaded; nil: none
	changes  []modelChange
	base     modelValues // what the changes were first made on
	destroy  *modelSession
	renew    bool
	ended    bool
	barred   bool // by a Renew after the headers
	sent     bool
	cookie   string // what the response must do with it: "", "set" or "clear"
	produced *modelSession
}

func (q *modelRequest) view() modelValues { return q.applied(q.base) }

func (q *modelRequest) applied(base modelValues) modelValues {
	values := slices.Clone(base)
	for _, change := range q.changes {
		change(&values)
	}
	return values
}

// change returns the error that a Set must have.
func (q *modelRequest) change(c modelChange) error {
	if q.ended {
		return session.ErrEnded
	}
	if q.session == nil && q.sent || q.barred {
		return session.ErrHeadersSent
	}
	q.changes = append(q.changes, c)
	return nil
}

// remove is a Delete or a Clear, which no Renew bars.
func (q *modelRequest) remove(c modelChange) {
	if !q.ended {
		q.changes = append(q.changes, c)
	}
}

func (q *modelRequest) doRenew() error {
	switch {
	case q.ended:
		return session.ErrEnded
	case q.sent:
		q.barred = true
		return session.ErrHeadersSent
	}
	q.renew = q.session != nil
	return nil
}

func (q *modelRequest) doDestroy() {
	if q.session != nil {
		q.destroy = q.session
	}
	q.session, q.base, q.changes, q.renew, q.ended, q.barred = nil, nil, nil, false, false, false
	if q.cookie == "set" && !q.sent {
		q.cookie = ""
	}
}

func (q *modelRequest) commit() {
	if q.destroy != nil {
		if q.destroy.live && !q.sent {
			q.cookie = "clear"
		}
		q.destroy.live, q.destroy = false, nil
	}
	switch {
	case q.ended:
	case q.session == nil:
		if values := q.applied(nil); len(values) > 0 {
			q.begin(values)
		}
	case q.renew:
		values := q.applied(nil)
		if q.session.live {
			values = q.applied(q.session.values)
			q.session.live = false
		} else if len(values) == 0 {
			q.end()
			return
		}
		q.begin(values)
	case slices.Equal(q.view(), q.base):
	case !q.session.live:
		q.end()
	default:
		q.session.values = q.applied(q.session.values)
		q.base = slices.Clone(q.session.values)
	}
	q.changes, q.renew = nil, false
}

func (q *modelRequest) begin(values modelValues) {
	q.session = &modelSession{live: true, values: values}
	q.base, q.produced, q.cookie = slices.Clone(values), q.session, "set"
}

func (q *modelRequest) end() {
	q.ended, q.session, q.base, q.changes, q.renew = true, nil, nil, nil, false
}

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
			model := &modelRequest{}
			if from.model != nil && from.model.live {
				model.session, model.base = from.model, slices.Clone(from.model.values)
			}
			open = append(open, pair{startRequest(t, manager, from.cookies), model})
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
			got, want = s.Set(key, n), p.model.change(func(v *modelValues) { v.update(key, func(int) int { return n }) })
		case 2, 3:
			name = "Update " + key
			got = session.Key[int](key).Update(s, func(old int) int { return old + n })
			want = p.model.change(func(v *modelValues) { v.update(key, func(old int) int { return old + n }) })
		case 4:
			name = "Delete " + key
			s.Delete(key)
			p.model.remove(func(v *modelValues) { v.delete(key) })
		case 5:
			name = "Clear"
			s.Clear()
			p.model.remove(func(v *modelValues) { *v = nil })
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
	if cookie != p.model.cookie || p.real.w.Code != 200 {
		t.Errorf("status %d, cookie %q, want %q", p.real.w.Code, cookie, p.model.cookie)
	}
	if cookie == "set" && p.model.produced != nil {
		return []known{{cookies, p.model.produced}}
	}
	return nil
}

func compareStored(t *testing.T, store *testkit.Memory, all []known) {
	var got, want []string
	for _, stored := range store.Stored() {
		got = append(got, readValues([]byte(stored)).String())
	}
	for _, k := range all {
		if k.model != nil && k.model.live {
			want = append(want, k.model.values.String())
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("stored %q, want %q", got, want)
	}
}
