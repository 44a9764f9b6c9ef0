package main

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"github.com/sessionkv/session/internal/testkit"
)

// match returns what the group of pattern matches in body.
func match(t *testing.T, body, pattern string) string {
	t.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(body)
	if found == nil {
		t.Fatalf("no %s in\n%s", pattern, body)
	}
	return found[1]
}

func TestPageShowsTheSession(t *testing.T) {
	server := miniredis.RunT(t)
	d, _ := start(t, "-redis", server.Addr(), "-ttl", "90s")
	b := newBrowser(t)
	_, body := b.get(t, d.url)
	if state := match(t, body, `id="state" data-state="(\w+)"`); state != "none" {
		t.Errorf("before /set the state is %q", state)
	}

	b.want(t, d.url+"/set", http.StatusOK, "ok\n")
	key := server.Keys()[0]
	server.FastForward(80 * time.Second)
	res, body := b.get(t, d.url)
	if state := match(t, body, `id="state" data-state="(\w+)"`); state != "live" {
		t.Errorf("the state is %q", state)
	}
	if got := match(t, body, `<code id="key"[^>]*>([^<]*)`); got != key {
		t.Errorf("the page shows the key %q, want %q", got, key)
	}
	if got := match(t, body, `<code id="id"[^>]*>([^<]*)`); "session:"+got != key {
		t.Errorf("the page shows the ID %q of the key %q", got, key)
	}
	if left := match(t, body, `data-left="(\d+)"`); left != "90000" || server.TTL(key) != 90*time.Second {
		t.Errorf("the page says that %s ms are left of %v", left, server.TTL(key))
	}
	if got := res.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control %q", got)
	}

	server.FastForward(91 * time.Second)
	_, body = b.get(t, d.url)
	if state := match(t, body, `id="state" data-state="(\w+)"`); state != "none" {
		t.Errorf("after the end the state is %q", state)
	}
}

// The life that is left is that of the idle timeout or that of the Lifetime, whichever ends first.
func TestPageKnowsTheDeadline(t *testing.T) {
	d, _ := start(t, "-ttl", "8h") // the Lifetime is 8 h too
	b := newBrowser(t)
	b.want(t, d.url+"/set", http.StatusOK, "ok\n")
	testkit.Eventually(t, "the deadline comes nearer", func() bool {
		_, body := b.get(t, d.url)
		left, err := strconv.Atoi(match(t, body, `data-left="(\d+)"`))
		return err == nil && left < 8*60*60*1000
	})
}

func TestPageEscapesWhatIsStored(t *testing.T) {
	server := miniredis.RunT(t)
	d, _ := start(t, "-redis", server.Addr())
	b := newBrowser(t)
	b.want(t, d.url+"/set", http.StatusOK, "ok\n")
	const attack = `{"</pre></script><script>alert(1)</script>":"<img src=x onerror=alert(1)> & \"'"}`
	if err := server.Set(server.Keys()[0], attack); err != nil {
		t.Fatal(err)
	}
	_, body := b.get(t, d.url)
	if n := strings.Count(body, "<script"); n != 1 {
		t.Errorf("%d scripts", n)
	}
	if strings.Contains(body, "<img") {
		t.Error("what is stored became an element")
	}
	if !strings.Contains(body, "&lt;/script&gt;&lt;script&gt;alert(1)") {
		t.Errorf("the value is not shown:\n%s", body)
	}
	if res := b.want(t, d.url+"/get", http.StatusOK, attack+"\n"); res.Header.Get("Content-Type") != "application/json" || res.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("a browser may take /get for a page: %q", res.Header)
	}
}

func TestPageUsesNothingButItself(t *testing.T) {
	d, _ := start(t)
	b := newBrowser(t)
	b.want(t, d.url+"/set", http.StatusOK, "ok\n")
	res, body := b.get(t, d.url)
	used := regexp.MustCompile(`<a href="https://[^"]*">`).ReplaceAllString(body, "") // nothing is fetched for a link
	for _, link := range regexp.MustCompile(`(?:src|href|action)="([^"]*)"|url\(|@import`).FindAllStringSubmatch(used, -1) {
		if !strings.HasPrefix(link[1], "/") && !strings.HasPrefix(link[1], "data:") || strings.HasPrefix(link[1], "//") {
			t.Errorf("the page refers to %q", link)
		}
	}
	policy := res.Header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none'; ") || strings.Contains(policy, "unsafe") {
		t.Errorf("policy %q", policy)
	}
	// The policy allows what the page really has: the template must not have changed it.
	for _, element := range []string{"style", "script"} {
		text := match(t, body, `(?s)<`+element+`>(.*)</`+element+`>`)
		if !strings.Contains(policy, element+"-src '"+cspHash(text)+"'") {
			t.Errorf("the policy does not allow the page's %s: %s", element, policy)
		}
	}
	if strings.Contains(body, "style=") || regexp.MustCompile(`\son\w+=`).MatchString(body) {
		t.Error("the policy forbids inline styles and handlers")
	}
}

func TestOtherRequests(t *testing.T) {
	d, _ := start(t)
	b := newBrowser(t)
	if res, _ := b.get(t, d.url+"/favicon.ico"); res.StatusCode != http.StatusNotFound || res.Header["Vary"] != nil {
		t.Errorf("a route that is none: %d %q", res.StatusCode, res.Header)
	}
	if status, _ := b.post(t, d.url+"/set"); status != http.StatusMethodNotAllowed {
		t.Errorf("POST /set: %d", status)
	}
	req, err := http.NewRequest("POST", d.url+"/count", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Sec-Fetch-Site", "cross-site")
	res, err := b.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusForbidden {
		t.Errorf("POST /count of another site: %d", res.StatusCode)
	}
}

func TestSpoken(t *testing.T) {
	for d, want := range map[time.Duration]string{
		time.Millisecond:                    "1 s",
		59*time.Second + time.Millisecond:   "1 min",
		61 * time.Second:                    "1 min 1 s",
		8 * time.Hour:                       "8 h",
		8*time.Hour - 500*time.Millisecond:  "8 h",
		25*time.Hour + 3*time.Second:        "25 h 3 s",
		30*time.Minute + 15*time.Second - 1: "30 min 15 s",
	} {
		if got := spoken(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
}
