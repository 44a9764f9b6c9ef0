package main

import (
	"errors"
	"fmt"
	"io"
	"net/rpc"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// roleVariable tells an instance of this program what it is: a server, the load generator, or, where it is not set, the
// one that was called by the user.
const roleVariable = "SESSION_BENCHMARK_ROLE"

// A process is another instance of this program, called by net/rpc over its standard input and output. It ends when its input
// does, so it does not outlive the one that started it.
type process struct {
	cmd    *exec.Cmd
	client *rpc.Client
}

func startProcess(role ...string) (*process, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), roleVariable+"="+strings.Join(role, "\t"))
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the one that stops the others
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &process{cmd, rpc.NewClient(pipe{out, in})}, nil
}

func (p *process) call(method string, args, reply any) error {
	if err := p.client.Call("Process."+method, args, reply); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	return nil
}

func (p *process) stop() error {
	return errors.Join(p.client.Close(), p.cmd.Wait())
}

// pipe makes one connection of two pipes.
type pipe struct {
	io.ReadCloser
	out io.WriteCloser
}

func (p pipe) Write(data []byte) (int, error) { return p.out.Write(data) }
func (p pipe) Close() error                   { return errors.Join(p.out.Close(), p.ReadCloser.Close()) }

// actAs does the work of a role until standard input ends.
func actAs(role string) error {
	out := os.Stdout
	os.Stdout = os.Stderr // redistore prints its errors to standard output
	var receiver any
	name, rest, _ := strings.Cut(role, "\t")
	switch name {
	case "server":
		args := strings.Split(rest, "\t")
		if len(args) != 3 {
			return fmt.Errorf("bad role %q", role)
		}
		s, err := newServer(args[0], address{args[1], args[2]})
		if err != nil {
			return err
		}
		receiver = s
	case "load":
		receiver = newLoad()
	default:
		return fmt.Errorf("bad role %q", role)
	}
	server := rpc.NewServer()
	if err := server.RegisterName("Process", receiver); err != nil {
		return err
	}
	server.ServeConn(pipe{os.Stdin, out})
	return nil
}

// cpuTime is what this process has spent.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
