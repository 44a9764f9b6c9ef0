// Package redistest starts real redis-server processes for tests, and a proxy that breaks connections to them.
package redistest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gomodule/redigo/redis"
)

// patience bounds every wait of this package.
const patience = 20 * time.Second

// Server is a redis-server process of one test. It ends with the test.
type Server struct {
	t      testing.TB
	dir    string
	port   int
	args   []string
	cmd    *exec.Cmd
	exited chan struct{} // closed once cmd has been waited for
}

// Start starts redis-server on a free port of 127.0.0.1 and on a unix socket, and waits until it answers. It keeps
// nothing on disk unless args, which are those of redis-server, say otherwise. SESSION_REDIS_SERVER in the environment
// is the path of another program to start instead, such as valkey-server. Without a redis-server the test is skipped,
// or fails where CI is set in the environment.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	requireProgram(t)
	// Not t.TempDir: a test's long name in it would make the socket's path longer than the system allows.
	dir, err := os.MkdirTemp("", "redistest")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, dir: dir, args: args}
	t.Cleanup(func() {
		s.stop()
		os.RemoveAll(dir)
	})
	for range 5 { // another process may take the port in between
		s.port = freePort(t)
		if err = s.run(false); err == nil {
			return s
		}
	}
	t.Fatalf("redistest: %v", err)
	return nil
}

// program returns the program that serves.
func program() string { return cmp.Or(os.Getenv("SESSION_REDIS_SERVER"), "redis-server") }

// requireProgram ends the test if there is no program to start.
func requireProgram(t testing.TB) {
	t.Helper()
	if !onUnix {
		t.Skip("redistest: the tests on a real Redis need a Unix system; on Windows, run them in WSL")
	}
	_, err := exec.LookPath(program())
	switch {
	case err == nil:
	case os.Getenv("SESSION_REDIS_SERVER") != "":
		t.Fatalf("redistest: SESSION_REDIS_SERVER must be the absolute path of a program: %v", err)
	case os.Getenv("CI") != "":
		t.Fatal("redistest: redis-server is not installed")
	default:
		t.Skip("redistest: redis-server is not installed; install it to run this test")
	}
}

// freePort returns a port of 127.0.0.1 that was free just now. It is below the ports that the kernel gives to outgoing
// connections. Otherwise one of these could take it before the server does.
func freePort(t testing.TB) int {
	t.Helper()
	for range 1000 {
		port := 10000 + rand.IntN(20000)
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			listener.Close()
			return port
		}
	}
	t.Fatal("redistest: no free port")
	return 0
}

// run starts the process and waits until it answers, be it that it is loading if that will do, or has ended.
func (s *Server) run(loading bool) error {
	s.cmd = exec.Command(program(), append([]string{
		"--bind", "127.0.0.1", "--port", strconv.Itoa(s.port), "--unixsocket", s.Socket(),
		"--dir", s.dir, "--logfile", "log", "--save", "", "--appendonly", "no",
	}, s.args...)...)
	s.exited = make(chan struct{})
	output, err := os.Create(filepath.Join(s.dir, "output"))
	if err != nil {
		return err
	}
	defer output.Close()
	s.cmd.Stdout, s.cmd.Stderr = output, output
	if err := s.cmd.Start(); err != nil {
		return err
	}
	go func(cmd *exec.Cmd, exited chan struct{}) {
		_ = cmd.Wait()
		close(exited)
	}(s.cmd, s.exited)
	for start := time.Now(); !s.answers(loading); {
		select {
		case <-s.exited:
			return fmt.Errorf("redis-server ended: %s", s.Log())
		case <-time.After(2 * time.Millisecond):
		}
		if time.Since(start) > patience {
			return fmt.Errorf("redis-server does not answer: %s", s.Log())
		}
	}
	return nil
}

