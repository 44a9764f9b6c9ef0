package campaign

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/internal/testkit"
)

// malformed returns the IDs that m was asked for and that no token leads to.
func malformed(m *testkit.Memory) (ids []string) {
	for _, id := range m.Asked() {
		if !testkit.IsID(id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// E1: Secure is the configuration's business, never that of a header anybody can send.
func TestSecureDoesNotDependOnTheRequest(t *testing.T) {
	t.Parallel()
	b, _ := testkit.MiniRedis(t)
	for _, insecure := range []bool{false, true} {
		manager := testkit.NewManager(t, session.Config{Store: b.Store, Cookie: session.Cookie{InsecureHTTP: insecure}})
		for _, address := range []string{"http://example.com/", "https://example.com/"} {
			for _, field := range []string{"X-Forwarded-Proto: http", "X-Forwarded-Proto: https", "Forwarded: proto=http", "X-None: "} {
				r := httptest.NewRequest("GET", address, nil)
				name, value, _ := strings.Cut(field, ": ")
				r.Header.Set(name, value)
				w := httptest.NewRecorder()
				manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _ = testkit.Load(t, r).Set("n", 1) })).ServeHTTP(w, r)
				cookie := w.Result().Cookies()[0]
				if cookie.Secure == insecure || !cookie.HttpOnly || strings.HasPrefix(cookie.Name, "__Host-") == insecure {
					t.Errorf("%s with %s: %s", address, field, w.Header().Get("Set-Cookie"))
				}
			}
		}
	}
}

// hostileHeaders are header lines of requests, with N for the cookie's name, T for a live token and O for another. A
// request is anonymous or the right one's, and costs a lookup for each well-formed token, if there are at most four.
var hostileHeaders = map[string]struct {
	lines, want string
	loads       int
}{
	"as browsers send it":             {"Cookie: N=T", "200 alice", 1},
	"among others":                    {"Cookie: a=b; N=T; c=d", "200 alice", 1},
	"a lower-case field":              {"cookie: N=T", "200 alice", 1},
	"two fields, as from HTTP/2":      {"Cookie: a=b\r\nCookie: N=T", "200 alice", 1},
	"twice in one field":              {"Cookie: N=T; N=T", "200 alice", 1},
	"twice in two fields":             {"Cookie: N=T\r\nCookie: N=T", "200 alice", 1},
	"RFC 2965, $Version":              {"Cookie: $Version=1; N=T; $Path=/", "200 alice", 1},
	"in quotes":                       {`Cookie: N="T"`, "200 alice", 1},
	"white space around the field":    {"Cookie:  \t N=T \t ", "200 alice", 1},
	"two that live":                   {"Cookie: N=T; N=O", "200 nobody", 2},
	"two that live, two fields":       {"Cookie: N=O\r\nCookie: N=T", "200 nobody", 2},
	"white space around the name":     {"Cookie: a=b ;\t __Host-session \t=T", "200 alice", 1},
	"a space before the value":        {"Cookie: N= T", "200 nobody", 0},
	"a space in the value":            {"Cookie: N=T T", "200 nobody", 0},
	"a comma in place of a semicolon": {"Cookie: N=T,N=O", "200 nobody", 0},
	"an ampersand":                    {"Cookie: a=b&N=T", "200 nobody", 0},
	"lower case":                      {"Cookie: __host-session=T", "200 nobody", 0},
	"upper case":                      {"Cookie: __HOST-SESSION=T", "200 nobody", 0},
	"U+00A0 before the name":          {"Cookie: \u00a0N=T", "200 nobody", 0},
	"U+2000 before the name":          {"Cookie: \u2000N=T", "200 nobody", 0},
	"0xA0 before the name":            {"Cookie: \xa0N=T", "200 nobody", 0},
	"U+2000 after the name":           {"Cookie: N\u2000=T", "200 nobody", 0},
	"without a name":                  {"Cookie: =N=T", "200 nobody", 0},
	"a name in the value":             {"Cookie: a=N=T", "200 nobody", 0},
	"no value":                        {"Cookie: N=", "200 nobody", 0},
	"no equals sign":                  {"Cookie: N", "200 nobody", 0},
	"a quote in the value":            {`Cookie: N="T`, "200 nobody", 0},
	"a backslash":                     {`Cookie: N=\T`, "200 nobody", 0},
	"a byte above 0x7f":               {"Cookie: N=T\x80", "200 nobody", 0},
	"a letter that looks the same":    {"Cookie: N=\u0410AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "200 nobody", 0},
	"percent signs":                   {"Cookie: N=%41T", "200 nobody", 0},
	"glob characters":                 {"Cookie: N=" + strings.Repeat("*", 43), "200 nobody", 0},
	"a path":                          {"Cookie: N=" + strings.Repeat("../", 14) + "x", "200 nobody", 0},
	"a key":                           {"Cookie: N=session:00000000-0000-8000-8000-000000000000", "200 nobody", 0},
	"an ID":                           {"Cookie: N=00000000-0000-8000-8000-000000000000", "200 nobody", 0},
	"attributes of Set-Cookie":        {"Cookie: N=x; Path=/; N=T; HttpOnly", "200 alice", 1},
	"64 kB":                           {"Cookie: N=" + strings.Repeat("A", 64<<10), "200 nobody", 0},
	"64 kB beside the token":          {"Cookie: N=" + strings.Repeat("A", 64<<10) + "; N=T", "200 alice", 1},
	"five of the name":                {"Cookie: N=T" + strings.Repeat("; N=?", 4), "200 nobody", 0},
	"a thousand of the name":          {"Cookie: N=T" + strings.Repeat("; N=?", 1000), "200 nobody", 0},
	"a thousand that are malformed":   {"Cookie: N=T" + strings.Repeat("; N=x", 1000), "200 alice", 1},
	"NUL":                             {"Cookie: N=T\x00", "400 ", 0},
	"DEL":                             {"Cookie: N=T\x7f", "400 ", 0},
	"a bare CR":                       {"Cookie: N=T\rx", "400 ", 0},
	"2 MiB":                           {"Cookie: N=" + strings.Repeat("A", 2<<20), "431 ", 0},
}

// A5, F1, F2, F3, F4: hostile headers over the wire, through the server's own parser.
func TestHostileCookieHeaders(t *testing.T) {
	t.Parallel()
	memory := testkit.NewMemory()
	store := &testkit.FaultyStore{Store: memory}
	var log testkit.Logs
	manager := testkit.NewManager(t, session.Config{Store: store, Logger: log.Logger()})
	alice, _ := testkit.Begin(t, manager, map[string]any{"user": "alice"})
	other, _ := testkit.Begin(t, manager, map[string]any{"user": "other"})
	server := httptest.NewServer(manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, ok := user.Get(testkit.Load(t, r)); ok {
			fmt.Fprint(w, name)
			return
		}
		fmt.Fprint(w, "nobody")
	})))
	defer server.Close()
	store.Calls()
	for name, test := range hostileHeaders {
		t.Run(name, func(t *testing.T) {
			response, text := send(t, server, fill(test.lines, alice[0].Value, other[0].Value))
			if response.StatusCode != 200 {
				text = "" // the server's own
			}
			if got := fmt.Sprint(response.StatusCode, " ", text); got != test.want {
				t.Errorf("got %.60q, want %q", got, test.want)
			}
			if response.Header.Get("Set-Cookie") != "" {
				t.Errorf("Set-Cookie: %s", response.Header.Get("Set-Cookie"))
			}
			if calls := store.Calls(); calls != fmt.Sprintf("%d loads, 0 saves, 0 deletes", test.loads) {
				t.Errorf("%s, want %d", calls, test.loads)
			}
		})
	}
	if ids := malformed(memory); len(ids) != 0 {
		t.Errorf("the store was asked for %q", ids)
	}
	for _, cookies := range [][]*http.Cookie{alice, other} {
		if strings.Contains(log.String(), cookies[0].Value) {
			t.Errorf("a token in the log: %s", log.String())
		}
	}
	if !strings.Contains(log.String(), "several living sessions") {
		t.Errorf("several living sessions are not logged: %s", log.String())
	}
}

