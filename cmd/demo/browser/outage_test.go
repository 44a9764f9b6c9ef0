package browser

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/sessionkv/session/internal/redistest"
)

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
	if left := b.text("#left"); left != "unknown" {
		t.Errorf("without the demo, %q is left", left)
	}

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
