package campaign

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/gomodule/redigo/redis"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/testkit"
	"github.com/sessionkv/session/redisstore"
)

// surface calls every exported function, well and badly.
var surface = map[string]func(p *play){
	"session.New": func(p *play) {
		_, err := session.New(session.Config{Cookie: session.Cookie{Name: "__Host-\n", Domain: "x", SameSite: 9}, MaxBytes: -1})
		p.tell(err)
	},
	"session.Load":            func(p *play) { s, err := session.Load(p.r.Context()); p.tell(s, err) },
	"session.Manager.Load":    func(p *play) { s, err := new(session.Manager).Load(p.r.Context()); p.tell(s, err) },
	"session.Manager.Handler": func(p *play) { defer func() { p.tell(recover()) }(); p.manager.Handler(nil) },
	"session.Manager.HandlerFunc": func(p *play) {
		defer func() { p.tell(recover()) }()
		p.manager.HandlerFunc(func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { p.tell(s) }).ServeHTTP(httptest.NewRecorder(), p.r)
		p.manager.HandlerFunc(nil)
	},
	"session.Peek":                 func(p *play) { s, err := session.Peek(p.r.Context()); p.tell(s, err) },
	"session.Manager.Peek":         func(p *play) { s, err := p.manager.Peek(p.r.Context()); p.tell(s, err) },
	"session.Session.IdleDeadline": func(p *play) { p.tell(p.s.IdleDeadline()) },
	"session.Session.ID":           func(p *play) { p.tell(p.s.ID()) },
	"session.Session.Deadline": func(p *play) {
		p.tell(p.s.Deadline())
	},
	"session.Session.Set": func(p *play) {
		p.tell(p.s.Set("user", secretValue), p.s.Set("f", func() {}), p.s.Set("_x", secretValue), p.s.Set("\xff", secretValue),
			p.s.Set("large", strings.Repeat(secretValue, 1000)))
	},
	"session.Session.Decode": func(p *play) {
		var n int
		var list []struct{ X int }
		p.tell(p.s.Decode("user", &n), p.s.Decode("user", &list), p.s.Decode("none", &n), p.s.Decode("user", nil))
	},
	"session.Session.Delete":         func(p *play) { p.s.Delete("user", "_x") },
	"session.Session.Clear":          func(p *play) { p.s.Clear() },
	"session.Session.Keys":           func(p *play) { p.tell(p.s.Keys()) },
	"session.Session.JSON":           func(p *play) { p.tell(len(p.s.JSON())) },
	"session.Session.Renew":          func(p *play) { p.tell(p.s.Renew()) },
	"session.Session.Destroy":        func(p *play) { p.s.Destroy(); p.tell(p.s.Set("n", secretValue)) },
	"session.Session.LogValue":       func(p *play) { p.tell(p.s.LogValue()) },
	"session.Session.Format":         func(p *play) { p.tell(p.s) },
	"session.Session.Discard":        func(p *play) { p.s.Discard() },
	"session.Session.AllowCrossSite": func(p *play) { p.s.AllowCrossSite() },
	"session.Session.Sync": func(p *play) {
		p.tell(p.s.Set("n", secretValue), p.s.Sync(p.r.Context()), p.s.Set("n", 1), p.s.Sync(p.r.Context()), p.s.Sync(p.r.Context()))
	},
	"session.Key.Get": func(p *play) { _, ok := visits.Get(p.s); p.tell(ok) },
	"session.Key.Set": func(p *play) { p.tell(session.Key[chan int]("user").Set(p.s, nil), user.Set(p.s, secretValue)) },
	"session.Key.Update": func(p *play) {
		p.tell(visits.Update(p.s, func(n int) int { return n + 1 }), session.Key[int]("user").Update(p.s, func(n int) int { return n }))
	},
	"session.Key.Has": func(p *play) { p.tell(user.Has(p.s)) },
	"session.Large.Set": func(p *play) {
		p.tell(session.Large[string]("report").Set(p.s, secretValue), session.Large[chan int]("report").Set(p.s, nil), p.s.Sync(p.r.Context()))
	},
	"session.Large.Get": func(p *play) {
		report := session.Large[string]("report")
		_, missing := report.Get(p.r.Context(), p.s)
		p.tell(report.Set(p.s, secretValue), p.s.Sync(p.r.Context()))
		_, mismatch := session.Large[int]("report").Get(p.r.Context(), p.s)
		_, err := report.Get(p.r.Context(), p.s)
		p.tell(missing, mismatch, err)
	},
	"session.Large.Has":    func(p *play) { p.tell(session.Large[string]("report").Has(p.s)) },
	"session.Large.Delete": func(p *play) { session.Large[string]("report").Delete(p.s) },
	"session.Key.Take": func(p *play) {
		p.tell(user.Set(p.s, secretValue))
		_, mismatch := session.Key[int]("user").Take(p.r.Context(), p.s)
		_, missing := session.Key[int]("missing").Take(p.r.Context(), p.s)
		_, err := user.Take(p.r.Context(), p.s)
		p.tell(mismatch, missing, err)
	},
	"session.Session.SignIn": func(p *play) {
		p.tell(p.s.SignIn(session.SignIn{}), p.s.SignIn(session.SignIn{User: secretValue, Class: 99}), p.s.SignIn(session.SignIn{User: secretValue, Stamp: "x"}),
			p.s.SignIn(session.SignIn{User: secretValue, Class: session.Remembered}), p.s.Sync(p.r.Context()))
	},
	"session.Session.Token": func(p *play) {
		config := p.config
		config.Bearer = true
		bearers, err := session.New(config)
		p.tell(err)
		bearers.HandlerFunc(func(_ http.ResponseWriter, r *http.Request, s *session.Session) {
			signIn := s.SignIn(session.SignIn{User: "alice"})
			_, err := s.Token(r.Context()) // which is what it is for
			p.tell(signIn, err, s)
		}).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
		defer func() { p.tell(recover()) }()
		_, err = p.s.Token(p.r.Context())
		p.tell(err)
	},
	"session.Session.Watch": func(p *play) { p.tell(p.s.Watch(p.r.Context(), time.Hour)) },
	"session.Event.LogValue": func(p *play) {
		p.tell(p.s.Set("user", secretValue), p.s.Sync(p.r.Context()))
		for _, e := range p.events {
			p.tell(e, e.LogValue(), e.Err)
		}
	},
	"session.EventKind.String": func(p *play) { p.tell(session.EventLoad) },
	"session.Outcome.String":   func(p *play) { p.tell(session.OutcomeGone) },
	"session.Session.DeviceBound": func(p *play) {
		config := p.config
		config.DeviceBound = "/.device"
		binding, err := session.New(config)
		p.tell(p.s.DeviceBound(), err)
		handler := binding.HandlerFunc(func(_ http.ResponseWriter, r *http.Request, s *session.Session) {
			p.tell(s.SignIn(session.SignIn{User: secretValue}), s.Sync(r.Context()), s.DeviceBound(), s, s.ID())
		})
		signIn := httptest.NewRecorder()
		handler.ServeHTTP(signIn, httptest.NewRequest("POST", "https://example.com/", nil))
		for _, header := range []string{"Secure-Session-Response", "Sec-Secure-Session-Id"} {
			r := httptest.NewRequest("POST", "https://example.com/.device", nil)
			r.Header.Set(header, secretValue)
			handler.ServeHTTP(httptest.NewRecorder(), r)
		}
	},
	"session.Session.User":     func(p *play) { p.tell(p.s.User() == "") },
	"session.Session.SignedIn": func(p *play) { p.tell(p.s.SignedIn()) },
	"session.Session.Class":    func(p *play) { p.tell(p.s.Class()) },
	"session.Session.LastUsed": func(p *play) { p.tell(p.s.LastUsed()) },
	"session.Session.Ended":    func(p *play) { p.tell(p.s.Ended()) },
	"session.Session.EndOthers": func(p *play) {
		p.tell(p.s.EndOthers(session.ByUser), p.s.SignIn(session.SignIn{User: secretValue}), p.s.EndOthers(0), p.s.EndOthers(session.ByUser),
			p.s.Sync(p.r.Context()))
	},
	"session.Manager.Stamp": func(p *play) {
		stamp, err := p.manager.Stamp(p.r.Context(), secretValue)
		_, missing := p.manager.Stamp(p.r.Context(), "")
		p.tell(stamp, err, missing)
	},
	"session.Manager.List": func(p *play) {
		p.tell(p.s.SignIn(session.SignIn{User: secretValue}), p.s.Sync(p.r.Context()))
		list, err := p.manager.List(p.r.Context(), secretValue)
		p.tell(list, err)
		for _, s := range list {
			p.tell(s, s.Set("n", secretValue), s.Sync(p.r.Context()))
		}
	},
	"session.Manager.End": func(p *play) {
		p.tell(p.s.SignIn(session.SignIn{User: secretValue}), p.s.Sync(p.r.Context()),
			p.manager.End(p.r.Context(), secretValue, p.s.ID(), 0), p.manager.End(p.r.Context(), "", p.s.ID(), 1),
			p.manager.End(p.r.Context(), "another", p.s.ID(), session.ByOperator),
			p.manager.End(p.r.Context(), secretValue, p.s.ID(), session.ByOperator), p.s.Sync(p.r.Context()), p.s.Ended())
	},
	"session.Manager.EndAll": func(p *play) {
		p.tell(p.s.SignIn(session.SignIn{User: secretValue}), p.s.Sync(p.r.Context()), p.manager.EndAll(p.r.Context(), "", 9),
			p.manager.EndAll(p.r.Context(), secretValue, session.CredentialChanged), p.s.Sync(p.r.Context()), p.s.Ended())
	},
	"session.Reason.String": func(p *play) { p.tell(session.OverLimit.String(), session.Reason(99).String()) },
	"session.Key.Pop":       func(p *play) { _, ok := user.Pop(p.s); p.tell(ok) },
	"session.Key.Delete":    func(p *play) { user.Delete(p.s) },

	"memstore.Store.Advance": func(p *play) { p.memory.Advance(time.Second) },
	"memstore.Store.Load": func(p *play) {
		_, err := p.memory.Load(p.r.Context(), p.s.ID(), time.Minute)
		p.tell(p.memory, err)
	},
	"memstore.Store.Peek": func(p *play) { _, ttl, err := p.memory.Peek(p.r.Context(), p.s.ID()); p.tell(ttl, err) },
	"memstore.Store.Save": func(p *play) {
		_, err := p.memory.Save(p.r.Context(), p.s.ID(), nil, []byte(`{"_rev":"x","v":"`+secretValue+`"}`), time.Minute)
		_, err2 := p.memory.Save(p.r.Context(), p.s.ID(), nil, []byte(secretValue), time.Minute)
		p.tell(p.memory, err, err2)
	},
	"memstore.Store.Delete": func(p *play) { _, err := p.memory.Delete(p.r.Context(), p.s.ID(), nil); p.tell(err) },

	"redisstore.Open": func(p *play) {
		store, err := redisstore.Open("redis://:"+secretValue+"@host:port/x?y#z", redisstore.Options{})
		p.tell(store, err)
	},
	"redisstore.New": func(p *play) {
		defer func() { p.tell(recover()) }()
		redisstore.New(&redis.Pool{}, redisstore.Options{Prefix: "{"})
	},
	"redisstore.NewWithClient": func(p *play) {
		defer func() { p.tell(recover()) }()
		store := redisstore.NewWithClient(silent{}, redisstore.Options{})
		_, err := store.Load(p.r.Context(), p.s.ID(), time.Minute)
		p.tell(store, err, store.Ping(p.r.Context()))
		redisstore.NewWithClient(nil, redisstore.Options{})
	},
	"redisstore.OpenSentinel": func(p *play) {
		_, err := redisstore.OpenSentinel(redisstore.SentinelConfig{Addrs: []string{secretValue + "/"}, Password: secretValue, Database: -1}, redisstore.Options{})
		p.tell(err)
	},
	"redisstore.Refusal.Error": func(p *play) {
		var refused redisstore.Refusal
		if errors.As(p.store.Ping(p.r.Context()), &refused) {
			p.tell(refused.Error())
		}
	},
	"redisstore.Store.Ping":  func(p *play) { p.tell(p.store.Ping(p.r.Context())) },
	"redisstore.Store.Close": func(p *play) { p.tell(p.store.Close(), p.store.Ping(p.r.Context())) },
	"redisstore.Store.Load": func(p *play) {
		_, err := p.store.Load(p.r.Context(), p.s.ID(), time.Minute)
		p.tell(err)
	},
	"redisstore.Store.Peek": func(p *play) { _, ttl, err := p.store.Peek(p.r.Context(), p.s.ID()); p.tell(ttl, err) },
	"redisstore.Store.Save": func(p *play) {
		_, err := p.store.Save(p.r.Context(), p.s.ID(), nil, []byte(`{"_rev":"x","v":"`+secretValue+`"}`), time.Minute)
		_, err2 := p.store.Save(p.r.Context(), p.s.ID(), []byte(`{"_rev":"x","v":"`+secretValue+`"}`), []byte(secretValue), time.Minute)
		p.tell(err, err2)
	},
	"redisstore.Store.Delete": func(p *play) { _, err := p.store.Delete(p.r.Context(), p.s.ID(), nil); p.tell(err) },
}

