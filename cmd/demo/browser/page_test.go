package browser

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/gomodule/redigo/redis"

	"github.com/sessionkv/session/internal/redistest"
)

// keys returns the keys that a server has.
func keys(t testing.TB, server *redistest.Server) []string {
	t.Helper()
	names, err := redis.Strings(server.Do(t, "KEYS", "*"), nil)
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// inState waits until the demo's page shows a state: none, live, expired or down.
func (b *tab) inState(state string) {
	b.Helper()
	b.wait(fmt.Sprintf("document.getElementById('state').dataset.state === %q", state))
}

// said waits until the demo's page says what came of a press of a button.
func (b *tab) said(pattern string) {
	b.Helper()
	b.wait(fmt.Sprintf("/%s/.test(document.getElementById('said').innerText.replace(/\\s+/g, ' '))", strings.ReplaceAll(pattern, "/", `\/`)))
}

func TestButtons(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	d := startDemo(t, "-redis", server.URL())
	b := newProfile(t)

	b.open(d.url)
	b.inState("none")
	b.click("#get")
	b.said(`^GET /get 200 {}$`)
	b.inState("none")
	if names := keys(t, server); len(names) != 0 {
		t.Errorf("looking at the page made %q", names)
	}

	b.click("#set")
	b.said(`^GET /set 200 ok$`)
	b.inState("live")
	names := keys(t, server)
	if len(names) != 1 || b.text("#key") != names[0] || "session:"+b.text("#id") != names[0] {
		t.Errorf("the page shows the key %q and the ID %q of %q", b.text("#key"), b.text("#id"), names)
	}
	if shown := b.text("#json"); !regexp.MustCompile(`^\{\s+"time": \d{10}\s+\}$`).MatchString(shown) {
		t.Errorf("the page shows the values %q", shown)
	}
	if left := b.text("#left"); left != "1 min" && !regexp.MustCompile(`^\d\d s$`).MatchString(left) {
		t.Errorf("%q is left", left)
	}

	server.Do(t, "SET", names[0], `{"<b>by</b>":"<script>hand"}`, "KEEPTTL")
	b.click("#get")
	b.said(`^GET /get 200 {"<b>by</b>":"<script>hand"}$`)
	b.wait(`document.getElementById('json').innerText.includes('"<b>by</b>": "<script>hand"')`)

	b.click("#del")
	b.said(`^GET /del 200 ok$`)
	b.inState("none")
	b.shows("no session")
	if names := keys(t, server); len(names) != 0 {
		t.Errorf("Del leaves %q", names)
	}
	if cookies := b.cookies(d.url); len(cookies) != 0 {
		t.Errorf("Del leaves %+v", cookies[0])
	}
	b.complained(0)
}

// Presses that come faster than the answers are all carried out, in their order.
func TestImpatientClicks(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	b := newProfile(t)
	b.open(d.url)
	eval[chromedp.Void](b, "for (const id of ['set', 'del', 'set', 'get', 'del', 'set', 'get']) document.getElementById(id).click()")
	const requests = "performance.getEntriesByType('resource').map(r => new URL(r.name).pathname).filter(path => path !== '/')"
	b.wait(requests + ".length >= 7")
	b.said(`^GET /get 200 {"time":\d+}$`)
	b.inState("live")
	if got := strings.Join(eval[[]string](b, requests), " "); got != "/set /del /set /get /del /set /get" {
		t.Errorf("the page asked for %s", got)
	}
	b.complained(0)
}

func TestKeyboard(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	b := newProfile(t)
	b.open(d.url)
	focus := func() string { return eval[string](b, "document.activeElement.id || document.activeElement.innerText") }
	press := func(key string) { b.do(chromedp.KeyEvent(key)) }

	press(kb.Tab)
	press(kb.Enter)
	b.said(`^GET /set 200`)
	b.inState("live")
	press(kb.Tab)
	press(" ")
	b.said(`^GET /get 200`)
	if got := focus(); got != "get" {
		t.Errorf("after a press of Get the focus is on %q", got)
	}
	if width := eval[string](b, "getComputedStyle(document.activeElement).outlineWidth"); width != "3px" {
		t.Errorf("the focus has an outline of %s", width)
	}
	var order []string
	for range 5 {
		press(kb.Tab)
		order = append(order, focus())
	}
	if got := strings.Join(order, " "); got != "del json Copy Copy Copy" {
		t.Errorf("Tab leads from Get to %s", got)
	}
	// What the page shows is replaced, and the focus stays where it is.
	eval[chromedp.Void](b, "document.getElementById('state').old = true, document.getElementById('get').click()")
	b.wait("!document.getElementById('state').old")
	if got := focus(); got != "Copy" {
		t.Errorf("after the page shows something new, the focus is on %q", got)
	}
	for range 5 {
		b.do(chromedp.KeyEvent(kb.Tab, chromedp.KeyModifiers(kb.ModifierShift)))
	}
	press(kb.Tab)
	press(kb.Enter)
	b.said(`^GET /del 200`)
	b.inState("none")
	b.complained(0)
}

func TestBarRunsDown(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	d := startDemo(t, "-redis", server.URL(), "-ttl", "2s")
	b := newProfile(t)
	b.prefers("reduced-motion", "no-preference")
	b.open(d.url)
	b.click("#set")
	b.inState("live")
	key := b.text("#key")

	// The bar lies in its track, and is moved out of it to the left.
	type look struct {
		State, Left, Value string
		Part               float64
	}
	const looking = `(() => {
		const at = id => document.getElementById(id), bar = at('bar').getBoundingClientRect(), track = at('track').getBoundingClientRect();
		return {State: at('state').dataset.state, Left: at('left').innerText, Value: at('track').getAttribute('aria-valuenow'),
			Part: (bar.right - track.left) / track.width};
	})()`
	var looks []look
	for len(looks) == 0 || looks[len(looks)-1].State == "live" {
		now := eval[look](b, looking)
		if n := len(looks); n > 0 && now.Part > looks[n-1].Part+.01 {
			t.Errorf("the bar goes up: %+v, then %+v", looks[n-1], now)
		}
		looks = append(looks, now)
	}
	if n := server.Do(t, "EXISTS", key); n != int64(0) {
		t.Error("the page says that the session has expired, and Redis still has it")
	}
	first, last := looks[0], looks[len(looks)-1]
	if first.Part < .3 || first.Part > 1.01 || first.Value != "1" && first.Value != "2" || first.Left != first.Value+" s" {
		t.Errorf("it begins with %+v", first)
	}
	if last.State != "expired" || last.Left != "expired" || last.Value != "0" {
		t.Errorf("it ends with %+v", last)
	}
	if len(looks) < 5 {
		t.Errorf("the page was looked at %d times", len(looks))
	}
	b.shows("The session has expired.")
	b.shows("The cookie now leads nowhere")
	b.wait("getComputedStyle(document.getElementById('bar')).visibility === 'hidden'")

	b.click("#get")
	b.said(`^GET /get 200 {}$`)
	b.inState("none")
	b.click("#set")
	b.inState("live")
	if fresh := b.text("#key"); fresh == key {
		t.Error("the new session has the key of the one that expired")
	}
	b.complained(0)
}

func TestRedisGoesAwayAndComesBack(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	d := startDemo(t, "-redis", server.URL(), "-ttl", "10m")
	b := newProfile(t)
	b.open(d.url)
	b.click("#set")
	b.inState("live")
	key, values := b.text("#key"), b.text("#json")

	server.Kill()
	b.click("#get")
	b.said(`^GET /get 503 session unavailable: is Redis running\?$`)
	b.inState("down")
	b.shows("Redis cannot be reached.")
	if left, shown := b.text("#left"), b.text("#json"); left != "unknown" || shown != "unknown" {
		t.Errorf("with Redis away, the page shows %q and %q", left, shown)
	}
	b.complained(2) // for the route and for the page
	b.do(chromedp.Reload())
	b.inState("down")

	server.Restart()
	b.click("#get")
	b.said(`^GET /get 200 {"time":\d+}$`)
	b.inState("live")
	if b.text("#key") != key || b.text("#json") != values {
		t.Errorf("the session is not what it was: %s %s, %s %s", key, values, b.text("#key"), b.text("#json"))
	}

	server.Stop()
	b.click("#set")
	b.said(`^GET /set 503`)
	b.inState("down")
	server.Cont()
	b.click("#set")
	b.said(`^GET /set 200 ok$`)
	b.inState("live")
	b.complained(5)
}

func TestDemoGoesAwayAndComesBack(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	d := startDemo(t, "-redis", server.URL())
	b := newProfile(t)
	b.open(d.url)
	b.click("#set")
	b.inState("live")
	key := b.text("#key")

	d.stop()
	b.click("#get")
	b.said(`^GET /get failed$`)
	b.shows("The demo does not answer.")

	// Something else answers in its place, as a proxy does.
	listener, err := net.Listen("tcp", d.addr())
	if err != nil {
		t.Skipf("another process took the port: %v", err)
	}
	proxy := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, "no demo here")
	}))
	proxy.Listener.Close()
	proxy.Listener = listener
	proxy.Start()
	b.click("#get")
	b.wait("document.getElementById('said').innerText.includes('GET /get')")
	b.shows("The demo does not answer.")
	if shown := b.text("#key"); shown != key {
		t.Errorf("the page shows the key %q", shown)
	}
	proxy.CloseClientConnections()
	proxy.Close()

	d.start(d.addr())
	b.click("#get")
	b.said(`^GET /get 200 {"time":\d+}$`)
	b.inState("live")
	b.wait("document.getElementById('offline').hidden")
	if shown := b.text("#key"); shown != key {
		t.Errorf("the session of a demo that was restarted is %q, want %q", shown, key)
	}
}

