package session_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/internal/testkit"
)

const (
	user   = session.Key[string]("user")
	visits = session.Key[int]("visits")
)

func TestValuesSurviveRequestsAndManagers(t *testing.T) {
	testkit.OnEachRedis(t, func(t *testing.T, b testkit.Backend) {
		one, two := testkit.NewManager(t, session.Config{Store: b.Store}), testkit.NewManager(t, session.Config{Store: b.Store})
		cookies, _ := testkit.Begin(t, one, map[string]any{"user": "alice"})
		testkit.Request(t, two, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
			if name, ok := user.Get(s); name != "alice" || !ok {
				t.Errorf("got %q, %v", name, ok)
			}
			if n, ok := visits.Get(s); n != 0 || ok {
				t.Errorf("got %d, %v for a key without a value", n, ok)
			}
			_ = visits.Set(s, 3)
		})
		if got := testkit.Values(t, one, cookies); got != `{"user":"alice","visits":3}` {
			t.Errorf("got %s", got)
		}
	})
}

func TestStoredFormat(t *testing.T) {
	b, mini := testkit.MiniRedis(t)
	manager := testkit.NewManager(t, session.Config{Store: b.Store, IdleTimeout: time.Minute})
	cookies, id := testkit.Begin(t, manager, map[string]any{"html": "<a&b>"})
	if form := regexp.MustCompile(`^\{"_rev":"[A-Za-z0-9_-]{16}","html":"<a&b>"\}$`); !form.MatchString(b.Get(t, id)) {
		t.Errorf("stored %s", b.Get(t, id))
	}
	if form := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`); !form.MatchString(id) {
		t.Errorf("ID %s", id)
	}
	if keys := b.Keys(t); !slices.Equal(keys, []string{"session:" + id}) {
		t.Errorf("keys %q", keys)
	}
	if ttl := mini.TTL("session:" + id); ttl != time.Minute {
		t.Errorf("TTL %v", ttl)
	}
	if form := regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`); !form.MatchString(cookies[0].Value) {
		t.Errorf("token %s", cookies[0].Value)
	}
}

func TestUntouchedMembersComeBackByteForByte(t *testing.T) {
	members := `"big":9007199254740993,"long":123456789012345678901234567890.1234567890123456789,"huge":1e400,` +
		`"lone":"\ud800","odd":"\u0041\/\b","_own":{"x":[1,2]},"sp" : [ 1 , 2 ],"dup":1,"dup":2,"\u0061":"escaped name","html":"<>&"`
	testkit.OnEachRedis(t, func(t *testing.T, b testkit.Backend) {
		manager := testkit.NewManager(t, session.Config{Store: b.Store})
		cookies, id := testkit.Begin(t, manager, map[string]any{"x": 1})
		b.Do("SET", "session:"+id, "{"+members+"}", "PX", 60000)
		testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
			if n, ok := session.Key[int64]("big").Get(s); n != 1<<53+1 || !ok {
				t.Errorf("big is %d", n)
			}
			if n, ok := session.Key[json.Number]("long").Get(s); n != "123456789012345678901234567890.1234567890123456789" || !ok {
				t.Errorf("long is %s", n)
			}
			if n, _ := session.Key[int]("dup").Get(s); n != 2 {
				t.Errorf("dup is %d", n)
			}
			if text, _ := session.Key[string]("a").Get(s); text != "escaped name" {
				t.Errorf("a is %q", text)
			}
			_ = s.Set("new", true)
		})
		if got := b.Get(t, id); !strings.HasPrefix(got, `{"_rev":"`) || !strings.HasSuffix(got, ","+members+`,"new":true}`) {
			t.Errorf("stored %s", got)
		}
	})
}

func TestKeysAndValues(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	manager := testkit.NewManager(t, session.Config{Store: b.Store})
	cookies, id := testkit.Begin(t, manager, map[string]any{"x": 1})
	b.Do("SET", "session:"+id, `{"_hidden":1,"b":1,"a":2,"b":3}`, "PX", 60000)
	testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		if keys := s.Keys(); !slices.Equal(keys, []string{"b", "a"}) {
			t.Errorf("keys %q", keys)
		}
		if _, ok := session.Key[int]("_hidden").Get(s); ok {
			t.Error("a reserved key is visible")
		}
		var n int
		if err := s.Decode("b", &n); err != nil || n != 3 {
			t.Errorf("b is %d, %v", n, err)
		}
		if err := s.Decode("missing", &n); !errors.Is(err, session.ErrNoKey) {
			t.Errorf("missing: %v", err)
		}
		var text string
		if err := s.Decode("a", &text); err == nil || errors.Is(err, session.ErrNoKey) {
			t.Errorf("a as a string: %v", err)
		}
		if text, ok := session.Key[string]("a").Get(s); text != "" || ok {
			t.Errorf("a as a string: %q, %v", text, ok)
		}
		if _, ok := session.Key[struct{ X int }]("a").Get(s); ok {
			t.Error("a is a struct")
		}
		s.Delete("b", "missing", "_hidden")
		if keys := s.Keys(); !slices.Equal(keys, []string{"a"}) {
			t.Errorf("keys after Delete: %q", keys)
		}
		s.Clear()
		if text := s.JSON(); string(text) != "{}" {
			t.Errorf("after Clear: %s", text)
		}
		_ = s.Set("c", nil)
	})
	if got := b.Get(t, id); !strings.HasSuffix(got, `","_hidden":1,"c":null}`) {
		t.Errorf("stored %s", got)
	}
}