func init() {
	maps.Copy(surface, usersSurface("memstore.Store.", func(p *play) driver.Users { return p.memory }))
	maps.Copy(surface, usersSurface("redisstore.Store.", func(p *play) driver.Users { return p.store }))
	maps.Copy(surface, largeSurface("memstore.Store.", func(p *play) driver.Large { return p.memory }))
	maps.Copy(surface, largeSurface("redisstore.Store.", func(p *play) driver.Large { return p.store }))
}

// largeSurface calls what a store has of large values.
func largeSurface(prefix string, of func(p *play) driver.Large) map[string]func(p *play) {
	return map[string]func(p *play){
		prefix + "LoadLarge": func(p *play) { _, err := of(p).LoadLarge(p.r.Context(), p.s.ID(), time.Minute); p.tell(err) },
		prefix + "SaveLarge": func(p *play) {
			part := driver.Part{Name: "report:x", Text: []byte(secretValue)}
			_, err := of(p).SaveLarge(p.r.Context(), p.s.ID(), nil, []byte(`{"_rev":"x","v":"`+secretValue+`"}`), time.Minute, part)
			p.tell(err)
		},
		prefix + "Part":        func(p *play) { _, err := of(p).Part(p.r.Context(), p.s.ID(), "report:x"); p.tell(err) },
		prefix + "RemoveParts": func(p *play) { p.tell(of(p).RemoveParts(p.r.Context(), p.s.ID(), "report:x")) },
	}
}

