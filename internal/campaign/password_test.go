package campaign

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/internal/testkit"
	"github.com/sessionkv/session/redisstore"
)

// TestRedisstoreShowsNoPassword opens a store with a password that is right, wrong, not wanted or not understood, and
// prints all that it says.
func TestRedisstoreShowsNoPassword(t *testing.T) {
	t.Parallel()
	const password = "correct horse battery staple"
	const escaped = "correct%20horse%20battery%20staple"
	tests := map[string]struct {
		server func(mini *miniredis.Miniredis)
		fails  bool
	}{
		"right":      {func(mini *miniredis.Miniredis) { mini.RequireAuth(password) }, false},
		"wrong":      {func(mini *miniredis.Miniredis) { mini.RequireAuth("another") }, true},
		"not wanted": {func(*miniredis.Miniredis) {}, true},
		"not understood": {func(mini *miniredis.Miniredis) {
			mini.SetError("ERR unknown command 'AUTH', with args beginning with: '" + password + "' ")
		}, true},
		"down": {func(mini *miniredis.Miniredis) { mini.Close() }, true},
	}
	for name, test := range tests {
		for _, user := range []string{"", "default", password} {
			t.Run(name+" "+user, func(t *testing.T) {
				mini := miniredis.RunT(t)
				address := mini.Addr()
				test.server(mini)
				var output testkit.Logs
				p := &play{}
				for _, text := range []string{
					"redis://" + strings.ReplaceAll(user, " ", "%20") + ":" + escaped + "@" + address,
					"redis://" + user + ":" + password + "@" + address,
					"redis://:" + escaped + "@" + address + "/" + escaped,
					password, password + ":1", "unix://:" + escaped + "@host/x", "http://:" + escaped + "@host", "rediss://:" + escaped + "@" + address,
				} {
					store, err := redisstore.Open(text, redisstore.Options{})
					p.tell(store, err)
					if err != nil {
						continue
					}
					p.told.WriteString(printEveryWay(store) + printEveryWay(reflect.ValueOf(store).Elem().Interface()))
					err = store.Ping(t.Context())
					if strings.HasPrefix(text, "redis://") && (err != nil) != (test.fails || user == password) {
						t.Errorf("Ping: %v", err)
					}
					_, loading := store.Load(t.Context(), "1", time.Minute)
					_, saving := store.Save(t.Context(), "1", nil, []byte("{}"), time.Minute)
					_, deleting := store.Delete(t.Context(), "1", nil)
					p.tell(err, loading, saving, deleting)
					manager := testkit.NewManager(t, session.Config{Store: store, Logger: output.Logger()})
					testkit.Request(t, manager, nil, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { _ = s.Set("n", 1) })
					p.told.WriteString(printEveryWay(manager))
					p.tell(store.Close(), store.Ping(t.Context()))
				}
				findSecrets(t, "told", p.told.String(), password, escaped)
				findSecrets(t, "logged", output.String(), password, escaped)
				if test.fails && !strings.Contains(output.String(), "session unavailable") {
					t.Errorf("log: %s", output.String())
				}
			})
		}
	}
}

// TestSentinelShowsNoPassword prints the exported values that hold secrets, and what their Store says.
func TestSentinelShowsNoPassword(t *testing.T) {
	t.Parallel()
	const password, second = "correct horse battery staple", "a second one for the sentinels"
	config := redisstore.SentinelConfig{
		Addrs: []string{"127.0.0.1:1"}, Master: "mymaster",
		Username: "app", Password: password, SentinelUsername: "watcher", SentinelPassword: second,
	}
	options := redisstore.Options{
		TLS:         &tls.Config{Certificates: []tls.Certificate{{PrivateKey: []byte(password)}}, ServerName: second},
		Credentials: func(context.Context) (_, _ string, err error) { return password, second, nil },
	}
	var printed strings.Builder // only so far as fmt asks a struct how to print it: not for %p and %w, not in an unexported field
	for _, v := range []any{config, &config, []any{config}, map[string]any{"v": config}, struct{ V any }{config},
		options, &options, []any{options}, map[string]any{"v": options}, struct{ V any }{options}} {
		for _, verb := range "vTtbcdoOqxXUeEfFgGs" {
			fmt.Fprintf(&printed, "%"+string(verb)+"%+"+string(verb)+"%#"+string(verb), v, v, v)
		}
		text, err := json.Marshal(v)
		fmt.Fprintf(&printed, "%s %v\n", text, err)
		slog.New(slog.NewTextHandler(&printed, nil)).Info("message", "value", v)
		slog.New(slog.NewJSONHandler(&printed, nil)).Info("message", "value", v)
	}
	findSecrets(t, "what is printed", printed.String(), password, second)
	store, err := redisstore.OpenSentinel(config, options)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	p := &play{}
	_, loading := store.Load(t.Context(), "1", time.Minute)
	p.tell(store, loading, store.Ping(t.Context()))
	findSecrets(t, "the Store", printEveryWay(store), password, second)
	findSecrets(t, "its errors", p.told.String(), password, second)
	config.Addrs, config.Database = []string{password + ":" + second + "@host"}, -1
	if _, err := redisstore.OpenSentinel(config, options); err == nil {
		t.Error("a SentinelConfig with faults was opened")
	} else {
		findSecrets(t, "the error", printEveryWay(err), password, second)
	}
}
