package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/sessionkv/session"
)

// demo answers the requests.
type demo struct {
	*backend
	ttl time.Duration
	log *slog.Logger
}

const (
	// lastSet is when GET /set was last asked for, in Unix seconds.
	lastSet = session.Key[int64]("time")

	// count is how often POST /count was asked for.
	count = session.Key[int]("count")
)

// slowness is what POST /slow takes. The page signs out in the middle of it.
const slowness = 2 * time.Second

// The routes of the walk-through are GET, so that people can type them. An application changes state by POST, as the
// other routes do, because browsers fetch addresses ahead, and any site can send its visitors to one.
func (d *demo) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /set", d.set)
	mux.HandleFunc("GET /get", d.get)
	mux.HandleFunc("GET /del", d.del)
	mux.HandleFunc("POST /count", d.count)
	mux.HandleFunc("POST /slow", d.slow)
	mux.HandleFunc("GET /{$}", d.page)
	return http.NewCrossOriginProtection().Handler(mux)
}

func (d *demo) set(w http.ResponseWriter, r *http.Request) {
	s, err := session.Load(r.Context())
	if err == nil {
		err = lastSet.Set(s, time.Now().Unix())
	}
	if err != nil {
		d.unavailable(w, r, err)
		return
	}
	answerOK(w)
}

func (d *demo) get(w http.ResponseWriter, r *http.Request) {
	s, err := session.Load(r.Context())
	if err != nil {
		d.unavailable(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = w.Write(append(s.JSON(), '\n'))
}

func (d *demo) del(w http.ResponseWriter, r *http.Request) {
	s, err := session.Load(r.Context())
	if err != nil {
		d.unavailable(w, r, err)
		return
	}
	s.Destroy()
	answerOK(w)
}

// count adds one, whatever other requests add meanwhile.
func (d *demo) count(w http.ResponseWriter, r *http.Request) {
	s, err := session.Load(r.Context())
	if err == nil {
		err = count.Update(s, func(n int) int { return n + 1 })
	}
	if err != nil {
		d.unavailable(w, r, err)
		return
	}
	answerOK(w)
}

// slow loads the session, takes its time, and then changes the session.
func (d *demo) slow(w http.ResponseWriter, r *http.Request) {
	s, err := session.Load(r.Context())
	if err != nil {
		d.unavailable(w, r, err)
		return
	}
	select {
	case <-time.After(slowness):
	case <-r.Context().Done():
		return
	}
	err = lastSet.Set(s, time.Now().Unix())
	if err == nil {
		err = s.Sync(r.Context())
	}
	switch {
	case errors.Is(err, session.ErrEnded):
		answer(w, "change dropped, for the session has ended")
	case err != nil:
		d.unavailable(w, r, err)
	default:
		answerOK(w)
	}
}

func answerOK(w http.ResponseWriter) { answer(w, "ok") }

func answer(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, text+"\n")
}

// unavailable answers a request whose session could not be loaded or saved. Only the log says why: it may name hosts.
func (d *demo) unavailable(w http.ResponseWriter, r *http.Request, err error) {
	d.logFailure(r, err)
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, "session unavailable: is Redis running?", http.StatusServiceUnavailable)
}

func (d *demo) logFailure(r *http.Request, err error) {
	d.log.Error("session unavailable", "path", r.URL.Path, "error", err)
}

// ping asks whether Redis is there, for at most storeTimeout.
func (d *demo) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return d.store.Ping(ctx)
}
