package session_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"go/ast"
	"io/fs"
	"log"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/gomodule/redigo/redis"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/redistest"
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

// print prints v in every way that the standard library has, on its own and inside of other values.
func print(v any) string {
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

// printable are the values that a program has in its hands, by the names of the exported types and variables.
func printable(p *play) map[string]any {
	return map[string]any{
		"session.Session":        p.s,
		"session.Manager":        p.manager,
		"session.Manager copied": reflect.ValueOf(p.manager).Elem().Interface(),
		"session.Config":         p.config,
		"session.Cookie":         p.config.Cookie,
		"session.Key":            user,
		"driver.Store":           driver.Store(p.store),
		"session.ErrNoKey":       session.ErrNoKey,
		"session.ErrTooLarge":    session.ErrTooLarge,
		"session.ErrHeaderSent":  session.ErrHeaderSent,
		"session.ErrEnded":       session.ErrEnded,
		"driver.ErrNotFound":     driver.ErrNotFound,
		"driver.ErrConflict":     driver.ErrConflict,
		"redisstore.Store":       p.store,
		"redisstore.Store copy":  reflect.ValueOf(p.store).Elem().Interface(),
		"redisstore.Client":      redisstore.Client(silent{}),
		"redisstore.Command":     redisstore.Command{Name: "GETEX", Args: []any{"session:" + p.s.ID()}},
		"redisstore.Sentinel":    redisstore.Sentinel{Addrs: []string{"127.0.0.1:1"}, Master: "mymaster"},
		"redisstore.Refusal":     redisstore.Refusal("OOM command not allowed when used memory > 'maxmemory'."),
		"redisstore.Options":     redisstore.Options{},
		"the context":            p.r.Context(),
		"the store's context":    p.given,
		"the response writer":    p.w,
		"the handler":            p.manager.Handler(http.NotFoundHandler()),
	}
}

// silent is a Client that does nothing.
type silent struct{}

func (silent) Do(context.Context, string, ...redisstore.Command) (replies []any, lost, err error) {
	return nil, nil, errors.New("silent")
}

func (silent) Close() error { return nil }

// A play is what a handler has, and what it was told.
type play struct {
	w       http.ResponseWriter
	r       *http.Request
	s       *session.Session
	manager *session.Manager
	config  session.Config
	store   *redisstore.Store
	given   context.Context // to the store
	told    strings.Builder
}

// A spy keeps the context that it was given.
type spy struct {
	driver.Store
	p *play
}

func (s spy) Load(ctx context.Context, id string, ttl time.Duration) ([]byte, error) {
	s.p.given = ctx
	return s.Store.Load(ctx, id, ttl)
}

func (p *play) tell(values ...any) {
	for _, v := range values {
		fmt.Fprintf(&p.told, "%v\n%+v\n%#v\n", v, v, v)
		if err, ok := v.(error); ok {
			for ; err != nil; err = errors.Unwrap(err) {
				fmt.Fprintf(&p.told, "%v\n%+v\n%#v\n", err, err, err)
			}
		}
	}
}

// TestNoValueShowsAToken prints every exported value, in all states of a session.
func TestNoValueShowsAToken(t *testing.T) {
	states := map[string]func(p *play){
		"loaded":        func(*play) {},
		"changed":       func(p *play) { _ = user.Set(p.s, "bob") },
		"to be renewed": func(p *play) { _ = p.s.Renew() },
		"renewed":       func(p *play) { _ = p.s.Renew(); _ = p.s.Save(p.r.Context()) },
		"sent":          func(p *play) { _ = p.s.Renew(); p.w.WriteHeader(200) },
		"destroyed":     func(p *play) { p.s.Destroy() },
		"begun anew":    func(p *play) { p.s.Destroy(); _ = user.Set(p.s, "bob"); _ = p.s.Save(p.r.Context()) },
	}
	for state, reach := range states {
		t.Run(state, func(t *testing.T) {
			b, _ := miniRedis(t)
			p := &play{config: session.Config{Store: b.store, Logger: new(logs).logger()}, store: b.store}
			p.config.Store = spy{b.store, p}
			p.manager = newManager(t, p.config)
			cookies, _ := begin(t, p.manager, map[string]any{"user": "alice"})
			printed := map[string]string{}
			see := func(when string) {
				for name, v := range printable(p) {
					printed[name+" "+when] = print(v)
				}
				// A copy, which vet refuses, has no methods. Another verb would print what its pointers lead to.
				printed["a copied Session "+when] = fmt.Sprintf("%[1]v %+[1]v %#[1]v", reflect.ValueOf(p.s).Elem().Interface())
			}
			response := request(t, p.manager, cookies, func(w http.ResponseWriter, r *http.Request, s *session.Session) {
				p.w, p.r, p.s = w, r, s
				reach(p)
				see("in the handler")
			})
			see("after the handler")
			tokens := append(tokensOf(cookies), tokensOf(response.Cookies())...)
			for name, text := range printed {
				findSecrets(t, name, text, tokens...)
			}
			if !strings.Contains(printed["driver.Store in the handler"], "redisstore") || p.given == nil || len(p.s.ID()) == 36 && !strings.Contains(printed["session.Session after the handler"], p.s.ID()) {
				t.Error("nothing was printed")
			}
		})
	}
	for _, folder := range []string{"session", "driver", "redisstore"} {
		_, names := exported(t, folder)
		for _, name := range names {
			if _, ok := printable(&play{s: new(session.Session), manager: new(session.Manager), store: new(redisstore.Store), r: httptest.NewRequest("GET", "/", nil)})[name]; !ok {
				t.Errorf("%s is not printed", name)
			}
		}
	}
}

// exported returns what a package exports: functions and methods, types and variables.
func exported(t *testing.T, pkg string) (functions, names []string) {
	t.Helper()
	folder := map[string]string{"session": ".", "driver": "driver", "redisstore": "redisstore"}[pkg]
	for _, file := range goFiles(t, folder) {
		for _, decl := range file.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				name := decl.Name.Name
				if decl.Recv != nil {
					receiver := decl.Recv.List[0].Type
					if star, ok := receiver.(*ast.StarExpr); ok {
						receiver = star.X
					}
					if index, ok := receiver.(*ast.IndexExpr); ok {
						receiver = index.X
					}
					if !receiver.(*ast.Ident).IsExported() {
						continue
					}
					name = receiver.(*ast.Ident).Name + "." + name
				}
				if decl.Name.IsExported() {
					functions = append(functions, pkg+"."+name)
				}
			case *ast.GenDecl:
				for _, spec := range decl.Specs {
					var found []*ast.Ident
					switch spec := spec.(type) {
					case *ast.TypeSpec:
						found = []*ast.Ident{spec.Name}
					case *ast.ValueSpec:
						found = spec.Names
					}
					for _, name := range found {
						if name.IsExported() {
							names = append(names, pkg+"."+name.Name)
						}
					}
				}
			}
		}
	}
	slices.Sort(functions)
	return functions, names
}

