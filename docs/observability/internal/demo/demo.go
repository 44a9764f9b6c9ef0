// Package demo is an application with sessions in Redis that shows its metrics, and the load to see them move.
package demo

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/gomodule/redigo/redis"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/redisstore"
	"github.com/sessionkv/session/sessionotel"
)

// SessionsPerUser is how many sessions a user can have at once.
const SessionsPerUser = 3

// A Demo is the application. Its Handler has /metrics too, and /healthz, which asks nobody.
type Demo struct {
	Handler http.Handler
	Link    Link
	close   []func()
}

// New returns a Demo on the Redis that url names, embedded if that is empty. Its Close ends it.
func New(url string, logger *slog.Logger) (*Demo, error) {
	d := new(Demo)
	if url == "" {
		server := miniredis.NewMiniRedis()
		if err := server.Start(); err != nil {
			return nil, fmt.Errorf("embedded Redis: %w", err)
		}
		d.close = append(d.close, server.Close)
		url = "redis://" + server.Addr()
	}
	registry := prometheus.NewRegistry()
	sessions, err := d.newManager(url, logger, registry)
	if err != nil {
		d.Close()
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/", sessions.Handler((&shop{sessions}).routes()))
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {})
	d.Handler = mux
	return d, nil
}

func (d *Demo) newManager(url string, logger *slog.Logger, registry *prometheus.Registry) (*session.Manager, error) {
	exporter, err := otelprometheus.New(otelprometheus.WithRegisterer(registry))
	if err != nil {
		return nil, err
	}
	observe, err := sessionotel.New(sdkmetric.NewMeterProvider(sdkmetric.WithReader(exporter)))
	if err != nil {
		return nil, err
	}
	store := redisstore.New(d.newPool(url), redisstore.Options{})
	d.close = append(d.close, func() { _ = store.Close() })
	return session.New(session.Config{
		Store:           store,
		Observe:         observe,
		SessionsPerUser: SessionsPerUser,
		StoreTimeout:    time.Second,
		Cookie:          session.Cookie{InsecureHTTP: true}, // the demo speaks plain HTTP; behind TLS this line goes
		Logger:          logger,
	})
}

// newPool makes the pool of [redisstore.Open], with the Link.
func (d *Demo) newPool(url string) *redis.Pool {
	return &redis.Pool{
		MaxIdle:     64,
		IdleTimeout: 4 * time.Minute,
		Dial: func() (redis.Conn, error) {
			return redis.DialURL(url, redis.DialNetDial(d.Link.Dial), redis.DialReadTimeout(time.Second), redis.DialWriteTimeout(time.Second))
		},
	}
}

// Close lets go of Redis.
func (d *Demo) Close() {
	for len(d.close) > 0 {
		last := len(d.close) - 1
		d.close[last]()
		d.close = d.close[:last]
	}
}
