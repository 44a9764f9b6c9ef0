package main

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/sessionkv/session"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string
	//go:embed page.js
	pageJS string

	pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{"spoken": spoken}).Parse(pageHTML))

	// pagePolicy lets the page use nothing but itself: its own style and script, by their hashes, and this server.
	pagePolicy = fmt.Sprintf("default-src 'none'; style-src '%s'; script-src '%s'; img-src data:; connect-src 'self'; "+
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'", cspHash(pageCSS), cspHash(pageJS))
)

func cspHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// pageData is what the page shows.
type pageData struct {
	Style  template.CSS
	Script template.JS
	Host   string // as the browser calls this server
	Place  string
	CLI    string
	TTL    time.Duration
	State  string // "live", "none": there is no session, or "down": it is not known
	view
}

// view is a session that lives.
type view struct {
	ID       string
	Key      string
	JSON     string
	Left     time.Duration
	Deadline time.Time
}

func (d *demo) page(w http.ResponseWriter, r *http.Request) {
	data := pageData{Style: template.CSS(pageCSS), Script: template.JS(pageJS), Host: r.Host, Place: d.place, CLI: d.cli, TTL: d.ttl, State: "none"}
	status := http.StatusOK
	s, err := session.Load(r.Context())
	if err == nil {
		// Without a cookie, Load asks nobody. The page is to show that Redis is away in that case too.
		err = d.ping(r.Context())
	}
	switch {
	case err != nil:
		d.logFailure(r, err)
		status, data.State = http.StatusServiceUnavailable, "down"
	case s.ID() != "":
		data.State, data.view = "live", d.view(s)
	}
	var body bytes.Buffer
	if err := pageTemplate.Execute(&body, data); err != nil {
		d.log.Error("page not made", "error", err)
		http.Error(w, "page not made", http.StatusInternalServerError)
		return
	}
	setPageHeader(w.Header())
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes())
}

func (d *demo) view(s *session.Session) view {
	var indented bytes.Buffer
	_ = json.Indent(&indented, s.JSON(), "", "  ") // a Session is always JSON
	return view{
		ID:       s.ID(),
		Key:      "session:" + s.ID(), // the default prefix of redisstore
		JSON:     indented.String(),
		Left:     max(0, min(d.ttl, time.Until(s.Deadline()))),
		Deadline: s.Deadline(),
	}
}

func setPageHeader(h http.Header) {
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store") // the life it shows is that of now
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
}

// spoken returns d rounded up to seconds, as the page counts down.
func spoken(d time.Duration) string {
	seconds := int64((d + time.Second - 1) / time.Second)
	var parts []string
	for _, unit := range []struct {
		n    int64
		name string
	}{{seconds / 3600, "h"}, {seconds / 60 % 60, "min"}, {seconds % 60, "s"}} {
		if unit.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", unit.n, unit.name))
		}
	}
	return strings.Join(parts, " ")
}
