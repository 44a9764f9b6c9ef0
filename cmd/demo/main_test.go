package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"

	"github.com/sessionkv/session/internal/testkit"
)

// asProgram makes the test binary run main instead of the tests: a process of its own, without another build.
const asProgram = "DEMO_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// A running is a demo that serves.
type running struct {
	url   string
	lines []string // what it printed at the start
	log   *testkit.Logs
}

// start runs the demo in this process until the test ends or stop is called, which is when all that it opened must be
// closed.
func start(t *testing.T, args ...string) (d *running, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	stdout, w := io.Pipe()
	d = &running{log: new(testkit.Logs)}
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, append([]string{"-addr", "127.0.0.1:0"}, args...), w, d.log)
		w.CloseWithError(err)
		ended <- err
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := testkit.Receive(t, ended); err != nil {
			t.Errorf("run: %v", err)
		}
	})
	t.Cleanup(stop)
	d.read(t, stdout)
	return d, stop
}

// A process is a demo that serves in a process of its own.
type process struct {
	running
	cmd *exec.Cmd
}

func startProcess(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{cmd: command(t, append([]string{"-addr", "127.0.0.1:0"}, args...)...)}
	p.log = new(testkit.Logs)
	p.cmd.Stderr = p.log
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	p.read(t, stdout)
	return p
}

// command is the demo as a program. It ends with the test, at the latest.
func command(t *testing.T, args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Patience)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1", "GORACE=atexit_sleep_ms=0")
	return cmd
}

// kill ends the process as a crash does, if it has not ended.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// read reads the lines that a demo prints at the start.
func (d *running) read(t *testing.T, stdout io.Reader) {
	t.Helper()
	lines := bufio.NewScanner(stdout)
	for len(d.lines) < 3 && lines.Scan() {
		d.lines = append(d.lines, lines.Text())
	}
	if len(d.lines) < 3 {
		t.Fatalf("the demo did not start: %q, %v, %s", d.lines, lines.Err(), d.log)
	}
	d.url = strings.TrimPrefix(d.lines[0], "demo: ")
}

// A browser keeps cookies.
type browser struct{ http.Client }

func newBrowser(t *testing.T) *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &browser{http.Client{Jar: jar, Transport: transport, Timeout: testkit.Patience}}
}

func (b *browser) get(t *testing.T, url string) (res *http.Response, body string) {
	t.Helper()
	res, err := b.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(raw)
}

// post may run in any goroutine: its failure is a status of 0.
func (b *browser) post(t *testing.T, url string) (status int, body string) {
	t.Helper()
	res, err := b.Post(url, "text/plain", nil)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Error(err)
	}
	return res.StatusCode, string(raw)
}

// want asks for url and compares the answer.
func (b *browser) want(t *testing.T, url string, status int, body string) *http.Response {
	t.Helper()
	res, got := b.get(t, url)
	if res.StatusCode != status || got != body {
		t.Fatalf("GET %s: %d %q, want %d %q", url, res.StatusCode, got, status, body)
	}
	return res
}

// wantTime asks for /get and expects nothing but a time of now.
func (b *browser) wantTime(t *testing.T, url string) (body string) {
	t.Helper()
	res, body := b.get(t, url+"/get")
	var seconds int64
	if n, err := fmt.Sscanf(body, `{"time":%d}`, &seconds); n != 1 || err != nil {
		t.Fatalf("GET /get: %d %q", res.StatusCode, body)
	}
	if age := time.Since(time.Unix(seconds, 0)); age < -time.Second || age > time.Minute {
		t.Fatalf("GET /get: %q is %v ago", body, age)
	}
	if body != fmt.Sprintf("{\"time\":%d}\n", seconds) {
		t.Fatalf("GET /get: %q", body)
	}
	return body
}

func TestFaultsOfTheCommandLine(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { taken.Close() })
	for _, test := range []struct {
		name string
		args []string
		code int
		says string
	}{
		{"help", []string{"-h"}, 0, "usage: demo [-addr host:port] [-redis URL] [-ttl duration]"},
		{"unknown flag", []string{"-port", "80"}, 2, "demo: flag provided but not defined: -port\ndemo: -h lists the flags\n"},
		{"duration without a unit", []string{"-ttl", "60"}, 2, `invalid value "60" for flag -ttl`},
		{"no time at all", []string{"-ttl", "0"}, 2, "-ttl 0s: it must be at least 1ms"},
		{"time that runs backwards", []string{"-ttl", "-1m"}, 2, "-ttl -1m0s: it must be at least 1ms"},
		{"address without a port", []string{"-addr", "localhost"}, 2, `-addr "localhost": it must be host:port`},
		{"port in use", []string{"-addr", taken.Addr().String()}, 1, "; choose another with -addr"},
		{"port that does not exist", []string{"-addr", "127.0.0.1:99999"}, 1, "invalid port"},
		// None of these may show the password.
		{"URL as an argument", []string{"redis://:hunter2@localhost"}, 2, "the URL of a Redis goes behind -redis"},
		{"URL of another scheme", []string{"-redis", "http://:hunter2@localhost"}, 2, "-redis: redisstore: unknown URL scheme"},
		{"URL with a bad database", []string{"-redis", "redis://:hunter2@localhost/one"}, 2, "not the number of a database"},
		{"URL with a slash in the password", []string{"-redis", "redis://:hunter2/@localhost"}, 2, "-redis: redisstore:"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			cmd := command(t, test.args...)
			out, _ := cmd.CombinedOutput()
			if code := cmd.ProcessState.ExitCode(); code != test.code || !strings.Contains(string(out), test.says) {
				t.Errorf("exit code %d, want %d, with %q:\n%s", code, test.code, test.says, out)
			}
			if strings.Contains(string(out), "hunter2") {
				t.Errorf("the password is shown:\n%s", out)
			}
		})
	}
}

func TestSignalLetsRequestsFinish(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows sends no signals to other processes")
	}
	for _, signal := range []os.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			redis := miniredis.RunT(t)
			arrived, release := make(chan bool), make(chan bool)
			redis.Server().SetPreHook(func(_ *server.Peer, name string, _ ...string) bool {
				if name == "SET" {
					close(arrived)
					<-release
				}
				return false
			})
			p := startProcess(t, "-redis", redis.Addr())
			answered := make(chan string, 1)
			go func() {
				res, err := http.Get(p.url + "/set")
				if err != nil {
					answered <- err.Error()
					return
				}
				defer res.Body.Close()
				body, _ := io.ReadAll(res.Body)
				answered <- res.Status + " " + string(body)
			}()
			testkit.Receive(t, arrived)
			if err := p.cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			testkit.Eventually(t, "the demo takes no more connections", func() bool {
				conn, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
				if err == nil {
					conn.Close()
				}
				return err != nil
			})
			close(release)
			if got := testkit.Receive(t, answered); got != "200 OK ok\n" {
				t.Errorf("the request in flight got %q", got)
			}
			if err := p.cmd.Wait(); err != nil {
				t.Errorf("%v, want exit code 0:\n%s", err, p.log)
			}
		})
	}
}

func TestVisitable(t *testing.T) {
	for ip, want := range map[string]string{"127.0.0.1": "127.0.0.1:8199", "::1": "[::1]:8199", "0.0.0.0": "localhost:8199", "::": "localhost:8199"} {
		if got := visitable(&net.TCPAddr{IP: net.ParseIP(ip), Port: 8199}); got != want {
			t.Errorf("%s: %q, want %q", ip, got, want)
		}
	}
}
