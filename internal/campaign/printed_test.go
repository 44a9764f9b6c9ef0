package campaign

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/ast"
	"log"
	"log/slog"
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

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/testkit"
	"github.com/sessionkv/session/memstore"
	"github.com/sessionkv/session/redisstore"
)

// printable are the values that a program has in its hands, by the names of the exported types and variables.
func printable(p *play) map[string]any {
	return map[string]any{
		"session.Session":           p.s,
		"session.Manager":           p.manager,
		"session.Manager copied":    reflect.ValueOf(p.manager).Elem().Interface(),
		"session.Config":            p.config,
		"session.Cookie":            p.config.Cookie,
		"session.Key":               user,
		"session.Large":             session.Large[string]("report"),
		"driver.Large":              driver.Large(p.store),
		"driver.Part":               driver.Part{Name: "report"},
		"driver.Store":              driver.Store(p.store),
		"session.ErrNoKey":          session.ErrNoKey,
		"session.ErrTooLarge":       session.ErrTooLarge,
		"session.ErrHeadersSent":    session.ErrHeadersSent,
		"session.ErrEnded":          session.ErrEnded,
		"session.ErrCrossSite":      session.ErrCrossSite,
		"session.ErrRenewed":        session.ErrRenewed,
		"session.ErrUnproven":       session.ErrUnproven,
		"session.ErrRevoked":        session.ErrRevoked,
		"session.ErrLimit":          session.ErrLimit,
		"session.Class":             p.s.Class(),
		"session.Remembered":        session.Remembered,
		"session.Lifetimes":         p.config.Classes[session.Remembered],
		"session.SignIn":            session.SignIn{User: "alice", Stamp: p.stamp},
		"session.Stamp":             p.stamp,
		"session.Reason":            p.s.Ended(),
		"session.ByUser":            session.ByUser,
		"session.ByOperator":        session.ByOperator,
		"session.CredentialChanged": session.CredentialChanged,
		"session.OverLimit":         session.OverLimit,
		"session.Event":             p.events,
		"session.EventKind":         session.EventKind(0),
		"session.EventLoad":         session.EventLoad,
		"session.EventPeek":         session.EventPeek,
		"session.EventRegister":     session.EventRegister,
		"session.EventRefresh":      session.EventRefresh,
		"session.EventTouch":        session.EventTouch,
		"session.EventCreate":       session.EventCreate,
		"session.EventUpdate":       session.EventUpdate,
		"session.EventRenew":        session.EventRenew,
		"session.EventSignIn":       session.EventSignIn,
		"session.EventDestroy":      session.EventDestroy,
		"session.EventEnd":          session.EventEnd,
		"session.OutcomeUnproven":   session.OutcomeUnproven,
		"session.Outcome":           session.Outcome(99),
		"session.OutcomeOK":         session.OutcomeOK,
		"session.OutcomeNone":       session.OutcomeNone,
		"session.OutcomeGone":       session.OutcomeGone,
		"session.OutcomeEnded":      session.OutcomeEnded,
		"session.OutcomeRenewed":    session.OutcomeRenewed,
		"session.OutcomeAmbiguous":  session.OutcomeAmbiguous,
		"session.OutcomeInvalid":    session.OutcomeInvalid,
		"session.OutcomeRevoked":    session.OutcomeRevoked,
		"session.OutcomeLimit":      session.OutcomeLimit,
		"session.OutcomeCrossSite":  session.OutcomeCrossSite,
		"session.OutcomeError":      session.OutcomeError,
		"a list of sessions":        p.list,
		"driver.Users":              driver.Users(p.store),
		"driver.Entry":              driver.Entry{ID: p.s.ID(), Stamp: "stamp"},
		"driver.Member":             driver.Member{ID: p.s.ID(), TTL: time.Minute},
		"driver.ErrRemoved":         driver.ErrRemoved,
		"driver.ErrStamp":           driver.ErrStamp,
		"driver.ErrFull":            driver.ErrFull,
		"driver.ErrNotFound":        driver.ErrNotFound,
		"driver.ErrConflict":        driver.ErrConflict,
		"memstore.Store":            p.memory,
		"redisstore.Store":          p.store,
		"redisstore.Store copy":     reflect.ValueOf(p.store).Elem().Interface(),
		"redisstore.Client":         redisstore.Client(silent{}),
		"redisstore.Command":        redisstore.Command{Name: "GETEX", Args: []any{"session:" + p.s.ID()}},
		"redisstore.SentinelConfig": redisstore.SentinelConfig{Addrs: []string{"127.0.0.1:1"}, Master: "mymaster"},
		"redisstore.Refusal":        redisstore.Refusal("OOM command not allowed when used memory > 'maxmemory'."),
		"redisstore.Options":        redisstore.Options{},
		"the context":               p.r.Context(),
		"the store's context":       p.given,
		"the response writer":       p.w,
		"the handler":               p.manager.Handler(http.NotFoundHandler()),
	}
}

// knownStore is a ContextStore that knows users.
type knownStore struct {
	testkit.ContextStore
	driver.Users
	driver.Large
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
	memory  *memstore.Store // with a session of its own
	given   context.Context // to the store
	stamp   session.Stamp   // of alice
	list    []*session.Session
	events  []session.Event
	told    strings.Builder
}

