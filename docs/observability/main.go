// Command observability is a small shop with sessions in Redis that shows its metrics to Prometheus:
//
//	go run .                          with Redis embedded, at http://127.0.0.1:8200/metrics
//	go run . -load                    with visitors, and now and then a connection that breaks
//	go run . -redis redis://localhost
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/sessionkv/session/docs/observability/internal/demo"
)

// troublePeriod leaves room between two troubles, to tell them apart on the dashboard.
const troublePeriod = 40 * time.Second

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	addr := flag.String("addr", "127.0.0.1:8200", "`host:port` to listen on")
	load := flag.Bool("load", false, "let visitors come, and connections to Redis break")
	redis := flag.String("redis", os.Getenv("REDIS_URL"), "`URL` of a Redis, else of the variable REDIS_URL; without both, one is embedded")
	flag.Parse()
	if err := run(ctx, os.Stdout, *addr, *redis, *load); err != nil {
		fmt.Fprintln(os.Stderr, "observability:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, stdout io.Writer, addr, redis string, load bool) error {
	d, err := demo.New(redis, slog.Default())
	if err != nil {
		return err
	}
	defer d.Close()
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: d.Handler, ReadHeaderTimeout: 2 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	fmt.Fprintf(stdout, "metrics: http://%s/metrics\n", listener.Addr())
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var group sync.WaitGroup
	defer group.Wait()
	if load {
		port := listener.Addr().(*net.TCPAddr).Port
		visits := demo.NewLoad(fmt.Sprintf("http://127.0.0.1:%d", port))
		group.Go(func() { visits.Run(ctx) })
		group.Go(func() { demo.Trouble(ctx, &d.Link, troublePeriod) })
	}
	select {
	case err := <-failed:
		cancel()
		return err
	case <-ctx.Done():
	}
	bounded, stop := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer stop()
	return server.Shutdown(bounded)
}
