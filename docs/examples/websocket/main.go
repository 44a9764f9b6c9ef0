// Command websocket has WebSockets that use the session of their handshake, with gorilla/websocket and with
// coder/websocket, and a stream of events: each message is counted in the session, whose end ends the connection, also
// where the client sends nothing.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	coder "github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/redisstore"
)

// messages is how many a visitor has sent, over all connections.
const messages = session.Key[int]("messages")

// interval is how often each connection looks into Redis whether its session still lives.
const interval = 5 * time.Second

type app struct {
	sessions *session.Manager
	interval time.Duration
}

func (a *app) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /gorilla", own(a.sessions.HandlerFunc(a.withGorilla)))
	mux.Handle("GET /coder", own(a.sessions.HandlerFunc(a.withCoder)))
	mux.Handle("GET /events", own(a.sessions.HandlerFunc(a.events)))
	mux.Handle("POST /sign-out", http.NewCrossOriginProtection().Handler(a.sessions.HandlerFunc(signOut)))
	return mux
}

// begin makes the handshake begin a session where there is none, so that its response sets the cookie.
func begin(w http.ResponseWriter, r *http.Request, s *session.Session) bool {
	if err := messages.Update(s, func(n int) int { return n }); err != nil {
		slog.ErrorContext(r.Context(), "no session", "error", err)
		http.Error(w, "no session", http.StatusInternalServerError)
		return false
	}
	return true
}

// own refuses handshakes of other sites, as the libraries do too, but only after the session was used. They come without
// the visitor's cookie, and a session that they began would replace the visitor's.
func own(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if origin := r.Header.Get("Origin"); origin != "" { // else it is not a browser
			address, err := url.Parse(origin)
			if err != nil || !strings.EqualFold(address.Host, r.Host) {
				http.Error(w, "not from another site", http.StatusForbidden)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// count saves at once: nothing else saves before the connection ends. It returns session.ErrEnded after a sign-out.
func count(ctx context.Context, s *session.Session) (int, error) {
	if err := messages.Update(s, func(n int) int { return n + 1 }); err != nil {
		return 0, err
	}
	if err := s.Sync(ctx); err != nil {
		return 0, err
	}
	n, _ := messages.Get(s)
	return n, nil
}

var upgrader gorilla.Upgrader

func (a *app) withGorilla(w http.ResponseWriter, r *http.Request, s *session.Session) {
	if !begin(w, r, s) {
		return
	}
	// Upgrade writes the response itself, with only those headers that it is given. The session's cookie is put into
	// w.Header() while it takes over the connection. With nil, the browser would not get the cookie, and there would be
	// no error.
	conn, err := upgrader.Upgrade(w, r, w.Header())
	if err != nil {
		return // it has answered
	}
	defer conn.Close()
	leave := func(err error) {
		code, reason := farewell(s, err)
		soon := time.Now().Add(time.Second)
		_ = conn.WriteControl(gorilla.CloseMessage, gorilla.FormatCloseMessage(code, reason), soon)
		_ = conn.NetConn().SetReadDeadline(soon) // by then the client has answered, or never will
	}
	ctx := s.Watch(r.Context(), a.interval) // after the handshake, which has stored the session
	defer context.AfterFunc(ctx, func() { leave(context.Cause(ctx)) })()
	for {
		if _, _, err := conn.ReadMessage(); err != nil {
			return
		}
		n, err := count(r.Context(), s)
		if err != nil {
			leave(err)
			return
		}
		if err := conn.WriteMessage(gorilla.TextMessage, fmt.Append(nil, n)); err != nil {
			return
		}
	}
}

func (a *app) withCoder(w http.ResponseWriter, r *http.Request, s *session.Session) {
	if !begin(w, r, s) {
		return
	}
	conn, err := coder.Accept(w, r, nil) // sends w.Header() by itself
	if err != nil {
		return // it has answered
	}
	defer conn.CloseNow()
	leave := func(err error) {
		code, reason := farewell(s, err)
		_ = conn.Close(coder.StatusCode(code), reason)
	}
	ctx := s.Watch(r.Context(), a.interval)
	defer context.AfterFunc(ctx, func() { leave(context.Cause(ctx)) })()
	for {
		if _, _, err := conn.Read(r.Context()); err != nil { // a Read with ctx would close the connection without a word
			return
		}
		n, err := count(r.Context(), s)
		if err != nil {
			leave(err)
			return
		}
		if err := conn.Write(r.Context(), coder.MessageText, fmt.Append(nil, n)); err != nil {
			return
		}
	}
}

// events is for an EventSource. Its page closes it at the event signed-out. After any other end it connects again, with
// the cookie that the browser has by then.
func (a *app) events(w http.ResponseWriter, r *http.Request, s *session.Session) {
	if !begin(w, r, s) {
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	if err := http.NewResponseController(w).Flush(); err != nil {
		return // the client has gone, or was told that the session could not be stored
	}
	ctx := s.Watch(r.Context(), a.interval)
	<-ctx.Done() // an application sends its own events meanwhile
	if errors.Is(context.Cause(ctx), session.ErrEnded) {
		_, _ = fmt.Fprintf(w, "event: signed-out\ndata: %s\n\n", whyEnded(s))
	}
}

// farewell says why a connection is closed.
func farewell(s *session.Session, err error) (code int, reason string) {
	switch {
	case errors.Is(err, session.ErrEnded):
		return gorilla.ClosePolicyViolation, whyEnded(s)
	case errors.Is(err, session.ErrRenewed):
		return gorilla.CloseServiceRestart, "connect again" // with the new cookie
	}
	slog.Error("session not saved", "error", err)
	return gorilla.CloseInternalServerErr, "session unavailable"
}

// whyEnded says who has ended the session or why, or that it was signed out or has expired.
func whyEnded(s *session.Session) string {
	return cmp.Or(s.Ended().String(), "over")
}

func signOut(w http.ResponseWriter, _ *http.Request, s *session.Session) {
	s.Destroy()
	w.WriteHeader(http.StatusNoContent)
}

func main() {
	insecureHTTP := flag.Bool("insecure-http", false, "send the cookie over plain HTTP too: for development without TLS")
	flag.Parse()
	log.Fatal(run(*insecureHTTP))
}

func run(insecureHTTP bool) error {
	store, err := redisstore.Open(cmp.Or(os.Getenv("REDIS_URL"), "127.0.0.1:6379"), redisstore.Options{})
	if err != nil {
		return err
	}
	defer store.Close()
	if err := store.Ping(context.Background()); err != nil {
		return err
	}
	sessions, err := session.New(session.Config{
		Store:  store,
		Cookie: session.Cookie{InsecureHTTP: insecureHTTP}, // leave this out where TLS is in front
	})
	if err != nil {
		return err
	}
	server := &http.Server{Addr: "127.0.0.1:8080", Handler: (&app{sessions, interval}).routes(), ReadHeaderTimeout: 5 * time.Second}
	log.Printf("listening on %s", server.Addr)
	return server.ListenAndServe()
}