// usersSurface calls what a store has of users. The user of the store is a hash, never a name.
func usersSurface(prefix string, of func(p *play) driver.Users) map[string]func(p *play) {
	const name = "0123456789abcdef0123"
	surface := map[string]func(p *play){}
	for method, call := range map[string]func(ctx context.Context, users driver.Users) (any, error){
		"Stamp": func(ctx context.Context, users driver.Users) (any, error) { return users.Stamp(ctx, name) },
		"Add": func(ctx context.Context, users driver.Users) (any, error) {
			_, refused := users.Add(ctx, driver.Entry{ID: name + ":1", Stamp: "another", Keep: time.Minute})
			over, err := users.Add(ctx, driver.Entry{ID: name + ":1", Keep: time.Minute, Limit: 1})
			return over, errors.Join(refused, err)
		},
		"Replace": func(ctx context.Context, users driver.Users) (any, error) {
			return nil, users.Replace(ctx, name+":1", driver.Entry{ID: name + ":2", Keep: time.Minute})
		},
		"Remove": func(ctx context.Context, users driver.Users) (any, error) { return nil, users.Remove(ctx, name+":1") },
		"RemoveOthers": func(ctx context.Context, users driver.Users) (any, error) {
			return users.RemoveOthers(ctx, name+":1")
		},
		"RemoveAll": func(ctx context.Context, users driver.Users) (any, error) { return users.RemoveAll(ctx, name) },
		"Bury": func(ctx context.Context, users driver.Users) (any, error) {
			return nil, users.Bury(ctx, []byte(`{"_rev":"x","v":"`+secretValue+`"}`), time.Minute, name+":1", name+":2")
		},
		"Members": func(ctx context.Context, users driver.Users) (any, error) {
			members, err := users.Members(ctx, name)
			return len(members), err
		},
	} {
		surface[prefix+method] = func(p *play) {
			result, err := call(p.r.Context(), of(p))
			p.tell(result, err)
		}
	}
	return surface
}