// The commands that the page offers are copied whole, and do in a shell what the page says.
func TestCopiedCommandsWork(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	d := startDemo(t, "-redis", server.URL())
	b := newProfile(t)
	b.open(d.url)
	b.click("#set")
	b.inState("live")
	// What is granted is reading, for the test. Writing needs no permission after a click.
	_, err := chromedp.CallBrowser(b.ctx, cdpbrowser.SetPermission, cdpbrowser.SetPermissionParams{
		Permission:       &cdpbrowser.PermissionDescriptor{Name: "clipboard-read"},
		Setting:          cdpbrowser.PermissionSettingGranted,
		Origin:           d.url,
		BrowserContextID: chromedp.FromContext(b.ctx).BrowserContextID,
	})
	if err != nil {
		t.Fatal(err)
	}
	run := func(n int) string {
		t.Helper()
		b.click(fmt.Sprintf(".commands li:nth-child(%d) button", n))
		b.wait(fmt.Sprintf("document.querySelector('.commands li:nth-child(%d) button').innerText === 'Copied'", n))
		command := eval[string](b, "navigator.clipboard.readText()")
		if shown := b.text(fmt.Sprintf(".commands li:nth-child(%d) code", n)); command != shown {
			t.Errorf("copied was %q, not %q", command, shown)
		}
		out, err := exec.Command("sh", "-c", command).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v", command, err)
		}
		return strings.TrimSpace(string(out))
	}
	if got := run(1); !regexp.MustCompile(`^\{"_rev":"[^"]+","time":\d+\}$`).MatchString(got) {
		t.Errorf("GET prints %s", got)
	}
	if got := run(2); got != "OK" {
		t.Errorf("SET prints %s", got)
	}
	if seconds, err := strconv.Atoi(run(3)); err != nil || seconds < 1 || seconds > 60 {
		t.Errorf("TTL prints %d, %v", seconds, err)
	}
	b.click("#get")
	b.said(`^GET /get 200 {"by":"hand"}$`)
	b.wait("[...document.querySelectorAll('.commands button')].every(button => button.innerText === 'Copy')")
	b.complained(0)
}

