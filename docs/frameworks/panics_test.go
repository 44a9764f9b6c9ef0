package frameworks

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"
	"github.com/gorilla/handlers"
	"github.com/labstack/echo/v4"
	echomiddleware "github.com/labstack/echo/v4/middleware"
	"github.com/urfave/negroni/v3"
)

// recoverers are those of the frameworks, around a handler.
var recoverers = map[string]middleware{
	"gin": func(next http.Handler) http.Handler {
		e := gin.New()
		e.Use(gin.RecoveryWithWriter(io.Discard))
		e.Any("/*rest", gin.WrapH(next))
		return e
	},
	"echo": func(next http.Handler) http.Handler {
		e := echo.New()
		e.Logger.SetOutput(io.Discard)
		e.Use(echomiddleware.Recover())
		e.Any("/*", echo.WrapHandler(next))
		return e
	},
	"chi": func(next http.Handler) http.Handler {
		r := chi.NewRouter()
		r.Use(chimiddleware.RequestLogger(silent{}), chimiddleware.Recoverer)
		r.Handle("/*", next)
		return r
	},
	"gorilla/handlers": handlers.RecoveryHandler(),
	"negroni": func(next http.Handler) http.Handler {
		recovery := negroni.NewRecovery()
		recovery.PrintStack = false
		recovery.Logger = silent{}
		n := negroni.New(recovery)
		n.UseHandler(next)
		return n
	},
}

// silent is a logger of chi and of negroni.
type silent struct{}

func (silent) NewLogEntry(*http.Request) chimiddleware.LogEntry { return silentEntry{} }
func (silent) Println(...any)                                   {}
func (silent) Printf(string, ...any)                            {}

type silentEntry struct{}

func (silentEntry) Write(int, int, http.Header, time.Duration, any) {}
func (silentEntry) Panic(any, []byte)                               {}

// The order of echo's own middlewares, as docs/operations.md has it.
func TestRecovererOfEchoBeforeTheSessions(t *testing.T) {
	manager, redis := newManager(t)
	e := echo.New()
	e.Logger.SetOutput(io.Discard)
	e.Use(echomiddleware.Recover(), echo.WrapMiddleware(manager.Handler))
	e.GET("/", func(c echo.Context) error {
		visit(t, c.Request().Context())
		panic("boom")
	})
	server := serve(t, e)
	got := get(t, newClient(t, server, "HTTP/2.0"), server.URL)
	if got.StatusCode != 500 || setsSession(got.Header) || len(redis.Keys()) != 0 {
		t.Errorf("%d %v, keys %q", got.StatusCode, got.Header, redis.Keys())
	}
}

// A panic saves nothing if it passes through the session's Handler on its way to the recoverer. A recoverer inside
// answers with a page as any other, and the changes before the panic are saved with it.
func TestRecovererBelongsOutside(t *testing.T) {
	for name, recovering := range recoverers {
		for _, protocol := range protocols {
			manager, redis := newManager(t)
			handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				visit(t, r.Context())
				panic("boom")
			})
			for _, test := range []struct {
				place string
				stack http.Handler
				saved bool
			}{
				{"outside", recovering(manager.Handler(handler)), false},
				{"inside", manager.Handler(recovering(handler)), true},
			} {
				redis.FlushAll()
				server := serve(t, test.stack)
				got := get(t, newClient(t, server, protocol), server.URL)
				if got.StatusCode != 500 || setsSession(got.Header) != test.saved || (len(redis.Keys()) > 0) != test.saved {
					t.Errorf("%s %s %s: %d %v, keys %q", name, test.place, protocol, got.StatusCode, got.Header, redis.Keys())
				}
			}
		}
	}
}