// weathers are what can have happened to Redis when a function is called.
var weathers = map[string]func(mini *miniredis.Miniredis, id string){
	"fair": func(*miniredis.Miniredis, string) {},
	"down": func(mini *miniredis.Miniredis, _ string) { mini.Close() },
	"full": func(mini *miniredis.Miniredis, _ string) {
		mini.SetError("OOM command not allowed when used memory > 'maxmemory'.")
	},
	"flushed": func(mini *miniredis.Miniredis, _ string) { mini.FlushAll() },
	"old": func(mini *miniredis.Miniredis, id string) {
		mini.SetError("ERR unknown command 'GETEX', with args beginning with: 'session:" + id + "' '{\"user\":\"" + secretValue + "\"}' ")
	},
	"overwritten by another request": func(mini *miniredis.Miniredis, id string) {
		_ = mini.Set("session:"+id, `{"visits":"`+secretValue+`","user":[{"x":"`+secretValue+`"}]}`)
	},
	"overwritten by what is no session": func(mini *miniredis.Miniredis, id string) { _ = mini.Set("session:"+id, `{"user":"`+secretValue) },
	"overwritten by another type": func(mini *miniredis.Miniredis, id string) {
		mini.FlushAll()
		_, _ = mini.RPush("session:"+id, secretValue)
	},
}

