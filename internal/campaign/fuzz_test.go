package campaign

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/internal/testkit"
)

// FuzzCookieHeader sends any bytes as cookies to a handler that reads and writes its session. It is never answered with
// an error, and the store is never asked for anything but a well-formed ID.
func FuzzCookieHeader(f *testing.F) {
	token, id := testkit.LiveToken()
	for _, header := range []string{
		"", "__Host-session=" + token, "__Host-session=" + token + "; __Host-session=junk", "__Host-session=\"" + token + "\"",
		"__Host-session= " + token, "__Host-session=" + token + "=", "__host-session=" + token, "$Version=1; __Host-session=" + token,
		"__Host-session=" + strings.Repeat("A", 70000), strings.Repeat("a=b; ", 3001) + "__Host-session=" + token,
		"__Host-session=" + token + "\r\nX: y", "__Host-session=" + token + "\x00", "\u2000__Host-session=" + token, "=__Host-session=" + token,
		"__Host-session=" + strings.Repeat("-", 43), "__Host-session=;;;=;", "__Host-session=AP" + strings.Repeat("A", 40) + "B",
	} {
		f.Add(header)
	}
	f.Add("__Host-session=AffffAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA") // of a user
	f.Fuzz(func(t *testing.T, header string) {
		store := testkit.NewMemory()
		store.Put(id, `{"n":1}`)
		manager := testkit.NewManager(t, session.Config{Store: store})
		r := httptest.NewRequest("GET", "/", nil)
		r.Header["Cookie"] = []string{header}
		w := httptest.NewRecorder()
		manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s := testkit.Load(t, r)
			if s.ID() != "" && s.ID() != id {
				t.Errorf("ID %q", s.ID())
			}
			if err := visits.Update(s, func(n int) int { return n + 1 }); err != nil {
				t.Error(err)
			}
		})).ServeHTTP(w, r)
		if w.Code != 200 || len(w.Header()["Set-Cookie"]) > 1 {
			t.Errorf("status %d, headers %v", w.Code, w.Header())
		}
		for _, id := range store.Asked() {
			if !testkit.IsID(id) {
				t.Errorf("the store was asked for %q", id)
			}
		}
	})
}

// FuzzStoredValue puts any bytes under the key of a session. The request is never answered with an error; what is no JSON
// object is left alone, and what is one keeps its members.
func FuzzStoredValue(f *testing.F) {
	for _, value := range []string{
		"", "{}", "null", "[]", `{"n":1}`, `{"_rev":"abc","n":1}`, `{"_rev":1}`, `{"n":"text"}`, `{"n":1e400}`, `{"a":"\ud800","n":9007199254740993}`,
		`{"n":1,"n":2}`, `{"\u006e":1}`, ` { "n" : 1 } `, `{"n":1}x`, `{"n":`, "\xff", `{"` + strings.Repeat("a", 200) + `":0}`, strings.Repeat(`{"a":`, 10001),
	} {
		f.Add([]byte(value))
	}
	token, id := testkit.LiveToken()
	cookie := &http.Cookie{Name: "__Host-session", Value: token}
	f.Fuzz(func(t *testing.T, value []byte) {
		store := testkit.NewMemory()
		store.Put(id, string(value))
		manager := testkit.NewManager(t, session.Config{Store: store, Logger: new(testkit.Logs).Logger(), MaxBytes: 512 << 20})
		response := testkit.Request(t, manager, []*http.Cookie{cookie}, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
			if text := s.JSON(); !json.Valid(text) {
				t.Errorf("JSON: %s", text)
			}
			s.Keys()
			visits.Get(s)
			if err := s.Set("new", "value"); err != nil {
				t.Error(err)
			}
		})
		if response.StatusCode != 200 {
			t.Errorf("status %d", response.StatusCode)
		}
		var before, after map[string]json.RawMessage
		if json.Unmarshal(value, &before) != nil || before == nil {
			if got := store.Stored()[id]; got != string(value) {
				t.Errorf("%q became %q", value, got)
			}
			return
		}
		if err := json.Unmarshal([]byte(store.Stored()[id]), &after); err != nil {
			t.Fatalf("%q became %q: %v", value, store.Stored()[id], err)
		}
		for name, text := range before {
			if name != "_rev" && name != "new" && string(after[name]) != string(text) {
				t.Errorf("member %q: %s became %s", name, text, after[name])
			}
		}
		if string(after["new"]) != `"value"` {
			t.Errorf("stored %s", store.Stored()[id])
		}
	})
}

