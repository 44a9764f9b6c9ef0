// Package browser tests in headless Chromium what only a browser can tell: that it takes the cookie, keeps it from scripts
// and from other sites, what two tabs and the back button do to a session, and the page of the demo.
//
//	apt-get install chromium redis-server
//	cd cmd/demo/browser && go test -race ./...
//
// Without Chromium the tests are skipped, or fail where CI is set in the environment. They take about a minute.
//
// To look at the demo's page in all its states, name a folder for pictures:
//
//	SCREENSHOTS=/tmp/shots go test -run Appearance .
package browser

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/sessionkv/session/internal/testkit"
)

var errNoChromium = errors.New("chromium is not installed; on Debian: apt-get install chromium")

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "browser")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	ctx, cancel := context.WithCancel(context.Background())
	stop := func() {}
	chromium = sync.OnceValues(func() (context.Context, error) {
		browser, end, err := startChromium(ctx, filepath.Join(dir, "profile"))
		stop = end
		return browser, err
	})
	demoProgram = sync.OnceValues(func() (string, error) { return buildDemo(filepath.Join(dir, "demo")) })
	code := m.Run()
	stop()
	cancel()
	os.RemoveAll(dir)
	os.Exit(code)
}

var (
	chromium    func() (context.Context, error) // started by the first test that needs it
	demoProgram func() (path string, err error)
)

// preferences allow what SameSite=None is for. Debian's Chromium does not by itself, nor does any in incognito profiles.
const preferences = `{"profile":{"block_third_party_cookies":false,"cookie_controls_mode":0}}`

// secureDevices lets Chromium bind sessions to keys that it keeps itself, because there is no TPM here. It may sign
// with them as often as the tests ask for.
const secureDevices = "EnableBoundSessionCredentialsSoftwareKeysForManualTesting," +
	"DeviceBoundSessions:RequireOriginTrialTokens/false/RefreshQuota/false"

func startChromium(ctx context.Context, dir string) (browser context.Context, stop func(), err error) {
	stop = func() {}
	program, err := findChromium()
	if err != nil {
		return nil, stop, err
	}
	if err := os.MkdirAll(filepath.Join(dir, "Default"), 0o700); err != nil {
		return nil, stop, err
	}
	if err := os.WriteFile(filepath.Join(dir, "Default", "Preferences"), []byte(preferences), 0o600); err != nil {
		return nil, stop, err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program),
		chromedp.UserDataDir(dir),
		chromedp.NoSandbox, // it is not to be had in most containers, and the pages are our own
		chromedp.DisableGPU,
		chromedp.Flag("force-prefers-reduced-motion", true), // painting without a GPU is dear
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("ignore-certificate-errors-spki-list", certificatePin()),
		chromedp.Flag("host-resolver-rules", "MAP *.example 127.0.0.1"), // sites of several names
		chromedp.Flag("enable-features", secureDevices),
	)
	allocator, stopAllocator := chromedp.NewExecAllocator(ctx, options...)
	browser, stopBrowser := chromedp.NewContext(allocator)
	stop = func() { stopBrowser(); stopAllocator() }
	return browser, stop, chromedp.Do(browser)
}

func findChromium() (string, error) {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errNoChromium
}

// certificatePin names the key of the certificate that every httptest server has, for Chromium to trust it and no other.
func certificatePin() string {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	sum := sha256.Sum256(server.Certificate().RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// A tab shows pages. The tabs of one profile share their cookies, as those of one browser do; other profiles are other
// visitors.
type tab struct {
	testing.TB
	ctx     context.Context
	console *testkit.Logs // what the pages had to complain of
}

// newProfile returns the first tab of a new profile.
func newProfile(t testing.TB) *tab {
	t.Helper()
	browser, err := chromium()
	if errors.Is(err, errNoChromium) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return newTab(t, browser, chromedp.WithNewBrowserContext())
}

// another returns one more tab of the profile.
func (b *tab) another() *tab {
	b.Helper()
	return newTab(b.TB, b.ctx)
}

func newTab(t testing.TB, parent context.Context, options ...chromedp.ContextOption) *tab {
	t.Helper()
	b := &tab{TB: t, console: new(testkit.Logs)}
	ctx, cancel := chromedp.NewContext(parent, append(options, chromedp.WithListener(b.listen))...)
	b.ctx = ctx
	t.Cleanup(cancel)
	// Of several windows one has the focus, and tests run side by side.
	if _, err := chromedp.Call(ctx, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *tab) listen(event any) {
	switch e := event.(type) {
	case *log.EventEntryAdded:
		fmt.Fprintf(b.console, "%s: %s (%s)\n", e.Entry.Level, e.Entry.Text, e.Entry.URL)
	case *runtime.EventConsoleAPICalled:
		fmt.Fprintf(b.console, "%s called\n", e.Type)
	case *runtime.EventExceptionThrown:
		what := e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			what += " " + e.ExceptionDetails.Exception.Description
		}
		fmt.Fprintf(b.console, "exception: %s\n", what)
	}
}

// do fails the test if a step fails.
func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, testkit.Patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		b.Fatalf("%v\n%s", err, b.describe())
	}
}

