package recipes

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sessionkv/session"
)

func TestFlashesAreShownOnce(t *testing.T) {
	site := newSite(t)
	site.handle("/add", func(_ http.ResponseWriter, r *http.Request, s *session.Session) {
		if err := addFlash(s, r.FormValue("message")); err != nil {
			t.Error(err)
		}
	})
	site.handle("/show", func(w http.ResponseWriter, _ *http.Request, s *session.Session) { fmt.Fprint(w, flashes(s)) })
	b := site.browser()
	b.want("/show", 200, "[]")
	b.want("/add?message=one", 200, "")
	b.want("/add?message=two", 200, "")
	b.want("/show", 200, "[one two]")
	b.want("/show", 200, "[]")
}

func TestOnlyUsersAreLetIn(t *testing.T) {
	site := newSite(t)
	site.mux.Handle("/inside", forUsers(site.sessions)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, err := session.Load(r.Context())
		if err != nil {
			t.Error(err)
			return
		}
		fmt.Fprint(w, s.User())
	})))
	site.browser().want("/inside", 401, "not signed in")
	site.signedIn("alice").want("/inside", 200, "alice")
}

func TestCartCountsEachItemAndOutlivesTheSignIn(t *testing.T) {
	site := newSite(t)
	site.handle("POST /add", addToCart(func(item string) bool { return item == "plum" }))
	site.handle("/cart", func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		items, _ := cart.Get(s)
		fmt.Fprint(w, items)
	})
	b := site.browser()
	add := func(item string, status int) {
		if response, body := b.post("/add", url.Values{"item": {item}}); response.StatusCode != status {
			t.Errorf("%s: %d %s", item, response.StatusCode, body)
		}
	}
	add("plum", 303)
	add("moon", 404)
	var all sync.WaitGroup
	for range 9 {
		all.Go(func() { add("plum", 303) })
	}
	all.Wait()
	b.want("/as?user=alice", 200, "")
	b.want("/cart", 200, "map[plum:10]")
}

func TestEventsEndWithTheSession(t *testing.T) {
	site := newSite(t)
	news := make(chan string)
	site.handle("/events", events(news, time.Millisecond))
	b := site.signedIn("alice")
	stream, err := b.Get(b.url + "/events")
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	lines := bufio.NewScanner(stream.Body)
	next := func() string {
		for lines.Scan() && lines.Text() == "" {
		}
		return lines.Text()
	}
	news <- "tea"
	if got := next(); got != "data: tea" {
		t.Errorf("the stream has %q", got)
	}
	b.want("/out", 200, "")
	if got := next(); got != "event: signed-out" {
		t.Errorf("after the sign-out the stream has %q", got)
	}
}

// files is a form with a file for each text.
func files(t *testing.T, texts ...string) (kind string, body io.Reader) {
	t.Helper()
	var buffer bytes.Buffer
	form := multipart.NewWriter(&buffer)
	for _, text := range texts {
		file, err := form.CreateFormFile("file", text)
		if err == nil {
			_, err = io.WriteString(file, text)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := form.Close(); err != nil {
		t.Fatal(err)
	}
	return form.FormDataContentType(), &buffer
}

func TestUploadStopsAtASignOut(t *testing.T) {
	site := newSite(t)
	b := site.signedIn("alice")
	var kept []string
	site.handle("/upload", upload(func(_ context.Context, user string, file io.Reader) (string, error) {
		text, err := io.ReadAll(file)
		if string(text) == "out" {
			b.want("/out", 200, "")
		}
		kept = append(kept, user+"/"+string(text))
		return string(text), err
	}))
	site.handle("/uploads", func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		all, _ := uploads.Get(s)
		fmt.Fprint(w, all)
	})
	send := func(b browser, texts ...string) int {
		kind, body := files(t, texts...)
		response, _ := b.read(b.Post(b.url+"/upload", kind, body))
		return response.StatusCode
	}
	if status := send(b, "one", "two"); status != 200 {
		t.Errorf("status %d, want 200", status)
	}
	b.want("/uploads", 200, "[one two]")
	if status := send(b, "three", "out", "four"); status != 400 {
		t.Errorf("status %d, want 400", status)
	}
	if status := send(site.browser(), "five"); status != 401 {
		t.Errorf("status %d, want 401", status)
	}
	if want := "alice/one alice/two alice/three alice/out"; strings.Join(kept, " ") != want {
		t.Errorf("kept %v, want %s", kept, want)
	}
}

func TestReportIsDownloadedUntilTheSignOut(t *testing.T) {
	site := newSite(t)
	site.handle("/make", makeReport(func(user string) []byte { return []byte("of " + user) }))
	site.handle("/report.csv", download)
	b := site.signedIn("alice")
	b.want("/report.csv", 404, "404 page not found")
	b.want("/make", 200, "")
	b.want("/report.csv", 200, "of alice")
	b.want("/out", 200, "")
	b.want("/report.csv", 404, "404 page not found")
}

func TestErrorsAreJSON(t *testing.T) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	for err, want := range map[error]string{
		errors.New("secret host"): `503 {"error":"try again"}`,
		session.ErrRevoked:        `403 {"error":"sign-in refused"}`,
		session.ErrLimit:          `403 {"error":"sign-in refused"}`,
	} {
		w := httptest.NewRecorder()
		onError(w, httptest.NewRequest("GET", "/", nil), err)
		if got := fmt.Sprint(w.Code, " ", strings.TrimSpace(w.Body.String())); got != want {
			t.Errorf("%v: %s, want %s", err, got, want)
		}
	}
}

func TestProxyPassesWhatTheProtectionNeeds(t *testing.T) {
	site := newSite(t)
	application := httptest.NewServer(behindProxy(site.sessions, site.mux))
	defer application.Close()
	address, err := url.Parse(application.URL)
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(proxy(address))
	defer front.Close()
	for origin, status := range map[string]int{front.URL: 200, "https://attacker.example": 403} {
		r, err := http.NewRequestWithContext(t.Context(), "POST", front.URL+"/as?user=alice", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Origin", origin)
		b := site.browser()
		if response, body := b.read(b.Do(r)); response.StatusCode != status {
			t.Errorf("from %s: %d %q, want %d", origin, response.StatusCode, body, status)
		}
	}
	b := site.browser()
	if response, _ := b.read(b.Get(front.URL + "/healthz")); response.StatusCode != 200 {
		t.Errorf("the health check is %d", response.StatusCode)
	}
}

func TestJobOutlivesItsRequest(t *testing.T) {
	site := newSite(t)
	answered, done := make(chan struct{}), make(chan string, 1)
	site.handle("/start", start(func(ctx context.Context, job, user string) {
		<-answered
		done <- fmt.Sprint(job, " ", user, " ", ctx.Err())
	}))
	site.handle("/jobs", func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		all, _ := jobs.Get(s)
		fmt.Fprint(w, all)
	})
	b := site.signedIn("alice")
	_, job := b.post("/start", nil)
	b.want("/jobs", 200, "["+job+"]")
	close(answered)
	if got := <-done; got != job+" alice <nil>" {
		t.Errorf("the job was told %q", got)
	}
}
