package testkit

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"sync"
)

// Logs are what a logger or a program has written. The zero value is empty; it is safe for concurrent use.
type Logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *Logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// Lines returns the lines that were logged.
func (l *Logs) Lines() []string {
	return slices.DeleteFunc(strings.Split(l.String(), "\n"), func(line string) bool { return line == "" })
}

func (l *Logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// Logger returns a logger that writes to l.
func (l *Logs) Logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }
