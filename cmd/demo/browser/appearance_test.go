package browser

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/sessionkv/session/internal/redistest"
)

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

	b.click("#count")
	b.said("from 0 to 20")
	look("counted")

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

// audit returns what is wrong with how the page looks: parts that stick out, a time in two lines, and text with less
// contrast than WCAG 2.2, 1.4.3, asks for.
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
		if (element.id === 'left' && box.height > 2 * parseFloat(getComputedStyle(element).fontSize)) faults.push(name + ' takes two lines');
		if (![...element.childNodes].some(node => node.nodeType === 3 && node.data.trim())) continue;
		const [low, high] = [luminance(parse(getComputedStyle(element).color)), luminance(ground(element))].sort((a, b) => a - b);
		const contrast = (high + .05) / (low + .05);
		if (contrast < 4.5) faults.push(name + ' has a contrast of ' + contrast.toFixed(2));
	}
	if (document.documentElement.scrollWidth > width) faults.push('the page is ' + document.documentElement.scrollWidth + ' wide');
	return faults;
})()`

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