// surface calls every exported function, well and badly.
var surface = map[string]func(p *play){
	"session.New": func(p *play) {
		_, err := session.New(session.Config{Cookie: session.Cookie{Name: "__Host-\n", Domain: "x", SameSite: 9}, MaxBytes: -1})
		p.tell(err)
	},
	"session.Load":            func(p *play) { s, err := session.Load(p.r.Context()); p.tell(s, err) },
	"session.Manager.Load":    func(p *play) { s, err := new(session.Manager).Load(p.r.Context()); p.tell(s, err) },
	"session.Manager.Handler": func(p *play) { defer func() { p.tell(recover()) }(); p.manager.Handler(nil) },
	"session.Session.ID":      func(p *play) { p.tell(p.s.ID()) },
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
	"session.Session.Delete":      func(p *play) { p.s.Delete("user", "_x") },
	"session.Session.Clear":       func(p *play) { p.s.Clear() },
	"session.Session.Keys":        func(p *play) { p.tell(p.s.Keys()) },
	"session.Session.MarshalJSON": func(p *play) { _, err := p.s.MarshalJSON(); p.tell(err) },
	"session.Session.Renew":       func(p *play) { p.tell(p.s.Renew()) },
	"session.Session.Destroy":     func(p *play) { p.s.Destroy(); p.tell(p.s.Set("n", secretValue)) },
	"session.Session.LogValue":    func(p *play) { p.tell(p.s.LogValue()) },
	"session.Session.String":      func(p *play) { p.tell(p.s.String()) },
	"session.Session.Format":      func(p *play) { p.tell(p.s) },
	"session.Session.Save": func(p *play) {
		p.tell(p.s.Set("n", secretValue), p.s.Save(p.r.Context()), p.s.Set("n", 1), p.s.Save(p.r.Context()), p.s.Save(p.r.Context()))
	},
	"session.Key.Get": func(p *play) { _, ok := visits.Get(p.s); p.tell(ok) },
	"session.Key.Set": func(p *play) { p.tell(session.Key[chan int]("user").Set(p.s, nil), user.Set(p.s, secretValue)) },
	"session.Key.Update": func(p *play) {
		p.tell(visits.Update(p.s, func(n int) int { return n + 1 }), session.Key[int]("user").Update(p.s, func(n int) int { return n }))
	},
	"session.Key.Pop":    func(p *play) { _, ok := user.Pop(p.s); p.tell(ok) },
	"session.Key.Delete": func(p *play) { user.Delete(p.s) },

	"redisstore.Open": func(p *play) {
		store, err := redisstore.Open("redis://:" + secretValue + "@host:port/x?y#z")
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
		_, err := redisstore.OpenSentinel(redisstore.Sentinel{Addrs: []string{secretValue + "/"}, Password: secretValue, Database: -1})
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
	"redisstore.Store.Save": func(p *play) {
		_, err := p.store.Save(p.r.Context(), p.s.ID(), nil, []byte(`{"_rev":"x","v":"`+secretValue+`"}`), time.Minute)
		_, err2 := p.store.Save(p.r.Context(), p.s.ID(), []byte(`{"_rev":"x","v":"`+secretValue+`"}`), []byte(secretValue), time.Minute)
		p.tell(err, err2)
	},
	"redisstore.Store.Delete": func(p *play) { _, err := p.store.Delete(p.r.Context(), p.s.ID()); p.tell(err) },
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
	functions, more := exported(t, "session")
	stores, _ := exported(t, "redisstore")
	stores = slices.DeleteFunc(stores, func(name string) bool { // what print calls
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
				b, mini := miniRedis(t)
				var output logs
				logger := slog.New(slog.NewJSONHandler(&output, &slog.HandlerOptions{Level: slog.LevelDebug, AddSource: true}))
				p := &play{store: b.store, config: session.Config{Store: b.store, MaxBytes: 10_000, Logger: logger}}
				p.manager = newManager(t, p.config)
				cookies, id := begin(t, p.manager, map[string]any{"user": secretValue, "visits": 1})
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
				if strings.Contains(output.String(), "session not saved") {
					loggedErrors++
				}
			}
		}
	}
	if loggedErrors < 10 {
		t.Errorf("only %d failed saves were logged", loggedErrors)
	}
}

