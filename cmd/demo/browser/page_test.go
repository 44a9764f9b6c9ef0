package browser

import (
	"fmt"
	"os/exec"
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

// Requests at once are all counted, with a session before and without one.
func TestTwentyAtOnceButton(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	d := startDemo(t, "-redis", server.URL())
	b := newProfile(t)
	b.open(d.url)
	b.click("#count")
	b.said(`^20 × POST /count 20 answers are 200. The count went from 0 to 20.$`)
	b.inState("live")
	b.click("#count")
	b.said(`The count went from 20 to 40.$`)
	b.wait(`document.getElementById('json').innerText.includes('"count": 40')`)
	if names := keys(t, server); len(names) != 1 {
		t.Errorf("the sessions are %q", names)
	}
	b.complained(0)
}

func TestSlowRequestButton(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	d := startDemo(t, "-redis", server.URL())
	b := newProfile(t)
	b.open(d.url)
	b.click("#slow")
	b.said(`^POST /slow Del came while it ran. It says: change dropped, for the session has ended. Get finds {}.$`)
	b.inState("none")
	if names := keys(t, server); len(names) != 0 {
		t.Errorf("the slow request leaves %q", names)
	}
	if cookies := b.cookies(d.url); len(cookies) != 0 {
		t.Errorf("it leaves the cookie %+v", cookies[0])
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

	for range 3 { // past the links
		press(kb.Tab)
	}
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
	for range 7 {
		press(kb.Tab)
		order = append(order, focus())
	}
	if got := strings.Join(order, " "); got != "del count slow json Copy Copy Copy" {
		t.Errorf("Tab leads from Get to %s", got)
	}
	// What the page shows is replaced, and the focus stays where it is.
	eval[chromedp.Void](b, "document.getElementById('state').old = true, document.getElementById('get').click()")
	b.wait("!document.getElementById('state').old")
	if got := focus(); got != "Copy" {
		t.Errorf("after the page shows something new, the focus is on %q", got)
	}
	for range 7 {
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