// answers reports whether the server replies to PING. An error is a reply too: a server with a password sends one. The
// socket belongs to this server alone. A port may belong to another server that took it first.
func (s *Server) answers(loading bool) bool {
	conn, err := redis.Dial("unix", s.Socket(), redis.DialReadTimeout(time.Second))
	if err != nil {
		return false
	}
	defer conn.Close()
	_, err = conn.Do("PING")
	var refused redis.Error
	return err == nil || errors.As(err, &refused) && (loading || !strings.HasPrefix(string(refused), "LOADING"))
}

// Addr returns host:port.
func (s *Server) Addr() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

// Port returns the port.
func (s *Server) Port() int { return s.port }

// URL returns redis://host:port.
func (s *Server) URL() string { return "redis://" + s.Addr() }

// Socket returns the path of the unix socket.
func (s *Server) Socket() string { return filepath.Join(s.dir, "redis.sock") }

// Log returns what the server has printed and logged.
func (s *Server) Log() string {
	output, _ := os.ReadFile(filepath.Join(s.dir, "output"))
	log, _ := os.ReadFile(filepath.Join(s.dir, "log"))
	return string(output) + string(log)
}

// Stop makes the server hang: connections stay open, and nothing is answered.
func (s *Server) Stop() { s.signal(sigStop) }

// Cont ends a Stop.
func (s *Server) Cont() { s.signal(sigCont) }

// Kill ends the server without warning, as a crash does, and waits for its end.
func (s *Server) Kill() {
	s.t.Helper()
	s.signal(syscall.SIGKILL)
	s.wait()
}

// Shutdown ends the server in an orderly way, and waits for its end.
func (s *Server) Shutdown() {
	s.t.Helper()
	s.signal(syscall.SIGTERM)
	s.wait()
}

// Restart ends the server if it runs, and starts it at the same port, in the same folder and with the same arguments.
// It waits until the server has loaded its data.
func (s *Server) Restart() {
	s.t.Helper()
	s.restart(false)
}

// RestartLoading is Restart that returns while the server loads its data.
func (s *Server) RestartLoading() {
	s.t.Helper()
	s.restart(true)
}

func (s *Server) restart(loading bool) {
	s.t.Helper()
	s.stop()
	if err := s.run(loading); err != nil {
		s.t.Fatalf("redistest: %v", err)
	}
}

// signal sends sig to the server unless it has ended.
func (s *Server) signal(sig os.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Errorf("redistest: %v", err)
	}
}

// wait waits for the end of the server.
func (s *Server) wait() {
	s.t.Helper()
	select {
	case <-s.exited:
	case <-time.After(patience):
		s.t.Fatal("redistest: redis-server does not end")
	}
}

// stop ends the server, whatever its state.
func (s *Server) stop() {
	if s.cmd == nil || s.cmd.Process == nil {
		return
	}
	s.signal(sigCont)
	s.signal(syscall.SIGTERM)
	select {
	case <-s.exited:
		return
	case <-time.After(patience / 2):
	}
	s.signal(syscall.SIGKILL)
	s.wait()
}

// HasIfEqual reports whether the server's SET has IFEQ.
func (s *Server) HasIfEqual(t testing.TB) bool {
	conn := s.Dial(t)
	defer conn.Close()
	_, err := conn.Do("SET", "redistest", "", "IFEQ", "") // of a key that is not there
	return err == nil
}

// Dial opens a connection, which ends with the test.
func (s *Server) Dial(t testing.TB, options ...redis.DialOption) redis.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	options = append([]redis.DialOption{redis.DialReadTimeout(patience), redis.DialWriteTimeout(patience)}, options...)
	conn, err := redis.DialContext(ctx, "tcp", s.Addr(), options...)
	if err != nil {
		t.Fatalf("redistest: %v", err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// Do runs one command on a connection of its own, and returns its reply. An error fails the test.
func (s *Server) Do(t testing.TB, name string, args ...any) any {
	t.Helper()
	conn := s.Dial(t)
	defer conn.Close()
	reply, err := conn.Do(name, args...)
	if err != nil {
		t.Fatalf("redistest: %s: %v", name, err)
	}
	return reply
}