// TestPanicsShowNoToken lets a program panic with every exported value, once in a handler of net/http and once outside of
// it, where the runtime prints the values itself.
func TestPanicsShowNoToken(t *testing.T) {
	b, _ := miniRedis(t)
	p := &play{config: session.Config{Store: b.store, Logger: new(logs).logger()}, store: b.store}
	p.manager = newManager(t, p.config)
	cookies, _ := begin(t, p.manager, map[string]any{"user": "alice"})

	if os.Getenv("SESSION_TEST_PANIC") != "" {
		request(t, p.manager, cookies, func(w http.ResponseWriter, r *http.Request, s *session.Session) {
			_ = s.Renew()
			w.WriteHeader(200)
			p.w, p.r, p.s = w, r, s
			fmt.Println("tokens:", cookies[0].Value, w.Header().Get("Set-Cookie")[len("__Host-session="):][:43])
			for _, v := range printable(p) {
				defer panic(v)
			}
			panic(session.ErrEnded)
		})
		return
	}
	program := exec.Command(os.Args[0], "-test.run=^TestPanicsShowNoToken$")
	program.Env = append(os.Environ(), "SESSION_TEST_PANIC=1", "GOTRACEBACK=system")
	var output, crash bytes.Buffer
	program.Stdout, program.Stderr = &output, &crash
	err := program.Run()
	p.r, p.s = httptest.NewRequest("GET", "/", nil), new(session.Session)
	_, line, ok := strings.Cut(output.String(), "tokens: ")
	line, _, _ = strings.Cut(line, "\n")
	tokens := strings.Fields(line)
	if err == nil || !ok || len(tokens) != 2 || strings.Count(crash.String(), "panic: ") < len(printable(p)) {
		t.Fatalf("the program did not panic: %v\n%s\n%s", err, output.String(), crash.String())
	}
	findSecrets(t, "the runtime", crash.String(), tokens...)

	var logged logs
	server := httptest.NewUnstartedServer(p.manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		own := &play{w: w, r: r, s: load(t, r), manager: p.manager, config: p.config, store: p.store}
		panic(printable(own)[r.Header.Get("Panic")])
	})))
	server.Config.ErrorLog = log.New(&logged, "", 0)
	server.Start()
	defer server.Close()
	for name := range printable(p) {
		r, _ := http.NewRequestWithContext(t.Context(), "GET", server.URL, nil)
		r.AddCookie(cookies[0])
		r.Header.Set("Panic", name)
		if response, err := server.Client().Do(r); err == nil {
			response.Body.Close()
			t.Errorf("%s: no panic", name)
		}
	}
	findSecrets(t, "the log of net/http", logged.String(), tokensOf(cookies)...)
	if !strings.Contains(logged.String(), "panic serving") {
		t.Errorf("log: %s", logged.String())
	}
}

