package frameworks

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The first request begins a session and the second finds it, whatever makes the headers of the first leave.
func TestSessionGoesFromRequestToRequest(t *testing.T) {
	acts := map[string]func(w http.ResponseWriter, r *http.Request){
		"nothing":     func(http.ResponseWriter, *http.Request) {},
		"Write":       func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("x")) },
		"WriteString": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "x") },
		"WriteHeader": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) },
		"Flush":       func(w http.ResponseWriter, _ *http.Request) { _ = http.NewResponseController(w).Flush() },
		"io.Copy": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.Copy(w, io.MultiReader(bytes.NewReader(make([]byte, 100_000))))
		},
	}
	manager, _ := newManager(t)
	onEachStack(t, func(t *testing.T, protocol string, build func(middleware, http.HandlerFunc) http.Handler) {
		server := serve(t, build(manager.Handler, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Visits", fmt.Sprint(visit(t, r.Context())))
			acts[r.Header.Get("X-Act")](w, r)
		}))
		client := newClient(t, server, protocol)
		for act := range acts {
			client.Jar = newJar(t)
			for n := 1; n <= 2; n++ {
				request := newRequest(t, "GET", server.URL, nil)
				request.Header.Set("X-Act", act)
				got := do(t, client, request)
				if got.Proto != protocol || setsSession(got.Header) != (n == 1) || got.Header.Get("X-Visits") != fmt.Sprint(n) {
					t.Errorf("%s: request %d: %s %v", act, n, got.Proto, got.Header)
				}
				if got.err != nil && act != "Flush" { // echo's Gzip ends a flushed response without a body too early
					t.Errorf("%s: request %d: %v", act, n, got.err)
				}
			}
		}
	})
}

// An event reaches the client while its handler goes on, if it does so without a session.
func TestEventsLeaveWhenTheyAreFlushed(t *testing.T) {
	manager, _ := newManager(t)
	onEachStack(t, func(t *testing.T, protocol string, build func(middleware, http.HandlerFunc) http.Handler) {
		seen := make(chan struct{})
		server := serve(t, build(manager.Handler, func(w http.ResponseWriter, r *http.Request) {
			visit(t, r.Context())
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, "data: one\n\n")
			w.(http.Flusher).Flush()
			select {
			case <-seen:
			case <-r.Context().Done():
			}
			_, _ = io.WriteString(w, "data: two\n\n")
		}))
		response, err := newClient(t, server, protocol).Do(newRequest(t, "GET", server.URL, nil))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		lines := bufio.NewReader(response.Body)
		if line, err := lines.ReadString('\n'); line != "data: one\n" || !setsSession(response.Header) {
			t.Fatalf("%q, %v, %v", line, err, response.Header)
		}
		close(seen)
		if rest, err := io.ReadAll(lines); string(rest) != "\ndata: two\n\n" || err != nil {
			t.Errorf("%q, %v", rest, err)
		}
	})
}

func TestServeContentWithRanges(t *testing.T) {
	manager, _ := newManager(t)
	content := strings.Repeat("0123456789", 10_000)
	onEachStack(t, func(t *testing.T, protocol string, build func(middleware, http.HandlerFunc) http.Handler) {
		server := serve(t, build(manager.Handler, func(w http.ResponseWriter, r *http.Request) {
			visit(t, r.Context())
			http.ServeContent(w, r, "x.bin", time.Time{}, strings.NewReader(content))
		}))
		client := newClient(t, server, protocol)
		for header, want := range map[string]struct {
			status int
			body   string
		}{
			"":                 {200, content},
			"bytes=5-99":       {206, content[5:100]},
			"bytes=-3":         {206, "789"},
			"bytes=200000-":    {416, ""},
			"bytes=0-70000":    {206, content[:70001]},
			"bytes=1000-99999": {206, content[1000:]},
		} {
			request := newRequest(t, "GET", server.URL, nil)
			if header != "" {
				request.Header.Set("Range", header)
			}
			got := do(t, client, request)
			if got.StatusCode != want.status || (want.body != "" && got.body != want.body) || got.err != nil {
				t.Errorf("%q: %d, %d bytes, %v", header, got.StatusCode, len(got.body), got.err)
			}
		}
	})
}

// Trailers arrive if they do so without a session.
func TestTrailersArrive(t *testing.T) {
	manager, _ := newManager(t)
	onEachStack(t, func(t *testing.T, protocol string, build func(middleware, http.HandlerFunc) http.Handler) {
		trailers := func(sessions middleware, work func(r *http.Request)) string {
			server := serve(t, build(sessions, func(w http.ResponseWriter, r *http.Request) {
				work(r)
				w.Header().Set("Trailer", "X-Announced")
				_, _ = io.WriteString(w, "body")
				w.Header().Set("X-Announced", "1")
				w.Header().Set(http.TrailerPrefix+"X-Late", "2")
			}))
			return fmt.Sprint(get(t, newClient(t, server, protocol), server.URL).Trailer)
		}
		without := trailers(none, func(*http.Request) {})
		with := trailers(manager.Handler, func(r *http.Request) { visit(t, r.Context()) })
		if with != without {
			t.Errorf("%s, and without a session %s", with, without)
		}
	})
}

// What a handler finds in its ResponseWriter without a session, it finds with one.
func TestNoInterfaceIsLost(t *testing.T) {
	manager, _ := newManager(t)
	interfaces := func(w http.ResponseWriter) string {
		var names []string
		add := func(name string, ok bool) {
			if ok {
				names = append(names, name)
			}
		}
		_, ok := w.(http.Flusher)
		add("Flusher", ok)
		_, ok = w.(http.Hijacker)
		add("Hijacker", ok)
		_, ok = w.(http.Pusher)
		add("Pusher", ok)
		_, ok = w.(interface{ CloseNotify() <-chan bool })
		add("CloseNotifier", ok)
		_, ok = w.(io.ReaderFrom)
		add("ReaderFrom", ok)
		_, ok = w.(io.StringWriter)
		add("StringWriter", ok)
		return strings.Join(names, " ")
	}
	onEachStack(t, func(t *testing.T, protocol string, build func(middleware, http.HandlerFunc) http.Handler) {
		found := func(sessions middleware) (names string) {
			server := serve(t, build(sessions, func(w http.ResponseWriter, _ *http.Request) { names = interfaces(w) }))
			get(t, newClient(t, server, protocol), server.URL)
			return names
		}
		without, with := found(none), found(manager.Handler)
		for _, name := range strings.Fields(without) {
			if !strings.Contains(with, name) {
				t.Errorf("%s is lost: %s, and without a session %s", name, with, without)
			}
		}
	})
}
