package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gomodule/redigo/redis"
)

// redisServer is the process of a database, of this run's own, with a connection to ask it for its counters.
type redisServer struct {
	database
	ifEqual bool // it has SET with IFEQ

	dir  string
	port int
	cmd  *exec.Cmd
	done chan error // gets the result of Wait
	conn redis.Conn
	log  bytes.Buffer // may be read once done has been
}

// startRedis starts a database on a free port of 127.0.0.1 and on a unix socket. It keeps nothing on disk.
func startRedis(d database) (*redisServer, error) {
	dir, err := os.MkdirTemp("", "benchmarks")
	if err != nil {
		return nil, err
	}
	for range 5 { // another process may take the port in between
		s := &redisServer{database: d, dir: dir}
		if err = s.start(); err == nil {
			return s, nil
		}
	}
	return nil, errors.Join(fmt.Errorf("%s: %w", d.program, err), os.RemoveAll(dir))
}

func (s *redisServer) start() error {
	port, err := freePort()
	if err != nil {
		return err
	}
	s.port = port
	s.cmd = exec.Command(s.program, "--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--unixsocket", s.socket(),
		"--dir", s.dir, "--save", "", "--appendonly", "no", "--maxclients", "4000", "--loglevel", "warning")
	s.cmd.Stdout, s.cmd.Stderr = &s.log, &s.log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the one that stops the others
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.done = make(chan error, 1)
	go func() { s.done <- s.cmd.Wait() }()
	for range 1000 {
		if s.conn, err = redis.Dial("unix", s.socket(), redis.DialReadTimeout(patience)); err == nil {
			_, refused := s.conn.Do("SET", "ifequal", "new", "IFEQ", "old")
			s.ifEqual = refused == nil
			return nil
		}
		select {
		case err := <-s.done:
			return fmt.Errorf("ended with %v: %s", err, s.log.Bytes())
		case <-time.After(5 * time.Millisecond):
		}
	}
	return errors.Join(err, s.end())
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

func (s *redisServer) socket() string { return filepath.Join(s.dir, "redis.sock") }

// address is where the server listens in this network.
func (s *redisServer) address(network string) address {
	if network == "unix" {
		return address{"unix", s.socket()}
	}
	return address{"tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port))}
}

// stop ends the server and removes its folder.
func (s *redisServer) stop() error {
	return errors.Join(s.conn.Close(), s.end(), os.RemoveAll(s.dir))
}

func (s *redisServer) end() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-s.done:
		return nil
	case <-time.After(patience):
		return s.cmd.Process.Kill()
	}
}

// flush deletes everything.
func (s *redisServer) flush() error {
	_, err := s.conn.Do("FLUSHALL")
	return err
}

// counters are what the server has done since its start.
type counters struct {
	cpu      time.Duration            // user and system
	executed map[string]time.Duration // in each command, without reading, parsing and answering it
	commands int
	reads    int // of a connection: one for all the commands of one round trip
	input    int // bytes
	output   int
	answer   int // bytes of the answer that held these counters
}

// counters asks the server. What is counted of the question itself is left out of the difference of two answers by since.
func (s *redisServer) counters() (c counters, err error) {
	info, err := redis.String(s.conn.Do("INFO", "everything"))
	if err != nil {
		return c, err
	}
	c.executed = make(map[string]time.Duration)
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		number, _ := strconv.ParseFloat(value, 64)
		switch name {
		case "used_cpu_user", "used_cpu_sys":
			c.cpu += time.Duration(number * float64(time.Second))
		case "total_commands_processed":
			c.commands = int(number)
		case "total_reads_processed":
			c.reads = int(number)
		case "total_net_input_bytes":
			c.input = int(number)
		case "total_net_output_bytes":
			c.output = int(number)
		}
		if command, ok := strings.CutPrefix(name, "cmdstat_"); ok {
			_, usec, _ := strings.Cut(value, "usec=")
			usec, _, _ = strings.Cut(usec, ",")
			number, _ := strconv.ParseFloat(usec, 64)
			c.executed[command] = time.Duration(number * float64(time.Microsecond))
		}
	}
	c.answer = len(fmt.Sprintf("$%d\r\n%s\r\n", len(info), info))
	return c, nil
}

// infoRequest is what a question adds to the bytes of input.
const infoRequest = len("*2\r\n$4\r\nINFO\r\n$10\r\neverything\r\n")

// since is what was done between two answers.
func (c counters) since(before counters) counters {
	executed := make(map[string]time.Duration)
	for command, spent := range c.executed {
		executed[command] = spent - before.executed[command]
	}
	return counters{
		cpu:      c.cpu - before.cpu,
		executed: executed,
		commands: c.commands - before.commands - 1,
		reads:    c.reads - before.reads - 1,
		input:    c.input - before.input - infoRequest,
		output:   c.output - before.output - before.answer,
	}
}

// watch returns the commands that clients send while fn runs, in order. Those that scripts call are left out, and those
// that a client sends on a new connection, which it may open at any time.
func (s *redisServer) watch(fn func() error) ([]string, error) {
	monitor, err := redis.Dial("unix", s.socket(), redis.DialReadTimeout(patience))
	if err != nil {
		return nil, err
	}
	defer monitor.Close()
	if _, err := monitor.Do("MONITOR"); err != nil {
		return nil, err
	}
	if err := fn(); err != nil {
		return nil, err
	}
	const marker = "all seen"
	if _, err := s.conn.Do("ECHO", marker); err != nil {
		return nil, err
	}
	var commands []string
	for {
		line, err := redis.String(monitor.Receive())
		if err != nil {
			return nil, err
		}
		_, line, _ = strings.Cut(line, " [")
		client, line, _ := strings.Cut(line, `] "`)
		name, args, _ := strings.Cut(line, `"`)
		name = strings.ToUpper(name)
		switch {
		case name == "ECHO" && strings.Contains(args, marker):
			return commands, quit(monitor)
		case !strings.HasSuffix(client, " lua") && name != "HELLO" && name != "CLIENT":
			commands = append(commands, name)
		}
	}
}

// quit lets the server close the connection, and waits until it has, so that nothing of it is counted later.
func quit(conn redis.Conn) error {
	if err := errors.Join(conn.Send("QUIT"), conn.Flush()); err != nil {
		return err
	}
	for {
		if _, err := conn.Receive(); err != nil {
			return nil
		}
	}
}