// FuzzSet sets any bytes under any key. What Set accepts, the next request reads with the same text, as encoding/json
// compacts it, and the other values stay. encoding/json may write U+2028 and U+2029 as escapes.
func FuzzSet(f *testing.F) {
	for _, text := range []string{
		"", "null", "1", `"<a&b>"`, ` { "a" : [ 1 , 2 ] } `, `{"a":1,"a":2}`, "\"\u2028\"", `"\u003c"`, `"\ud800"`, "\"\xff\"", "1e400", "01", "\ufeff1",
		strings.Repeat("[", 9999) + strings.Repeat("]", 9999), strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000),
	} {
		f.Add("key", []byte(text))
	}
	for _, key := range []string{"", "n", "_own", "\"", "\\u0061", "\xff", "\x00", "<", "\u2028", "\ufffd"} {
		f.Add(key, []byte("[1]"))
	}
	f.Fuzz(func(t *testing.T, key string, text []byte) {
		manager := testkit.NewManager(t, session.Config{Store: testkit.NewMemory()})
		cookies, _ := testkit.Begin(t, manager, map[string]any{"n": 1})
		var refused error
		testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
			refused = s.Set(key, json.RawMessage(text))
		})
		separators := strings.NewReplacer("\u2028", `\u2028`, "\u2029", `\u2029`)
		var want bytes.Buffer
		if refused == nil && text == nil {
			want.WriteString("null")
		} else if err := json.Compact(&want, text); refused == nil && err != nil {
			t.Fatalf("Set accepts %q under %q", text, key)
		}
		testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
			var got json.RawMessage
			if err := s.Decode(key, &got); refused == nil && (err != nil || separators.Replace(string(got)) != separators.Replace(want.String())) {
				t.Errorf("%q under %q became %q, %v", text, key, got, err)
			}
			if n, ok := session.Key[int]("n").Get(s); key != "n" && (n != 1 || !ok) {
				t.Errorf("after %q was set under %q, n is %d, %v", text, key, n, ok)
			}
		})
	})
}

// FuzzOperations runs any sequence of calls on a session, in two requests that may overlap. None panics, none is answered
// with an error, and what is stored in the end is a JSON object.
func FuzzOperations(f *testing.F) {
	f.Add([]byte("sudcrDwSg"), "key", "value")
	f.Add([]byte("sSrSDSsw"), "_key", "\x00")
	f.Add([]byte("oswoudDo"), "\xff", "<a>")
	f.Add([]byte("rsowcsSDrs"), "", "\"")
	f.Add([]byte("wsorcsSD"), "key", "a save after a late Renew")
	f.Fuzz(func(t *testing.T, operations []byte, key, value string) {
		store := testkit.NewMemory()
		manager := testkit.NewManager(t, session.Config{Store: store})
		cookies, _ := testkit.Begin(t, manager, map[string]any{"n": 1})
		response := testkit.Request(t, manager, cookies, func(w http.ResponseWriter, r *http.Request, s *session.Session) {
			for i, operation := range operations[:min(len(operations), 100)] {
				operate(t, manager, cookies, w, r, s, operation, key, value, i)
			}
		})
		if response.StatusCode != 200 || len(response.Header["Set-Cookie"]) > 1 {
			t.Errorf("status %d, headers %v", response.StatusCode, response.Header)
		}
		for id, stored := range store.Stored() {
			if !testkit.IsID(id) || !json.Valid([]byte(stored)) || !strings.HasPrefix(stored, `{"_rev":"`) {
				t.Errorf("%q holds %q", id, stored)
			}
		}
	})
}

func operate(t *testing.T, manager *session.Manager, cookies []*http.Cookie, w http.ResponseWriter, r *http.Request, s *session.Session, operation byte, key, value string, i int) {
	switch operation {
	case 's':
		_ = s.Set(key, value)
	case 'u':
		_ = session.Key[string](key).Update(s, func(old string) string { return old + value })
	case 'p':
		session.Key[string](key).Pop(s)
	case 'd':
		s.Delete(key, "n")
	case 'c':
		s.Clear()
	case 'r':
		_ = s.Renew()
	case 'D':
		s.Destroy()
	case 'w':
		if i%2 == 0 {
			w.WriteHeader(http.StatusOK)
		} else {
			_, _ = w.Write([]byte("x"))
		}
	case 'S':
		if err := s.Sync(r.Context()); err != nil && !errors.Is(err, session.ErrEnded) {
			t.Errorf("Save: %v", err)
		}
	case 'o':
		testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, other *session.Session) {
			_ = other.Set("other", i)
		})
	case 'x':
		testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, other *session.Session) { other.Destroy() })
	default:
		_ = s.Decode(key, &value)
		s.Keys()
	}
}