// A3, CVE-2019-16782: a session's whole life leaves no token in Redis: not in a key or value, not in what MONITOR and SLOWLOG
// show of the commands, not in its files.
func TestRedisNeverSeesAToken(t *testing.T) {
	server := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always", "--rdbcompression", "no", "--slowlog-log-slower-than", "0", "--slowlog-max-len", "10000")
	b := newBackend(t, server.Addr())
	lines := monitor(t, server)
	pool := &redis.Pool{Dial: func() (redis.Conn, error) { return redis.Dial("tcp", server.Addr()) }, MaxIdle: 4}
	defer pool.Close()
	var tokens, ids []string
	for _, options := range []redisstore.Options{{}, {NoScripts: true}} {
		manager := newManager(t, session.Config{Store: redisstore.New(pool, options), Logger: new(logs).logger()})
		cookies, id := begin(t, manager, map[string]any{"user": "alice"})
		ids, tokens = append(ids, id), append(tokens, cookies[0].Value)
		for _, name := range slices.Sorted(maps.Keys(slowWorks)) {
			response := request(t, manager, cookies, func(w http.ResponseWriter, r *http.Request, s *session.Session) {
				_ = s.Set("first", name)
				if name == "writes" { // a conflict
					request(t, manager, cookies, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { _ = s.Set("other", 1) })
				}
				slowWorks[name](w, s)
				_ = s.Save(r.Context())
			})
			for _, cookie := range response.Cookies() {
				if cookie.MaxAge == 0 {
					cookies = []*http.Cookie{cookie}
					tokens = append(tokens, cookie.Value)
				}
			}
		}
		tokens = append(tokens, forge(time.Now().Add(time.Hour)))
		values(t, manager, carrying(tokens[len(tokens)-1]))
	}
	seen := map[string]string{"MONITOR": lines(), "SLOWLOG": fmt.Sprintf("%q", b.do("SLOWLOG", "GET", -1))}
	for _, key := range b.keys(t) {
		value, err := redis.String(b.do("GET", key), nil)
		seen["key "+key] = fmt.Sprint(key, value, err)
	}
	b.do("SAVE")
	folder, err := redis.Strings(b.do("CONFIG", "GET", "dir"), nil)
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
	if len(tokens) < 6 {
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

// TestRedisstoreShowsNoPassword opens a store with a password that is right, wrong, not wanted or not understood, and
// prints all that it says.
func TestRedisstoreShowsNoPassword(t *testing.T) {
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
				var output logs
				p := &play{}
				for _, text := range []string{
					"redis://" + strings.ReplaceAll(user, " ", "%20") + ":" + escaped + "@" + address,
					"redis://" + user + ":" + password + "@" + address,
					"redis://:" + escaped + "@" + address + "/" + escaped,
					password, password + ":1", "unix://:" + escaped + "@host/x", "http://:" + escaped + "@host", "rediss://:" + escaped + "@" + address,
				} {
					store, err := redisstore.Open(text)
					p.tell(store, err)
					if err != nil {
						continue
					}
					p.told.WriteString(print(store) + print(reflect.ValueOf(store).Elem().Interface()))
					err = store.Ping(t.Context())
					if strings.HasPrefix(text, "redis://") && (err != nil) != (test.fails || user == password) {
						t.Errorf("Ping: %v", err)
					}
					_, loading := store.Load(t.Context(), "1", time.Minute)
					_, saving := store.Save(t.Context(), "1", nil, []byte("{}"), time.Minute)
					_, deleting := store.Delete(t.Context(), "1")
					p.tell(err, loading, saving, deleting)
					manager := newManager(t, session.Config{Store: store, Logger: output.logger()})
					request(t, manager, nil, func(_ http.ResponseWriter, _ *http.Request, s *session.Session) { _ = s.Set("n", 1) })
					p.told.WriteString(print(manager))
					p.tell(store.Close(), store.Ping(t.Context()))
				}
				findSecrets(t, "told", p.told.String(), password, escaped)
				findSecrets(t, "logged", output.String(), password, escaped)
				if test.fails && !strings.Contains(output.String(), "session not saved") {
					t.Errorf("log: %s", output.String())
				}
			})
		}
	}
}