// CVE-2025-58186: Go drops all cookies of a request that has more than 3,000 (since 1.25.2). That is a visitor without a
// session, and no failure.
func TestThousandsOfCookiesAreNoFailure(t *testing.T) {
	t.Parallel()
	store := testkit.NewMemory()
	manager := testkit.NewManager(t, session.Config{Store: store})
	alice, id := testkit.Begin(t, manager, map[string]any{"user": "alice"})
	server := httptest.NewServer(manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, _ := user.Get(testkit.Load(t, r))
		fmt.Fprint(w, name)
	})))
	defer server.Close()
	for n, want := range map[int][]string{2_000: {"alice"}, 10_000: {"", "alice"}} {
		response, text := send(t, server, fill("Cookie: N=T"+strings.Repeat("; a=b", n), alice[0].Value, ""))
		if response.StatusCode != 200 || !slices.Contains(want, text) || response.Header.Get("Set-Cookie") != "" {
			t.Errorf("%d cookies: %d %q %v", n, response.StatusCode, text, response.Header)
		}
	}
	if len(store.Stored()) != 1 || store.Stored()[id] == "" {
		t.Errorf("%d sessions", len(store.Stored()))
	}
}

// fill replaces the letters of hostileHeaders, a question mark by a token that leads to nothing.
func fill(lines, token, other string) string {
	lines = strings.NewReplacer("N=", "__Host-session=", "N\u2000", "__Host-session\u2000", "T", token, "O", other).Replace(lines)
	for strings.Contains(lines, "?") {
		lines = strings.Replace(lines, "?", testkit.Forge(time.Now().Add(time.Hour)), 1)
	}
	return lines
}

// send sends a request with these header lines, byte for byte.
func send(t *testing.T, server *httptest.Server, lines string) (*http.Response, string) {
	t.Helper()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go func() {
		_, _ = fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n%s\r\n\r\n", lines)
	}()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil && response.StatusCode == 200 {
		t.Fatal(err)
	}
	return response, string(text)
}
