package campaign

import (
	"encoding/base64"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/internal/redistest"
	"github.com/sessionkv/session/internal/testkit"
	"github.com/sessionkv/session/redisstore"
)

// secretValue is a session's value that no error and no log may repeat, and that is well apart from all else.
const secretValue = "4929-1111-2222-3333"

// spellings are the ways in which a program prints a secret that it does not know to be one.
func spellings(secret string) []string {
	texts := []string{secret}
	for _, verb := range []string{"%x", "%X", "% x", "% X", "%#x", "%q", "%d", "%#v", "%o", "%b", "%U", "%c"} {
		for _, value := range []any{secret, []byte(secret), []rune(secret)} {
			text := strings.Trim(strings.TrimPrefix(fmt.Sprintf(verb, value), "[]byte"), `[]{}"`)
			if !strings.Contains(text, "%!") {
				texts = append(texts, text)
			}
		}
	}
	if raw, err := base64.RawURLEncoding.DecodeString(secret); err == nil {
		texts = append(texts, string(raw), fmt.Sprintf("%x", raw), fmt.Sprintf("%X", raw), base64.StdEncoding.EncodeToString(raw),
			strings.Trim(fmt.Sprint(raw), "[]"))
	}
	return append(texts, base64.StdEncoding.EncodeToString([]byte(secret)), secret[len(secret)/3:])
}

// findSecrets reports the secrets that text holds in any spelling.
func findSecrets(t *testing.T, where, text string, secrets ...string) {
	t.Helper()
	for _, secret := range secrets {
		if secret == "" {
			continue
		}
		for _, spelling := range spellings(secret) {
			if at := strings.Index(text, spelling); at >= 0 {
				t.Errorf("%s: %q is in …%.300q", where, spelling, text[max(0, at-100):])
				return
			}
		}
	}
}

// tokensOf returns the tokens that a response sets.
func tokensOf(cookies []*http.Cookie) (tokens []string) {
	for _, cookie := range cookies {
		tokens = append(tokens, cookie.Value)
	}
	return tokens
}

// printEveryWay prints v in every way that the standard library has, on its own and inside of other values.
func printEveryWay(v any) string {
	var out strings.Builder
	for _, verb := range "vTtbcdoOqxXUeEfFgGspw" {
		for _, flags := range []string{"", "+", "#", "-", " ", "0", "+#", "80.80"} {
			fmt.Fprintf(&out, "%"+flags+string(verb)+"\n", v)
		}
	}
	type open struct{ V any }
	type hidden struct{ v any }
	for _, v := range []any{v, &v, []any{v}, map[string]any{"v": v}, open{v}, hidden{v}, &open{v}, &hidden{v}, errors.Join(fmt.Errorf("%v", v))} {
		fmt.Fprintf(&out, "%v\n%+v\n%#v\n%s\n", v, v, v, v)
		fmt.Fprintln(&out, v)
		text, err := json.Marshal(v)
		fmt.Fprintf(&out, "%s %v\n", text, err)
		text, err = xml.Marshal(v)
		fmt.Fprintf(&out, "%s %v\n", text, err)
		fmt.Fprintln(&out, gob.NewEncoder(&out).Encode(v))
		for _, handler := range []slog.Handler{
			slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true}),
			slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}),
		} {
			slog.New(handler).With("with", v).WithGroup("group").Debug("message", "value", v, slog.Group("inner", "v", v))
		}
		log.New(&out, "", log.LstdFlags).Println(v)
	}
	return out.String()
}