func TestSetRefuses(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	manager := testkit.NewManager(t, session.Config{Store: b.Store, MaxBytes: 100})
	testkit.Request(t, manager, nil, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		if err := s.Set("f", func() {}); err == nil || !strings.Contains(err.Error(), `"f"`) {
			t.Errorf("a function: %v", err)
		}
		if err := s.Set("_x", 1); err == nil || !strings.Contains(err.Error(), "reserved") {
			t.Errorf("a reserved key: %v", err)
		}
		if err := s.Set("\xff", 1); err == nil || !strings.Contains(err.Error(), "UTF-8") {
			t.Errorf("a key that is not UTF-8: %v", err)
		}
		if err := s.Set("big", strings.Repeat("x", 100)); !errors.Is(err, session.ErrTooLarge) {
			t.Errorf("a large value: %v", err)
		}
		if err := session.Key[func()]("f").Update(s, func(func()) func() { return func() {} }); err == nil {
			t.Error("Update with a function succeeds")
		}
		if len(s.Keys()) != 0 {
			t.Errorf("keys %q", s.Keys())
		}
	})
	if len(b.Keys(t)) != 0 {
		t.Errorf("keys %q", b.Keys(t))
	}
}

// MaxBytes holds to the byte: 27 of {"_rev":"0123456789abcdef","k":"…"} are the revision, the rest is the value.
func TestMaxBytesIsExact(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	const limit = 200
	manager := testkit.NewManager(t, session.Config{Store: b.Store, MaxBytes: limit})
	fits := limit - len(`{"_rev":"0123456789abcdef","k":""}`)
	cookies, id := testkit.Begin(t, manager, map[string]any{"k": strings.Repeat("x", fits)})
	if got := len(b.Get(t, id)); got != limit {
		t.Errorf("stored %d bytes", got)
	}
	testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		if err := s.Set("k", strings.Repeat("x", fits+1)); !errors.Is(err, session.ErrTooLarge) {
			t.Errorf("one byte more: %v", err)
		}
		if err := s.Set("k", strings.Repeat("y", fits)); err != nil {
			t.Errorf("the same size: %v", err)
		}
	})
}

func TestLargerSessionCanBeReadAndShrunk(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	var failure error
	manager := testkit.NewManager(t, session.Config{Store: b.Store, MaxBytes: 100, OnError: func(w http.ResponseWriter, _ *http.Request, err error) {
		failure = err
		w.WriteHeader(http.StatusInsufficientStorage)
	}})
	cookies, id := testkit.Begin(t, manager, map[string]any{"x": 1})
	large := `{"a":"` + strings.Repeat("x", 200) + `","b":1}`
	b.Do("SET", "session:"+id, large, "PX", 60000)
	response := testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		s.Delete("b")
		if err := s.Set("a", strings.Repeat("x", 150)); err != nil {
			t.Errorf("a smaller value: %v", err)
		}
	})
	if response.StatusCode != http.StatusInsufficientStorage || !errors.Is(failure, session.ErrTooLarge) {
		t.Errorf("saving a session that is still too large: %d, %v", response.StatusCode, failure)
	}
	if got := b.Get(t, id); got != large {
		t.Errorf("stored %s", got)
	}
	testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { s.Delete("a") })
	if got := b.Get(t, id); !strings.HasSuffix(got, `","b":1}`) {
		t.Errorf("stored %s", got)
	}
}

// What the next request cannot read, Set refuses.
func TestSetRefusesWhatDoesNotFitIntoASession(t *testing.T) {
	manager := testkit.NewManager(t, session.Config{Store: testkit.NewMemory()})
	nested := func(depth int) json.RawMessage {
		return json.RawMessage(strings.Repeat("[", depth) + strings.Repeat("]", depth))
	}
	var s *session.Session
	cookies := testkit.Request(t, manager, nil, func(_ http.ResponseWriter, _ *http.Request, loaded *session.Session) {
		s = loaded
		if err := s.Set("deep", nested(9999)); err != nil {
			t.Error(err)
		}
		for name, err := range map[string]error{
			"Set":    s.Set("deeper", nested(10_000)),
			"Update": session.Key[json.RawMessage]("deeper").Update(s, func(json.RawMessage) json.RawMessage { return nested(10_000) }),
		} {
			if err == nil || !strings.Contains(err.Error(), "nested") {
				t.Errorf("%s: %v", name, err)
			}
		}
	}).Cookies()
	if got := testkit.Values(t, manager, cookies); got != `{"deep":`+string(nested(9999))+`}` {
		t.Errorf("%d bytes are stored", len(got))
	}
}

