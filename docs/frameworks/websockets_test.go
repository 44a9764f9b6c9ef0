package frameworks

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	coder "github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"
)

// echoes are handlers that upgrade a connection, send back its first message, and say what has failed before.
var echoes = map[string]func(w http.ResponseWriter, r *http.Request) error{
	"gorilla/websocket": func(w http.ResponseWriter, r *http.Request) error {
		var upgrader gorilla.Upgrader
		conn, err := upgrader.Upgrade(w, r, w.Header()) // the cookie is among these headers
		if err != nil {
			return err
		}
		defer conn.Close()
		kind, message, err := conn.ReadMessage()
		if err != nil {
			return err
		}
		return conn.WriteMessage(kind, message)
	},
	"coder/websocket": func(w http.ResponseWriter, r *http.Request) error {
		conn, err := coder.Accept(w, r, nil)
		if err != nil {
			return err
		}
		defer conn.CloseNow()
		kind, message, err := conn.Read(r.Context())
		if err != nil {
			return err
		}
		return conn.Write(r.Context(), kind, message)
	},
}

// clients shake hands, have a message sent back, and return the headers of the handshake.
var clients = map[string]func(ctx context.Context, server *httptest.Server) (http.Header, error){
	"gorilla/websocket": func(ctx context.Context, server *httptest.Server) (http.Header, error) {
		config := server.Client().Transport.(*http.Transport).TLSClientConfig
		dialer := gorilla.Dialer{TLSClientConfig: &tls.Config{RootCAs: config.RootCAs}}
		conn, response, err := dialer.DialContext(ctx, "wss"+server.URL[len("https"):], nil)
		if err != nil {
			return nil, err
		}
		defer conn.Close()
		if err := conn.WriteMessage(gorilla.TextMessage, []byte("hello")); err != nil {
			return nil, err
		}
		_, _, err = conn.ReadMessage()
		return response.Header, err
	},
	"coder/websocket": func(ctx context.Context, server *httptest.Server) (http.Header, error) {
		conn, response, err := coder.Dial(ctx, server.URL, &coder.DialOptions{HTTPClient: server.Client()})
		if err != nil {
			return nil, err
		}
		defer conn.CloseNow()
		if err := conn.Write(ctx, coder.MessageText, []byte("hello")); err != nil {
			return nil, err
		}
		_, _, err = conn.Read(ctx)
		return response.Header, err
	},
}

// A handshake begins a session. echo's Gzip keeps back the 101 of coder/websocket, with a session or without.
func TestHandshakesBeginSessions(t *testing.T) {
	for stack, build := range stacks {
		for library, echo := range echoes {
			if strings.HasPrefix(stack, "echo's Gzip") && library == "coder/websocket" {
				continue
			}
			t.Run(stack+" "+library, func(t *testing.T) {
				manager, redis := newManager(t)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				server := serve(t, build(manager.Handler, func(w http.ResponseWriter, r *http.Request) {
					visit(t, r.Context())
					if err := echo(w, r); err != nil {
						t.Error(err)
					}
				}))
				header, err := clients[library](ctx, server)
				if err != nil || !setsSession(header) || len(redis.Keys()) != 1 {
					t.Errorf("%v, headers %v, keys %q", err, header, redis.Keys())
				}
			})
		}
	}
}