// TestNothingSaysAToken calls everything that is exported, before and after Redis fails in all its ways, and looks for
// tokens and values in what is returned and logged.
func TestNothingSaysAToken(t *testing.T) {
	t.Parallel()
	functions, more := exported(t, "session")
	memory, _ := exported(t, "memstore")
	redis, _ := exported(t, "redisstore")
	stores := append(memory, redis...)
	stores = slices.DeleteFunc(stores, func(name string) bool { // what printEveryWay calls
		return slices.Contains([]string{"String", "GoString", "Format", "LogValue", "MarshalJSON", "MarshalText"}, name[strings.LastIndex(name, ".")+1:])
	})
	if got, want := slices.Sorted(maps.Keys(surface)), append(stores, functions...); !slices.Equal(got, want) {
		t.Errorf("the test calls %q\nexported are %q", got, want)
	}
	if len(more) == 0 {
		t.Error("nothing is exported")
	}
	loggedErrors := 0
	for function, call := range surface {
		for weather, turn := range weathers {
			for _, early := range []bool{true, false} {
				name := fmt.Sprintf("%s, Redis is %s, before Load: %v", function, weather, early)
				b, mini := testkit.MiniRedis(t)
				var output testkit.Logs
				logger := slog.New(slog.NewJSONHandler(&output, &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true}))
				p := newPlay(t, b, logger)
				p.manager = testkit.NewManager(t, p.config)
				cookies, id := testkit.Begin(t, p.manager, map[string]any{"user": secretValue, "visits": 1})
				if early {
					turn(mini, id)
				}
				r := httptest.NewRequest("GET", "https://example.com/", nil)
				r.AddCookie(cookies[0])
				w := httptest.NewRecorder()
				p.manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					s, err := session.Load(r.Context())
					p.tell(s, err)
					if err != nil {
						return
					}
					p.w, p.r, p.s = w, r, s
					if !early {
						turn(mini, id)
					}
					call(p)
					_, err = fmt.Fprint(w, "x")
					p.tell(err)
					call(p)
				})).ServeHTTP(w, r)
				if p.s != nil {
					call(p)
				}
				tokens := append(tokensOf(cookies), tokensOf(w.Result().Cookies())...)
				findSecrets(t, name+", told", p.told.String(), append(tokens, secretValue)...)
				findSecrets(t, name+", logged", output.String(), append(tokens, secretValue)...)
				findSecrets(t, name+", answered", w.Body.String(), append(tokens, secretValue)...)
				if strings.Contains(output.String(), "session unavailable") {
					loggedErrors++
				}
			}
		}
	}
	if loggedErrors < 10 {
		t.Errorf("only %d failed saves were logged", loggedErrors)
	}
}
