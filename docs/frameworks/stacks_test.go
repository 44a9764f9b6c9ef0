package frameworks

import (
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/felixge/httpsnoop"
	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"
	"github.com/gorilla/handlers"
	"github.com/gorilla/mux"
	"github.com/klauspost/compress/gzhttp"
	"github.com/labstack/echo/v4"
	echomiddleware "github.com/labstack/echo/v4/middleware"
	"github.com/urfave/negroni/v3"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
)

type middleware = func(http.Handler) http.Handler

// none is in the place of the session's Handler where a test wants to know what holds without it.
func none(next http.Handler) http.Handler { return next }

// stacks are frameworks with a session's Handler around them or within. A handler behind each is what the tests write.
var stacks = map[string]func(sessions middleware, handler http.HandlerFunc) http.Handler{
	"net/http": func(sessions middleware, handler http.HandlerFunc) http.Handler { return sessions(handler) },
	"ServeMux inside": func(sessions middleware, handler http.HandlerFunc) http.Handler {
		m := http.NewServeMux()
		m.Handle("/{rest...}", handler)
		return sessions(m)
	},
	"ServeMux outside": func(sessions middleware, handler http.HandlerFunc) http.Handler {
		m := http.NewServeMux()
		m.Handle("/{rest...}", sessions(handler))
		return m
	},
	"gin inside": func(sessions middleware, handler http.HandlerFunc) http.Handler {
		e := gin.New()
		e.Any("/*rest", gin.WrapF(handler))
		return sessions(e)
	},
	"gin outside": func(sessions middleware, handler http.HandlerFunc) http.Handler {
		e := gin.New()
		e.Any("/*rest", gin.WrapH(sessions(handler)))
		return e
	},
	"echo inside": func(sessions middleware, handler http.HandlerFunc) http.Handler {
		e := echo.New()
		e.Any("/*", echo.WrapHandler(handler))
		return sessions(e)
	},
	"echo outside": func(sessions middleware, handler http.HandlerFunc) http.Handler {
		e := echo.New()
		e.Use(echo.WrapMiddleware(sessions))
		e.Any("/*", echo.WrapHandler(handler))
		return e
	},
	"echo's Gzip inside": func(sessions middleware, handler http.HandlerFunc) http.Handler {
		e := echo.New()
		e.Use(echomiddleware.Gzip())
		e.Any("/*", echo.WrapHandler(handler))
		return sessions(e)
	},
	"echo's Gzip outside": func(sessions middleware, handler http.HandlerFunc) http.Handler {
		e := echo.New()
		e.Use(echomiddleware.Gzip(), echo.WrapMiddleware(sessions))
		e.Any("/*", echo.WrapHandler(handler))
		return e
	},
	"chi inside": func(sessions middleware, handler http.HandlerFunc) http.Handler {
		r := chi.NewRouter()
		r.Use(countingWriter, chimiddleware.Compress(5))
		r.Handle("/*", handler)
		return sessions(r)
	},
	"chi outside": func(sessions middleware, handler http.HandlerFunc) http.Handler {
		r := chi.NewRouter()
		r.Use(countingWriter, chimiddleware.Compress(5), sessions)
		r.Handle("/*", handler)
		return r
	},
	"gorilla/mux inside": func(sessions middleware, handler http.HandlerFunc) http.Handler {
		r := mux.NewRouter()
		r.PathPrefix("/").Handler(handler)
		return sessions(r)
	},
	"gorilla/mux outside": func(sessions middleware, handler http.HandlerFunc) http.Handler {
		r := mux.NewRouter()
		r.Use(sessions)
		r.PathPrefix("/").Handler(handler)
		return r
	},
}

// wrappers are middlewares of their own, for both places.
var wrappers = map[string]middleware{
	"gorilla/handlers": func(next http.Handler) http.Handler {
		return handlers.CombinedLoggingHandler(io.Discard, handlers.CompressHandler(next))
	},
	"negroni": func(next http.Handler) http.Handler {
		n := negroni.New(negroni.NewRecovery())
		n.UseHandler(next)
		return n
	},
	"httpsnoop": func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { httpsnoop.CaptureMetrics(next, w, r) })
	},
	"gzhttp":   func(next http.Handler) http.Handler { return gzhttp.GzipHandler(next) },
	"otelhttp": otelhttp.NewMiddleware("test"),
}

func init() {
	for name, wrap := range wrappers {
		stacks[name+" inside"] = func(sessions middleware, handler http.HandlerFunc) http.Handler { return sessions(wrap(handler)) }
		stacks[name+" outside"] = func(sessions middleware, handler http.HandlerFunc) http.Handler { return wrap(sessions(handler)) }
	}
}

// countingWriter puts the writer of chi's loggers in between.
func countingWriter(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(chimiddleware.NewWrapResponseWriter(w, r.ProtoMajor), r)
	})
}

// onEachStack runs a test on each stack over each protocol. Build returns the stack with the session's Handler or with
// another middleware in its place.
func onEachStack(t *testing.T, test func(t *testing.T, protocol string, build func(middleware, http.HandlerFunc) http.Handler)) {
	for name, build := range stacks {
		for _, protocol := range protocols {
			t.Run(fmt.Sprint(name, " ", protocol), func(t *testing.T) { test(t, protocol, build) })
		}
	}
}
