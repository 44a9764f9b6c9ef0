package main

import (
	"context"
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

// lastSet is when GET /set was last asked for, in Unix seconds.
const lastSet = session.Key[int64]("time")

// routes are all GET, so that a walk-through is a row of addresses. An application changes state by POST: browsers
// fetch ahead, and any site can send its visitors to an address.
func (d *demo) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /set", d.set)
	mux.HandleFunc("GET /get", d.get)
	mux.HandleFunc("GET /del", d.del)
	mux.HandleFunc("GET /{$}", d.page)
	return mux
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

func answerOK(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, "ok\n")
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
