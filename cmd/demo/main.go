// Command demo shows sessions at work: three routes that set, get and destroy a session, and a page that shows what Redis
// has of it and how long it has to live.
//
//	go run ./cmd/demo                              with Redis embedded, gone when the program ends
//	go run ./cmd/demo -redis redis://localhost     sessions survive a restart of the program
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/sessionkv/session"
)

const (
	// storeTimeout is shorter than the library's, so that a visitor soon learns that Redis is away.
	storeTimeout = time.Second

	// headerTimeout is short because a shutdown waits for it: browsers open connections that they do not use yet.
	headerTimeout = 2 * time.Second

	// shutdownTimeout is what requests in flight get to finish.
	shutdownTimeout = 5 * time.Second
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err == nil {
		return
	}
	fmt.Fprintln(os.Stderr, "demo:", err)
	if errors.As(err, new(usageError)) {
		fmt.Fprintln(os.Stderr, "demo: -h lists the flags")
		os.Exit(2)
	}
	os.Exit(1)
}

// usageError is a fault of the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

type options struct {
	addr  string
	redis string
	ttl   time.Duration
}

// run serves until ctx ends.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stdout)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return usageError{err}
	}
	kept, err := open(o.redis)
	if err != nil {
		return err
	}
	defer kept.close()
	log := newLogger(stderr)
	d := &demo{backend: kept, ttl: o.ttl, log: log}
	sessions, err := session.New(session.Config{
		Store:        kept.store,
		IdleTimeout:  o.ttl,
		Cookie:       session.Cookie{InsecureHTTP: true}, // the demo speaks plain HTTP; behind TLS this line goes
		StoreTimeout: storeTimeout,
		OnError:      d.unavailable,
		Logger:       log,
	})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", o.addr)
	if err != nil {
		return fmt.Errorf("%w; choose another with -addr, for instance -addr 127.0.0.1:0", err)
	}
	fmt.Fprintf(stdout, "demo: http://%s\n", visitable(listener.Addr()))
	fmt.Fprintf(stdout, "sessions: %s; idle timeout %v\n", kept.place, o.ttl)
	fmt.Fprintf(stdout, "look inside: %s --scan\n", kept.cli)
	if err := d.ping(ctx); err != nil {
		log.Warn("sessions answer 503 until Redis does", "error", err)
	}
	return serve(ctx, listener, sessions.Handler(d.routes()), log)
}

func parse(args []string, stdout io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.addr, "addr", "127.0.0.1:8199", "`host:port` to listen on; port 0 is any that is free")
	flags.StringVar(&o.redis, "redis", "", "`URL` of a Redis, as redis://user:password@host:6379/0 or host:6379; without it, one is embedded")
	flags.DurationVar(&o.ttl, "ttl", time.Minute, "idle timeout: how long a session lives without use")
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintln(stdout, "usage: demo [-addr host:port] [-redis URL] [-ttl duration]")
		flags.SetOutput(stdout)
		flags.PrintDefaults()
		return o, err
	case err != nil:
		return o, err
	case flags.NArg() > 0:
		// The argument is not repeated: it may be a URL with a password.
		return o, errors.New("an argument that is no flag; the URL of a Redis goes behind -redis")
	case o.ttl < time.Millisecond:
		return o, fmt.Errorf("-ttl %v: it must be at least 1ms, and is for instance 90s or 30m", o.ttl)
	}
	if _, _, err := net.SplitHostPort(o.addr); err != nil {
		return o, fmt.Errorf("-addr %q: it must be host:port, for instance 127.0.0.1:8199", o.addr)
	}
	return o, nil
}

// visitable returns the address for a browser. The address of a listener on every address cannot be visited.
func visitable(addr net.Addr) string {
	if tcp, ok := addr.(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		return fmt.Sprintf("localhost:%d", tcp.Port)
	}
	return addr.String()
}

// newLogger writes short lines: the time of day will do.
func newLogger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey && a.Value.Kind() == slog.KindTime {
			a.Value = slog.StringValue(a.Value.Time().Format(time.TimeOnly))
		}
		return a
	}}))
}

// serve answers requests until ctx ends, and lets those in flight finish.
func serve(ctx context.Context, listener net.Listener, handler http.Handler, log *slog.Logger) error {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := server.Shutdown(bounded); err != nil {
		_ = server.Close()
		return fmt.Errorf("stopped with requests still running: %w", err)
	}
	log.Info("stopped")
	return nil
}
