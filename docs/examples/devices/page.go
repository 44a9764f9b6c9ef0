package main

import (
	"embed"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sessionkv/session"
)

//go:embed page.html style.css
var files embed.FS

var pages = template.Must(template.ParseFS(files, "page.html"))

// A view is what a page shows.
type view struct {
	User       string // who is signed in
	IsOperator bool
	Notice     string
	Alert      string
	Devices    []entry
	Of         string // whose devices the operator looks at
}

func newView(s *session.Session) view {
	return view{User: s.User(), IsOperator: s.User() == operator}
}

// An entry is one session in a list.
type entry struct {
	ID, Device         string
	SignedIn, LastUsed time.Time
	IsThis, Remembered bool
	IsBound            bool // to the device; known only of this session, because its request has proved it
}

func entries(list []*session.Session, this *session.Session) []entry {
	var all []entry
	for _, s := range list {
		name, _ := device.Get(s)
		isThis := s.ID() == this.ID()
		all = append(all, entry{
			s.ID(), name, s.SignedIn(), s.LastUsed(), isThis, s.Class() == session.Remembered, isThis && this.DeviceBound(),
		})
	}
	return all
}

// Ago says how long t is past, in words.
func (entry) Ago(t time.Time) string {
	d := time.Since(t)
	for _, unit := range []struct {
		name string
		long time.Duration
	}{{"day", 24 * time.Hour}, {"hour", time.Hour}, {"minute", time.Minute}} {
		switch n := int(d / unit.long); {
		case n == 1:
			return "1 " + unit.name + " ago"
		case n > 1:
			return fmt.Sprintf("%d %ss ago", n, unit.name)
		}
	}
	return "just now"
}

// whyEnded says to a user why a session was ended.
var whyEnded = map[session.Reason]string{
	session.ByUser:            "You were signed out here from another device.",
	session.ByOperator:        "The operator of this service has signed you out.",
	session.CredentialChanged: "Your password was changed on another device. Sign in with the new one.",
	session.OverLimit:         fmt.Sprintf("You have signed in on more than %d devices. This was the oldest of these sign-ins.", maxDevices),
}

// describe says in words which browser and system a User-Agent names. It is what the client says, and proves nothing.
func describe(userAgent string) string {
	find := func(names [][2]string, otherwise string) string {
		for _, n := range names {
			if strings.Contains(userAgent, n[0]) {
				return n[1]
			}
		}
		return otherwise
	}
	// Most browsers also say that they are others, so that the order matters.
	browser := find([][2]string{{"Edg", "Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser/", "Samsung Internet"}, {"Firefox/", "Firefox"},
		{"FxiOS/", "Firefox"}, {"CriOS/", "Chrome"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"}}, "Unknown browser")
	system := find([][2]string{{"Android", "Android"}, {"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Windows", "Windows"},
		{"CrOS", "ChromeOS"}, {"Mac OS X", "macOS"}, {"Linux", "Linux"}}, "unknown system")
	return browser + " on " + system
}

func operatorsPage(user string) string { return "/operator?" + url.Values{"user": {user}}.Encode() }

func render(w http.ResponseWriter, r *http.Request, page string, v view) {
	if err := pages.ExecuteTemplate(w, page, v); err != nil {
		slog.WarnContext(r.Context(), "page not sent", "path", r.URL.Path, "error", err)
	}
}

func style(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, files, "style.css") }

// parseForm reports whether the form is there. Otherwise it has answered.
func parseForm(w http.ResponseWriter, r *http.Request) bool {
	err := r.ParseForm()
	if err != nil {
		fail(w, r, "malformed or too large form", http.StatusBadRequest, err)
	}
	return err == nil
}

// fail answers with text. Only the log says why: err may name hosts.
func fail(w http.ResponseWriter, r *http.Request, text string, status int, err error) {
	slog.ErrorContext(r.Context(), text, "path", r.URL.Path, "error", err)
	http.Error(w, text, status)
}