func TestTabsOfThePageShowTheSameSession(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	b, stranger := newProfile(t), newProfile(t)
	b2 := b.another()
	for _, tab := range []*tab{b, b2, stranger} {
		tab.open(d.url)
		tab.inState("none")
	}
	b.click("#set")
	b.inState("live")
	b2.inState("live")
	if one, two := b.text("#key"), b2.text("#key"); one != two {
		t.Errorf("the tabs show %q and %q", one, two)
	}
	b2.click("#del")
	b2.inState("none")
	b.inState("none")
	stranger.inState("none")
	if cookies := stranger.cookies(d.url); len(cookies) != 0 {
		t.Errorf("a stranger has %+v", cookies[0])
	}
}

func TestPageWithoutScripts(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	b := newProfile(t)
	_, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, press := range []struct{ button, answer string }{{"#set", "ok"}, {"#get", `{"time":`}, {"#del", "ok"}, {"#get", "{}"}} {
		b.open(d.url)
		b.shows("Without scripts the bar stands still")
		b.click(press.button)
		b.wait("location.pathname.length > 1")
		b.shows(press.answer)
	}
	b.open(d.url)
	b.shows("no session")
}

// The page is in no cache: who goes back to it after the session has ended sees nothing of it.
func TestBackButtonOfTheDemo(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	b := newProfile(t)
	b.open(d.url)
	b.click("#set")
	b.inState("live")
	key := b.text("#key")
	b.open(d.url + "/del")
	b.shows("ok")
	b.back()
	b.wait("location.pathname === '/'")
	b.inState("none")
	if html := eval[string](b, "document.documentElement.outerHTML"); strings.Contains(html, key) {
		t.Errorf("the page still has %s", key)
	}
}