// newPlay returns a play on b without a manager. Its memory has a session with secretValue.
func newPlay(t *testing.T, b testkit.Backend, logger *slog.Logger) *play {
	t.Helper()
	p := &play{config: session.Config{Store: b.Store, MaxBytes: 10_000, Logger: logger}, store: b.Store, memory: new(memstore.Store)}
	p.config.Observe = func(_ context.Context, e session.Event) { p.events = append(p.events, e) }
	if _, err := p.memory.Save(t.Context(), "id", nil, []byte(secretValue), time.Hour); err != nil {
		t.Fatal(err)
	}
	return p
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
	t.Parallel()
	states := map[string]func(p *play){
		"loaded":        func(*play) {},
		"changed":       func(p *play) { _ = user.Set(p.s, "bob") },
		"to be renewed": func(p *play) { _ = p.s.Renew() },
		"renewed":       func(p *play) { _ = p.s.Renew(); _ = p.s.Sync(p.r.Context()) },
		"sent":          func(p *play) { _ = p.s.Renew(); p.w.WriteHeader(200) },
		"destroyed":     func(p *play) { p.s.Destroy() },
		"to sign in": func(p *play) {
			_ = p.s.SignIn(session.SignIn{User: "alice", Class: session.Remembered, Stamp: p.stamp})
		},
		"signed in": func(p *play) {
			_ = p.s.SignIn(session.SignIn{User: "alice", Class: session.Remembered, Stamp: p.stamp})
			if err := p.s.Sync(p.r.Context()); err != nil {
				t.Errorf("signed in: %v", err)
			}
			p.list, _ = p.manager.List(p.r.Context(), "alice")
		},
		"ended": func(p *play) {
			_ = p.s.SignIn(session.SignIn{User: "alice"})
			_, _ = p.s.Sync(p.r.Context()), p.manager.EndAll(p.r.Context(), "alice", session.ByOperator)
			if err := p.s.Sync(p.r.Context()); !errors.Is(err, session.ErrEnded) || p.s.Ended() != session.ByOperator {
				t.Errorf("ended: %v %v", err, p.s.Ended())
			}
		},
		"begun anew": func(p *play) { p.s.Destroy(); _ = user.Set(p.s, "bob"); _ = p.s.Sync(p.r.Context()) },
	}
	for state, reach := range states {
		t.Run(state, func(t *testing.T) {
			b, _ := testkit.MiniRedis(t)
			p := newPlay(t, b, new(testkit.Logs).Logger())
			p.config.Store = knownStore{testkit.ContextStore{Store: b.Store, Given: func(ctx context.Context) { p.given = ctx }}, b.Store, b.Store}
			p.manager = testkit.NewManager(t, p.config)
			p.stamp, _ = p.manager.Stamp(t.Context(), "alice")
			cookies, _ := testkit.Begin(t, p.manager, map[string]any{"user": "alice"})
			printed := map[string]string{}
			see := func(when string) {
				for name, v := range printable(p) {
					printed[name+" "+when] = printEveryWay(v)
				}
				// A copy, which vet refuses, has no methods. Another verb would print what its pointers lead to.
				printed["a copied Session "+when] = fmt.Sprintf("%[1]v %+[1]v %#[1]v", reflect.ValueOf(p.s).Elem().Interface())
			}
			response := testkit.Request(t, p.manager, cookies, func(w http.ResponseWriter, r *http.Request, s *session.Session) {
				p.w, p.r, p.s = w, r, s
				reach(p)
				see("in the handler")
			})
			see("after the handler")
			tokens := append(tokensOf(cookies), tokensOf(response.Cookies())...)
			for name, text := range printed {
				findSecrets(t, name, text, append(tokens, secretValue)...)
			}
			if !strings.Contains(printed["driver.Store in the handler"], "redisstore") || p.given == nil || len(p.s.ID()) >= 36 && !strings.Contains(printed["session.Session after the handler"], p.s.ID()) {
				t.Error("nothing was printed")
			}
		})
	}
	for _, folder := range []string{"session", "driver", "memstore", "redisstore"} {
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
	folder := pkg
	if pkg == "session" {
		folder = "."
	}
	for _, file := range goFiles(t, filepath.Join(repository, folder)) {
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

// TestPanicsShowNoToken lets a program panic with every exported value, once in a handler of net/http and once outside of
// it, where the runtime prints the values itself.
func TestPanicsShowNoToken(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	p := newPlay(t, b, new(testkit.Logs).Logger())
	p.manager = testkit.NewManager(t, p.config)
	cookies, _ := testkit.Begin(t, p.manager, map[string]any{"user": "alice"})

	if os.Getenv("SESSION_TEST_PANIC") != "" {
		testkit.Request(t, p.manager, cookies, func(w http.ResponseWriter, r *http.Request, s *session.Session) {
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
	// A value that comes under several names is printed once where two of them meet.
	const repeated = 5
	if err == nil || !ok || len(tokens) != 2 || strings.Count(crash.String(), "panic: ") < len(printable(p))-repeated {
		t.Fatalf("the program did not panic: %v\n%s\n%s", err, output.String(), crash.String())
	}
	findSecrets(t, "the runtime", crash.String(), tokens...)

	var logged testkit.Logs
	server := httptest.NewUnstartedServer(p.manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		own := &play{w: w, r: r, s: testkit.Load(t, r), manager: p.manager, config: p.config, store: p.store, memory: p.memory}
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
