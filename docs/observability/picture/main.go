// Command picture draws what the dashboard shows of the demo under load, without Grafana: it runs the demo, lets a
// Prometheus scrape it, asks that for the queries of dashboard.json, and draws the answers. Prometheus must be installed.
//
//	go run ./picture       in the folder docs/observability; writes dashboard.svg
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/sessionkv/session/docs/observability/internal/board"
	"github.com/sessionkv/session/docs/observability/internal/demo"
	"github.com/sessionkv/session/docs/observability/internal/prometheus"
)

const (
	interval = time.Second     // of the scrapes
	window   = 5 * time.Second // of a rate
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	folder := flag.String("folder", ".", "the `folder` of dashboard.json and prometheus.yaml")
	output := flag.String("o", "dashboard.svg", "the `file` to write")
	length := flag.Duration("for", 90*time.Second, "how long the load runs")
	flag.Parse()
	if err := run(ctx, *folder, *output, *length); err != nil {
		fmt.Fprintln(os.Stderr, "picture:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, folder, output string, length time.Duration) error {
	panels, err := board.Panels(folder + "/dashboard.json")
	if err != nil {
		return err
	}
	d, err := demo.New("", slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer d.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: d.Handler, ReadHeaderTimeout: 2 * time.Second}
	go func() { _ = server.Serve(listener) }()
	defer server.Close()
	scraper, err := prometheus.Start(ctx, folder, listener.Addr().String(), interval)
	if err != nil {
		return err
	}
	defer scraper.Close()
	from := time.Now()
	makeLoad(ctx, d, "http://"+listener.Addr().String(), length)
	if err := ctx.Err(); err != nil {
		return err
	}
	charts, err := ask(ctx, scraper, panels, from, time.Now())
	if err != nil {
		return err
	}
	return os.WriteFile(output, draw(charts), 0o644)
}

// makeLoad breaks something four times.
func makeLoad(ctx context.Context, d *demo.Demo, base string, length time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	var group sync.WaitGroup
	group.Go(func() { demo.NewLoad(base).Run(ctx) })
	group.Go(func() { demo.Trouble(ctx, &d.Link, length/5) })
	group.Wait()
}

// ask returns what each panel shows.
func ask(ctx context.Context, server *prometheus.Server, panels []board.Panel, from, to time.Time) ([]chart, error) {
	var charts []chart
	for _, panel := range panels {
		c := chart{title: panel.Title, unit: panel.FieldConfig.Defaults.Unit, length: to.Sub(from).Seconds()}
		for _, target := range panel.Targets {
			series, err := server.Over(ctx, target.Query(window), from, to, interval)
			if err != nil {
				return nil, err
			}
			for _, s := range series {
				l := line{name: target.Legend(func(name string) string { return s.Labels[name] })}
				for _, p := range s.Points {
					l.points = append(l.points, point{p.Time.Sub(from).Seconds(), p.Value})
				}
				c.lines = append(c.lines, l)
			}
		}
		charts = append(charts, c)
	}
	return charts, nil
}