func (b *tab) open(url string) {
	b.Helper()
	b.do(chromedp.Navigate(url))
}

// click clicks on the middle of an element. (Chromedp's own Click does not know the elements of a page that was kept for the
// back button.)
func (b *tab) click(selector string) {
	b.Helper()
	type point struct{ X, Y float64 }
	at := eval[point](b, fmt.Sprintf(`(() => {
		const element = document.querySelector(%q);
		element.scrollIntoView({block: 'nearest', behavior: 'instant'});
		const {x, y, width, height} = element.getBoundingClientRect();
		return {X: x + width / 2, Y: y + height / 2};
	})()`, selector))
	b.do(chromedp.MouseClickXY(at.X, at.Y))
}

// eval returns the value of a JavaScript expression, of its promise if it is one.
func eval[T any](b *tab, expression string) T {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, testkit.Patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		b.Fatalf("%s: %v\n%s", expression, err, b.describe())
	}
	return v
}

// wait waits until a JavaScript condition holds. (Chromedp's own Poll needs eval, which the demo's page forbids.)
func (b *tab) wait(condition string) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, testkit.Patience)
	defer cancel()
	for {
		// An error is that of a page which is just being left.
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("!!("+condition+")"))
		if err == nil && ok {
			return
		}
		select {
		case <-ctx.Done():
			b.Fatalf("never: %s (%v)\n%s", condition, err, b.describe())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// shows waits until the page contains text, as a reader sees it.
func (b *tab) shows(text string) {
	b.Helper()
	b.wait(fmt.Sprintf("document.body.innerText.includes(%q)", text))
}

// text returns what an element says.
func (b *tab) text(selector string) string {
	b.Helper()
	return eval[string](b, fmt.Sprintf("document.querySelector(%q).innerText", selector))
}

func (b *tab) describe() string {
	ctx, cancel := context.WithTimeout(b.ctx, time.Second)
	defer cancel()
	page, err := chromedp.Run(ctx, chromedp.Evaluate[string]("location.href + '\\n' + document.body.innerText"))
	return fmt.Sprintf("page: %s %v\nconsole: %s", page, err, b.console)
}

// cookies returns the profile's cookies for url.
func (b *tab) cookies(url string) []*network.Cookie {
	b.Helper()
	result, err := chromedp.Call(b.ctx, network.GetCookies, network.GetCookiesParams{URLs: []string{url}})
	if err != nil {
		b.Fatal(err)
	}
	return result.Cookies
}

// complained fails the test if the console has something other than n lines about responses that were 503.
func (b *tab) complained(n int) {
	b.Helper()
	const line = "Failed to load resource: the server responded with a status of 503 (Service Unavailable)"
	lines := strings.Split(strings.TrimSuffix(b.console.String(), "\n"), "\n")
	if lines[0] == "" {
		lines = nil
	}
	for _, l := range lines {
		if !strings.Contains(l, line) {
			b.Errorf("console: %s", l)
		}
	}
	if len(lines) != n {
		b.Errorf("%d lines in the console, want %d:\n%s", len(lines), n, b.console)
	}
}

// buildDemo builds the demo as the tests were built: with the race detector or without.
func buildDemo(path string) (string, error) {
	args := []string{"build", "-o", path}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			if setting.Key == "-race" && setting.Value == "true" {
				args = append(args, "-race")
			}
		}
	}
	cmd := exec.Command("go", args...)
	cmd.Dir = ".." // the module of the demo
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
}

// A demo is a process that serves the page. It ends with the test.
type demo struct {
	testing.TB
	url  string
	args []string
	cmd  *exec.Cmd
	log  *testkit.Logs
}

func startDemo(t testing.TB, args ...string) *demo {
	t.Helper()
	d := &demo{TB: t, args: args}
	t.Cleanup(d.stop)
	d.start("127.0.0.1:0")
	return d
}

func (d *demo) start(addr string) {
	d.Helper()
	program, err := demoProgram()
	if err != nil {
		d.Fatal(err)
	}
	d.log = new(testkit.Logs)
	d.cmd = exec.Command(program, append([]string{"-addr", addr}, d.args...)...)
	d.cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	d.cmd.Stderr = d.log
	stdout, err := d.cmd.StdoutPipe()
	if err != nil {
		d.Fatal(err)
	}
	if err := d.cmd.Start(); err != nil {
		d.cmd = nil
		d.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		d.Fatalf("the demo did not start: %v, %s", err, d.log)
	}
	d.url = strings.TrimSpace(strings.TrimPrefix(line, "demo: "))
}

func (d *demo) addr() string { return strings.TrimPrefix(d.url, "http://") }

// stop ends the demo in an orderly way, which succeeds unless there was a data race.
func (d *demo) stop() {
	d.Helper()
	if d.cmd == nil {
		return
	}
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.AfterFunc(testkit.Patience, func() { _ = d.cmd.Process.Kill() })
	defer timer.Stop()
	if err := d.cmd.Wait(); err != nil {
		d.Errorf("the demo ended with %v:\n%s", err, d.log)
	}
	d.cmd = nil
}