// A3, CVE-2019-16782: a session's whole life leaves no token in Redis: not in a key or value, not in what MONITOR and
// SLOWLOG show of the commands, not in its files.
func TestRedisNeverSeesAToken(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always", "--rdbcompression", "no", "--slowlog-log-slower-than", "0", "--slowlog-max-len", "10000")
	b := testkit.NewBackend(t, server.Addr())
	lines := monitor(t, server)
	pool := &redis.Pool{Dial: func() (redis.Conn, error) { return redis.Dial("tcp", server.Addr()) }, MaxIdle: 4}
	defer pool.Close()
	var tokens, ids []string
	for _, options := range []redisstore.Options{{}, {NoScripts: true}} {
		manager := testkit.NewManager(t, session.Config{Store: redisstore.New(pool, options), Logger: new(testkit.Logs).Logger()})
		cookies, id := testkit.Begin(t, manager, map[string]any{"user": "alice"})
		ids, tokens = append(ids, id), append(tokens, cookies[0].Value)
		for _, name := range slices.Sorted(maps.Keys(testkit.SlowWorks())) {
			response := testkit.Request(t, manager, cookies, func(w http.ResponseWriter, r *http.Request, s *session.Session) {
				_ = s.Set("first", name)
				if name == "writes" { // a conflict
					testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { _ = s.Set("other", 1) })
				}
				testkit.SlowWorks()[name](w, s)
				_ = s.Sync(r.Context())
			})
			for _, cookie := range response.Cookies() {
				if cookie.MaxAge == 0 {
					cookies = []*http.Cookie{cookie}
					tokens = append(tokens, cookie.Value)
				}
			}
		}
		tokens = append(tokens, playUsers(t, manager)...)
		tokens = append(tokens, testkit.Forge(time.Now().Add(time.Hour)))
		testkit.Values(t, manager, testkit.Carrying(tokens[len(tokens)-1]))
	}
	seen := map[string]string{"MONITOR": lines(), "SLOWLOG": fmt.Sprintf("%q", b.Do("SLOWLOG", "GET", -1))}
	for _, key := range b.Keys(t) {
		value, err := redis.String(b.Do("GET", key), nil)
		seen["key "+key] = fmt.Sprint(key, value, err)
	}
	b.Do("SAVE")
	folder, err := redis.Strings(b.Do("CONFIG", "GET", "dir"), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = filepath.WalkDir(folder[1], func(path string, entry fs.DirEntry, _ error) error {
		if entry.Type().IsRegular() {
			text, err := os.ReadFile(path)
			seen[filepath.Base(path)] = string(text)
			return err
		}
		return nil
	})
	if len(tokens) < 18 {
		t.Errorf("only %d tokens", len(tokens))
	}
	for where, text := range seen {
		findSecrets(t, where, text, tokens...)
	}
	for _, where := range []string{"MONITOR", "SLOWLOG", "dump.rdb", "appendonly.aof.1.incr.aof"} {
		if text := seen[where]; !strings.Contains(text, "session:") {
			t.Errorf("%s shows no session at all: %.200q", where, text)
		}
	}
	if !strings.Contains(seen["MONITOR"], ids[0]) {
		t.Error("MONITOR shows no ID")
	}
}

// playUsers lets a user sign in on several devices, renew, and end sessions in every way, and returns the tokens.
func playUsers(t *testing.T, manager *session.Manager) (tokens []string) {
	t.Helper()
	stamp, err := manager.Stamp(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	sign := func(cookies []*http.Cookie, change func(s *session.Session) error) []*http.Cookie {
		response := testkit.Request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
			if err := change(s); err != nil {
				t.Error(err)
			}
		})
		tokens = append(tokens, tokensOf(response.Cookies())...)
		return response.Cookies()
	}
	signIn := func(s *session.Session) error { return s.SignIn(session.SignIn{User: "alice", Stamp: stamp}) }
	var devices [][]*http.Cookie
	for range 4 {
		visitor, _ := testkit.Begin(t, manager, map[string]any{"n": 1})
		tokens = append(tokens, tokensOf(visitor)...)
		devices = append(devices, sign(visitor, signIn))
	}
	renewed := sign(devices[0], (*session.Session).Renew)
	list, err := manager.List(t.Context(), "alice")
	if err != nil || len(list) != 4 {
		t.Fatalf("%d sessions, %v", len(list), err)
	}
	for _, end := range []error{
		manager.End(t.Context(), "alice", list[0].ID(), session.ByOperator),
		manager.EndAll(t.Context(), "bob", session.ByOperator),
	} {
		if end != nil {
			t.Error(end)
		}
	}
	sign(renewed, func(s *session.Session) error { return s.EndOthers(session.ByUser) })
	if err := manager.EndAll(t.Context(), "alice", session.CredentialChanged); err != nil {
		t.Error(err)
	}
	return tokens
}

// monitor returns a function that ends a MONITOR and returns what it showed.
func monitor(t *testing.T, server *redistest.Server) func() string {
	t.Helper()
	conn := server.Dial(t)
	if _, err := conn.Do("MONITOR"); err != nil {
		t.Fatal(err)
	}
	return func() string {
		const end = "the end of the MONITOR"
		server.Do(t, "ECHO", end)
		var text strings.Builder
		for !strings.Contains(text.String(), end) {
			line, err := redis.String(conn.Receive())
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintln(&text, line)
		}
		return text.String()
	}
}