// TestSentinelShowsNoPassword prints the one exported value that holds passwords, and what its Store says.
func TestSentinelShowsNoPassword(t *testing.T) {
	const password, second = "correct horse battery staple", "a second one for the sentinels"
	config := redisstore.Sentinel{
		Addrs: []string{"127.0.0.1:1"}, Master: "mymaster",
		Username: "app", Password: password, SentinelUsername: "watcher", SentinelPassword: second,
	}
	var printed strings.Builder // only so far as fmt asks a struct how to print it: not for %p and %w, not in an unexported field
	for _, v := range []any{config, &config, []any{config}, map[string]any{"v": config}, struct{ V any }{config}} {
		for _, verb := range "vTtbcdoOqxXUeEfFgGs" {
			fmt.Fprintf(&printed, "%"+string(verb)+"%+"+string(verb)+"%#"+string(verb), v, v, v)
		}
		text, err := json.Marshal(v)
		fmt.Fprintf(&printed, "%s %v\n", text, err)
		slog.New(slog.NewTextHandler(&printed, nil)).Info("message", "value", v)
		slog.New(slog.NewJSONHandler(&printed, nil)).Info("message", "value", v)
	}
	findSecrets(t, "the Sentinel", printed.String(), password, second)
	store, err := redisstore.OpenSentinel(config)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	p := &play{}
	_, loading := store.Load(t.Context(), "1", time.Minute)
	p.tell(store, loading, store.Ping(t.Context()))
	findSecrets(t, "the Store", print(store), password, second)
	findSecrets(t, "its errors", p.told.String(), password, second)
	config.Addrs, config.Database = []string{password + ":" + second + "@host"}, -1
	if _, err := redisstore.OpenSentinel(config); err == nil {
		t.Error("a Sentinel with faults was opened")
	} else {
		findSecrets(t, "the error", print(err), password, second)
	}
}
