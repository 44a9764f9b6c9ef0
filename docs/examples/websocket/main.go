// Command websocket has WebSockets that use the session of their handshake, with gorilla/websocket and with
// coder/websocket: each message is counted in the session, and signing out ends the connection.
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

func routes(sessions *session.Manager) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /gorilla", own(sessions.HandlerFunc(withGorilla)))
	mux.Handle("GET /coder", own(sessions.HandlerFunc(withCoder)))
	mux.Handle("POST /sign-out", http.NewCrossOriginProtection().Handler(sessions.HandlerFunc(signOut)))
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

func withGorilla(w http.ResponseWriter, r *http.Request, s *session.Session) {
	if !begin(w, r, s) {
		return
	}
	// Upgrade writes the response itself, and of its headers only those that it is given. The session's cookie is put
	// into w.Header() while it takes over the connection. With nil, the browser would not get the cookie, and nobody an
	// error.
	conn, err := upgrader.Upgrade(w, r, w.Header())
	if err != nil {
		return // it has answered
	}
	defer conn.Close()
	for {
		if _, _, err := conn.ReadMessage(); err != nil {
			return
		}
		n, err := count(r.Context(), s)
		if err != nil {
			code, reason := farewell(err)
			_ = conn.WriteMessage(gorilla.CloseMessage, gorilla.FormatCloseMessage(code, reason))
			return
		}
		if err := conn.WriteMessage(gorilla.TextMessage, fmt.Append(nil, n)); err != nil {
			return
		}
	}
}

func withCoder(w http.ResponseWriter, r *http.Request, s *session.Session) {
	if !begin(w, r, s) {
		return
	}
	conn, err := coder.Accept(w, r, nil) // sends w.Header() by itself
	if err != nil {
		return // it has answered
	}
	defer conn.CloseNow()
	for {
		if _, _, err := conn.Read(r.Context()); err != nil {
			return
		}
		n, err := count(r.Context(), s)
		if err != nil {
			code, reason := farewell(err)
			_ = conn.Close(coder.StatusCode(code), reason)
			return
		}
		if err := conn.Write(r.Context(), coder.MessageText, fmt.Append(nil, n)); err != nil {
			return
		}
	}
}

// farewell says why a connection is closed.
func farewell(err error) (code int, reason string) {
	if errors.Is(err, session.ErrEnded) {
		return gorilla.ClosePolicyViolation, "signed out"
	}
	slog.Error("session not saved", "error", err)
	return gorilla.CloseInternalServerErr, "session unavailable"
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
	server := &http.Server{Addr: "127.0.0.1:8080", Handler: routes(sessions), ReadHeaderTimeout: 5 * time.Second}
	log.Printf("listening on %s", server.Addr)
	return server.ListenAndServe()
}
