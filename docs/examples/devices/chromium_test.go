package main

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// startChromium starts a browser for one test. Without Chromium the test is skipped, or fails where CI is set.
func startChromium(t *testing.T) context.Context {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil && os.Getenv("CI") == "" {
		t.Skip("chromium is not installed; on Debian: apt-get install chromium")
	}
	if err != nil {
		t.Fatal(err)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.DisableGPU) // the sandbox is not to be had in most containers
	allocator, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	chromium, stop := chromedp.NewContext(allocator)
	t.Cleanup(stop)
	if err := chromedp.Do(chromium); err != nil {
		t.Fatal(err)
	}
	return chromium
}

// A tab is that of a visitor with cookies of their own.
type tab struct {
	t   *testing.T
	ctx context.Context
	url string
}

func newTab(t *testing.T, chromium context.Context, url, userAgent string) *tab {
	t.Helper()
	ctx, stop := chromedp.NewContext(chromium, chromedp.WithNewBrowserContext())
	t.Cleanup(stop)
	b := &tab{t, ctx, url}
	if _, err := chromedp.Call(ctx, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{UserAgent: userAgent}); err != nil {
		t.Fatal(err)
	}
	return b
}

// patience bounds every wait.
const patience = 20 * time.Second

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.t.Fatal(err)
	}
}

func (b *tab) open(path string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.url + path))
}

// run runs JavaScript, such as a click.
func (b *tab) run(format string, args ...any) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[chromedp.Void](fmt.Sprintf(format, args...))); err != nil {
		b.t.Fatalf("%s: %v", format, err)
	}
}

func (b *tab) click(selector string) {
	b.t.Helper()
	b.run("document.querySelector(%q).click()", selector)
}

func (b *tab) fill(name, value string) {
	b.t.Helper()
	b.run("document.querySelector(%q).value = %q", "[name="+name+"]", value)
}

// shows waits until the page contains text, as a reader sees it.
func (b *tab) shows(text string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	for {
		// An error is that of a page which is just being left.
		seen, err := chromedp.Run(ctx, chromedp.Evaluate[string]("document.body.innerText"))
		if err == nil && strings.Contains(seen, text) {
			return
		}
		select {
		case <-ctx.Done():
			b.t.Fatalf("the page does not show %q: %s", text, seen)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (b *tab) signIn(name string, remember bool) {
	b.t.Helper()
	b.open("/sign-in")
	b.fill("name", name)
	b.fill("password", secrets[name])
	if remember {
		b.click("[name=remember]")
	}
	b.click("#sign-in")
	b.shows("Your devices")
}

// look keeps pictures of the page where SCREENSHOTS names a folder, and wants it to fit, wide and narrow.
func (b *tab) look(name string) {
	b.t.Helper()
	for _, screen := range []struct {
		name, scheme string
		width        int64
	}{{"wide", "light", 1100}, {"wide-dark", "dark", 1100}, {"narrow", "light", 320}} {
		feature := &emulation.MediaFeature{Name: "prefers-color-scheme", Value: screen.scheme}
		_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{feature}})
		if err != nil {
			b.t.Fatal(err)
		}
		b.do(chromedp.EmulateViewport(screen.width, 700))
		width, err := chromedp.Run(b.ctx, chromedp.Evaluate[int64]("document.documentElement.scrollWidth"))
		if err != nil || width > screen.width {
			b.t.Errorf("%s is %d wide on a screen of %d: %v", name, width, screen.width, err)
		}
		if dir := os.Getenv("SCREENSHOTS"); dir != "" {
			picture, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, name+"-"+screen.name+".png"), picture, 0o600)
			}
			if err != nil {
				b.t.Error(err)
			}
		}
	}
}

// newBrowserSite serves the example over plain HTTP and returns what opens tabs of new visitors.
func newBrowserSite(t *testing.T) func(userAgent string) *tab {
	t.Helper()
	chromium := startChromium(t)
	a, _ := newApp(t, true)
	server := httptest.NewServer(a.routes())
	t.Cleanup(server.Close)
	return func(userAgent string) *tab { return newTab(t, chromium, server.URL, userAgent) }
}

func TestDevicesInABrowser(t *testing.T) {
	newTab := newBrowserSite(t)
	laptop, mobile := newTab(firefox), newTab(phone)
	laptop.open("/")
	laptop.shows("Sign in")
	laptop.look("sign-in")
	laptop.signIn("alice", false)
	mobile.signIn("alice", true)
	if cookie := mobile.cookie(); cookie.Session || time.Until(time.Unix(int64(cookie.Expires), 0)) < 364*24*time.Hour {
		t.Errorf("the cookie of who is to be remembered is %+v", cookie)
	}
	if cookie := laptop.cookie(); !cookie.Session {
		t.Errorf("the cookie of who is not to be remembered is %+v", cookie)
	}
	laptop.open("/")
	laptop.shows("Chrome on Android")
	laptop.look("devices")

	laptop.click("[name=id]")
	laptop.shows("The device is signed out.")
	laptop.look("one-ended")
	mobile.open("/")
	mobile.shows("You were signed out here from another device.")
	mobile.look("ended")
	laptop.click("#sign-out")
	laptop.shows("You are signed out.")
	laptop.look("signed-out")
}

func TestPasswordAndOperatorInABrowser(t *testing.T) {
	newTab := newBrowserSite(t)
	laptop, mobile, office := newTab(firefox), newTab(phone), newTab(firefox)
	laptop.signIn("alice", false)
	mobile.signIn("alice", true)
	laptop.open("/password")
	laptop.look("password")
	laptop.fill("old", secrets["alice"])
	laptop.fill("new", fresh)
	laptop.click("#change")
	laptop.shows("Your password is changed.")
	mobile.open("/")
	mobile.shows("Your password was changed on another device.")

	office.signIn(operator, false)
	office.open("/operator?user=alice")
	office.shows("End all sessions of alice")
	office.look("operator")
	office.click("#end-all")
	office.shows("alice has no session.")
	office.look("operator-ended")
	laptop.open("/")
	laptop.shows("The operator of this service has signed you out.")
}

func (b *tab) cookie() *network.Cookie {
	b.t.Helper()
	result, err := chromedp.Call(b.ctx, network.GetCookies, network.GetCookiesParams{URLs: []string{b.url}})
	if err != nil {
		b.t.Fatal(err)
	}
	if len(result.Cookies) != 1 {
		b.t.Fatalf("the browser has %d cookies", len(result.Cookies))
	}
	return result.Cookies[0]
}