// audit returns what is wrong with how the page looks: parts that stick out, and text with less contrast than WCAG 2.2,
// 1.4.3, asks for.
const audit = `(() => {
	const faults = [];
	const width = document.documentElement.clientWidth;
	const parse = text => text.match(/[\d.]+/g).map(Number);
	const luminance = ([r, g, b]) => [r, g, b].map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
		.reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
	const ground = element => {
		for (; element; element = element.parentElement) {
			const colour = parse(getComputedStyle(element).backgroundColor);
			if (colour.length === 3 || colour[3] === 1) return colour;
		}
		return [255, 255, 255];
	};
	for (const element of document.body.querySelectorAll('*')) {
		if (!element.checkVisibility() || ['SCRIPT', 'NOSCRIPT'].includes(element.tagName)) continue;
		const box = element.getBoundingClientRect();
		const name = element.tagName + ' ' + (element.id || element.innerText.slice(0, 40));
		if (element.id !== 'bar' && (box.right > width + .5 || box.left < -.5)) faults.push(name + ' sticks out');
		if (element.id !== 'bar' && element.id !== 'track' && element.scrollWidth > element.clientWidth + 1 && getComputedStyle(element).display !== 'inline') faults.push(name + ' is cut off');
		if (![...element.childNodes].some(node => node.nodeType === 3 && node.data.trim())) continue;
		const [low, high] = [luminance(parse(getComputedStyle(element).color)), luminance(ground(element))].sort((a, b) => a - b);
		const contrast = (high + .05) / (low + .05);
		if (contrast < 4.5) faults.push(name + ' has a contrast of ' + contrast.toFixed(2));
	}
	if (document.documentElement.scrollWidth > width) faults.push('the page is ' + document.documentElement.scrollWidth + ' wide');
	return faults;
})()`

func TestAppearance(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	d := startDemo(t, "-redis", server.URL(), "-ttl", "45s")
	brief := startDemo(t, "-redis", server.URL(), "-ttl", "1s")
	b := newProfile(t)
	looks := []struct {
		name, scheme  string
		width, height int64
	}{
		{"wide", "light", 1200, 900},
		{"wide dark", "dark", 1200, 900},
		{"narrow", "light", 360, 740},
		{"narrow dark", "dark", 360, 740},
		{"smallest", "light", 320, 568}, // WCAG 2.2, 1.4.10
	}
	look := func(state string) {
		t.Helper()
		grounds := map[string]string{}
		for _, l := range looks {
			b.prefers("color-scheme", l.scheme)
			b.do(chromedp.EmulateViewport(l.width, l.height))
			b.wait(fmt.Sprintf("innerWidth === %d && matchMedia('(prefers-color-scheme: %s)').matches", l.width, l.scheme))
			// A button's own transition, to the colours of the other scheme, must be over.
			b.wait("document.getAnimations().length === 0")
			grounds[l.scheme] = eval[string](b, "getComputedStyle(document.body).backgroundColor")
			for _, fault := range eval[[]string](b, audit) {
				t.Errorf("%s, %s: %s", state, l.name, fault)
			}
			b.screenshot(state + " " + l.name)
		}
		if grounds["dark"] == grounds["light"] {
			t.Errorf("the dark page is %s too", grounds["light"])
		}
	}
	b.open(d.url)
	b.inState("none")
	look("none")
	b.click("#set")
	b.inState("live")
	look("live")
	server.Do(t, "SET", b.text("#key"), `{"user":"ann","a long word":"`+strings.Repeat("x", 200)+`","list":[1,2,{"deep":[true,null]}]}`, "KEEPTTL")
	b.click("#get")
	b.said("GET /get 200 {.*xxx")
	b.wait("document.getElementById('json').innerText.includes('xxx')")
	look("long values")

	b.open(brief.url)
	b.click("#set")
	b.inState("expired")
	look("expired")

	b.open(d.url)
	server.Stop()
	b.click("#get")
	b.inState("down")
	look("down")
	server.Cont()
	b.click("#get")
	b.inState("none")
	d.stop()
	b.click("#get")
	b.said("failed")
	look("demo away")
}

// prefers sets what CSS calls prefers-name.
func (b *tab) prefers(name, value string) {
	b.Helper()
	feature := &emulation.MediaFeature{Name: "prefers-" + name, Value: value}
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{feature}})
	if err != nil {
		b.Fatal(err)
	}
}

// screenshot keeps a picture of the page where they are asked for.
func (b *tab) screenshot(name string) {
	b.Helper()
	dir := os.Getenv("SCREENSHOTS")
	if dir == "" {
		return
	}
	picture, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, strings.ReplaceAll(name, " ", "-")+".png"), picture, 0o600)
	}
	if err != nil {
		b.Error(err)
	}
}
