// Package prometheus runs a Prometheus, which must be installed, and asks it.
package prometheus

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// A Server is a process of Prometheus. It is made by Start.
type Server struct {
	base    string
	folder  string
	command *exec.Cmd
	output  bytes.Buffer
	ended   chan struct{}
}

// Start lets a Prometheus scrape the application at target every interval, configured by the files prometheus.yaml and
// alerts.yaml of a folder.
func Start(ctx context.Context, config, target string, interval time.Duration) (*Server, error) {
	folder, err := os.MkdirTemp("", "prometheus")
	if err != nil {
		return nil, err
	}
	s := &Server{folder: folder, ended: make(chan struct{})}
	if err := s.start(ctx, config, target, interval); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Server) start(ctx context.Context, config, target string, interval time.Duration) error {
	adapt := strings.NewReplacer("shop:8200", target, "15s", fmt.Sprintf("%dms", interval.Milliseconds()))
	for _, name := range []string{"prometheus.yaml", "alerts.yaml"} {
		raw, err := os.ReadFile(filepath.Join(config, name))
		if err != nil {
			return err
		}
		text := string(raw)
		if name == "prometheus.yaml" {
			text = adapt.Replace(text)
		}
		if err := os.WriteFile(filepath.Join(s.folder, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	addr, err := freeAddr()
	if err != nil {
		return err
	}
	s.base = "http://" + addr
	s.command = exec.Command("prometheus", "--config.file="+filepath.Join(s.folder, "prometheus.yaml"),
		"--storage.tsdb.path="+filepath.Join(s.folder, "data"), "--web.listen-address="+addr, "--log.level=warn")
	s.command.Stdout, s.command.Stderr = &s.output, &s.output
	if err := s.command.Start(); err != nil {
		s.command = nil
		return fmt.Errorf("%w: Debian has it in the package prometheus", err)
	}
	go func() {
		_ = s.command.Wait()
		close(s.ended)
	}()
	return s.waitReady(ctx)
}

func (s *Server) waitReady(ctx context.Context) error {
	for {
		response, err := http.Get(s.base + "/-/ready")
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-s.ended:
			return fmt.Errorf("prometheus has ended:\n%s", &s.output)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// freeAddr returns an address that nobody listens on.
func freeAddr() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	return listener.Addr().String(), nil
}

// Close ends the process and removes its data.
func (s *Server) Close() {
	if s.command != nil {
		_ = s.command.Process.Signal(os.Interrupt)
		<-s.ended
	}
	_ = os.RemoveAll(s.folder)
}