func TestPopShowsAMessageOnce(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	manager := testkit.NewManager(t, session.Config{Store: b.Store})
	const notice = session.Key[string]("notice")
	cookies, _ := testkit.Begin(t, manager, map[string]any{"notice": "saved", "n": 1})
	for _, want := range []string{"saved", ""} {
		testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
			if got, ok := notice.Pop(s); got != want || ok != (want != "") {
				t.Errorf("got %q, %v", got, ok)
			}
		})
	}
}

func TestUpdateRefusesAValueOfAnotherType(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	manager := testkit.NewManager(t, session.Config{Store: b.Store})
	cookies, id := testkit.Begin(t, manager, map[string]any{"visits": "many"})
	before := b.Get(t, id)
	testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		if err := visits.Update(s, func(n int) int { return n + 1 }); err == nil || !strings.Contains(err.Error(), `"visits"`) {
			t.Errorf("got %v", err)
		}
	})
	if got := b.Get(t, id); got != before {
		t.Errorf("stored %s", got)
	}
}

type (
	hidden   struct{ id int }
	embedded struct{ hidden } //lint:ignore U1000 what JSON leaves out is what is tested
	tagged   struct {
		ID int `json:"-"`
	}
	half struct {
		ID int
		id int
	}
	promoted struct{ half }
	list     struct{ next *list } //lint:ignore U1000 what JSON leaves out is what is tested
	nesting  struct{ Inner hidden }
	pointed  struct{ id int }
	textual  struct{ id int }
	node     struct{ Next *node }
)

func (*pointed) MarshalJSON() ([]byte, error) { return []byte("1"), nil }
func (textual) MarshalText() ([]byte, error)  { return []byte("text"), nil }

// What JSON would lose as a whole is an error of Set, not an empty object in the store.
func TestSetRefusesWhatWouldLoseEverything(t *testing.T) {
	manager := testkit.NewManager(t, session.Config{Store: testkit.NewMemory()})
	refused := []any{hidden{1}, &hidden{1}, []hidden{{1}}, [2]hidden{}, map[string]hidden{"a": {1}}, map[string][]*hidden{}, embedded{}, tagged{1},
		list{}, nesting{}, pointed{1}, map[string]pointed{"a": {1}}}
	taken := []any{nil, 1, "text", struct{}{}, map[string]struct{}{"a": {}}, half{1, 2}, promoted{}, time.Now(), &pointed{1}, []pointed{{1}}, textual{1},
		[]any{1}, json.RawMessage("1"), []byte("x"), map[string]any{}, node{}, struct{ A any }{}}
	testkit.Request(t, manager, nil, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		for range 2 { // the second answer comes from the cache
			for _, value := range refused {
				if err := s.Set("k", value); err == nil || !strings.Contains(err.Error(), "no exported fields") {
					t.Errorf("%T: %v", value, err)
				}
			}
			for _, value := range taken {
				if err := s.Set("k", value); err != nil {
					t.Errorf("%T: %v", value, err)
				}
			}
		}
		err := session.Key[hidden]("k").Update(s, func(h hidden) hidden { return h })
		if err == nil {
			t.Error("Update takes it")
		}
	})
}

// No value of a session reaches a log, also where the Session is inside of what is logged.
func TestSessionInsideOfWhatIsLoggedShowsNoValue(t *testing.T) {
	var out strings.Builder
	manager := testkit.NewManager(t, session.Config{Store: testkit.NewMemory()})
	testkit.Request(t, manager, nil, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		_ = s.Set("user", "hunter2")
		inside := struct {
			S    *session.Session
			List []*session.Session
		}{s, []*session.Session{s}}
		for _, logger := range []*slog.Logger{slog.New(slog.NewJSONHandler(&out, nil)), slog.New(slog.NewTextHandler(&out, nil))} {
			logger.Info("request", "inside", inside, "session", s, "map", map[string]any{"s": s})
		}
		text, err := json.Marshal(inside)
		if err != nil {
			t.Error(err)
		}
		fmt.Fprintf(&out, "%s %v %+v %#v %s", text, inside, s, s, s)
		if got := string(s.JSON()); got != `{"user":"hunter2"}` {
			t.Errorf("JSON returns %s", got)
		}
	})
	if strings.Contains(out.String(), "hunter2") || out.Len() == 0 {
		t.Errorf("logged: %s", out.String())
	}
}

// The error may reach a log.
func TestErrorOfDecodeDoesNotShowTheValue(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	manager := testkit.NewManager(t, session.Config{Store: b.Store})
	testkit.Request(t, manager, nil, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		_ = s.Set("pin", 4929.5)
		var n int
		if err := s.Decode("pin", &n); err == nil || strings.Contains(err.Error(), "4929") || !strings.Contains(err.Error(), "*int") {
			t.Errorf("got %v", err)
		}
	})
}
