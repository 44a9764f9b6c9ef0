package demo

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// A Load is what visitors do, over HTTP.
type Load struct {
	base   string
	client *http.Client
	left   chan *browser // whose visitors did not sign out, and come back
}

// NewLoad returns the Load of an application by its URL.
func NewLoad(base string) *Load {
	return &Load{base: base, client: &http.Client{Timeout: 10 * time.Second}, left: make(chan *browser, visitors)}
}

const (
	users    = 40
	visitors = 8 // at once
)

// Run lets visitors come until ctx ends, some twenty a second.
func (l *Load) Run(ctx context.Context) {
	var group sync.WaitGroup
	for first := range visitors {
		group.Go(func() {
			for i := first; ctx.Err() == nil; i += visitors {
				l.Visit(ctx, i)
				pause(ctx, 300*time.Millisecond)
			}
		})
	}
	group.Wait()
}

// Trouble breaks the connections to Redis every period, and cuts the link for an eighth of each third one.
func Trouble(ctx context.Context, link *Link, period time.Duration) {
	for i := 1; pause(ctx, period); i++ {
		if i%3 != 0 {
			link.Break()
			continue
		}
		link.Cut()
		pause(ctx, period/8)
		link.Mend()
	}
}

// pause reports whether ctx goes on.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// Visit is the i-th visit. What it does follows from i, so that of some dozens each kind is among them.
func (l *Load) Visit(ctx context.Context, i int) {
	user := fmt.Sprintf("user-%d", i%users)
	l.comeBack()
	b := &browser{load: l, ctx: ctx}
	b.post("/cart", "size", fmt.Sprint(50<<(i%8)))
	b.get("/")
	switch i % 16 {
	case 3: // leaves, and signs in nowhere
		b.post("/signout")
		return
	case 5:
		b.otherSite()
		return
	case 7:
		b.twoSessions()
		return
	case 9:
		b.changesPassword(user)
		return
	}
	b.post("/signin", "user", user)
	b.get("/")
	b.get("/poll")
	b.atOnce(2+i%3, func() { b.post("/cart", "size", "100") })
	if i%4 > 0 {
		tab := &browser{load: l, ctx: ctx, cookies: b.cookies}
		b.post("/signout")
		tab.get("/")
		return
	}
	l.leave(b)
}

// leave lets a visitor go who may come back.
func (l *Load) leave(b *browser) {
	select {
	case l.left <- b:
	default: // there are enough
	}
}

func (l *Load) comeBack() {
	select {
	case b := <-l.left:
		b.get("/")
		l.leave(b)
	default:
	}
}

// A browser has the cookies of one visitor. Requests at the same time send the cookies that it had before.
type browser struct {
	load *Load
	ctx  context.Context
	from string // the value of Sec-Fetch-Site

	mu      sync.Mutex
	cookies []*http.Cookie
}

func (b *browser) get(path string) { b.do(http.MethodGet, path, nil) }

func (b *browser) post(path string, pairs ...string) {
	form := make(url.Values)
	for i := 0; i+1 < len(pairs); i += 2 {
		form.Set(pairs[i], pairs[i+1])
	}
	b.do(http.MethodPost, path, form)
}

func (b *browser) do(method, path string, form url.Values) {
	r, err := http.NewRequestWithContext(b.ctx, method, b.load.base+path, strings.NewReader(form.Encode()))
	if err != nil {
		return
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if b.from != "" {
		r.Header.Set("Sec-Fetch-Site", b.from)
	}
	b.mu.Lock()
	for _, cookie := range b.cookies {
		r.AddCookie(cookie)
	}
	b.mu.Unlock()
	response, err := b.load.client.Do(r)
	if err != nil {
		return // ctx has ended
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	b.keep(response.Cookies())
}

func (b *browser) keep(set []*http.Cookie) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, cookie := range set {
		b.cookies = nil
		if cookie.MaxAge >= 0 {
			b.cookies = []*http.Cookie{cookie}
		}
	}
}

func (b *browser) atOnce(n int, f func()) {
	var group sync.WaitGroup
	for range n {
		group.Go(f)
	}
	group.Wait()
}

// otherSite sends a sign-in from the page of another site, without cookies, as SameSite has it.
func (b *browser) otherSite() {
	b.cookies, b.from = nil, "cross-site"
	b.post("/signin", "user", "mallory")
}

// twoSessions puts the cookie of another session into the browser, as an attacker could, and loads a page.
func (b *browser) twoSessions() {
	planted := &browser{load: b.load, ctx: b.ctx}
	planted.post("/cart")
	b.cookies = append(b.cookies, planted.cookies...)
	b.get("/")
}

// changesPassword ends what the user has elsewhere, also a sign-in that is under way with the old password.
func (b *browser) changesPassword(user string) {
	elsewhere := &browser{load: b.load, ctx: b.ctx}
	b.post("/signin", "user", user)
	elsewhere.post("/signin", "user", user)
	var group sync.WaitGroup
	for range 3 {
		thief := &browser{load: b.load, ctx: b.ctx}
		group.Go(func() { thief.post("/signin", "user", user) })
	}
	group.Go(func() {
		pause(b.ctx, inquiry/2)
		b.post("/password")
	})
	group.Wait()
	elsewhere.get("/")
	b.post("/signout")
	b.get("/")
}
