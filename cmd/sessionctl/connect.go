package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/spf13/pflag"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/redisstore"
	"github.com/sessionkv/session/redisstore/goredis"
)

// A connection is what the flags say of the deployment.
type connection struct {
	url       string
	sentinels []string
	master    string
	cluster   []string
	database  int
	prefix    string
	noScripts bool
	timeout   time.Duration

	login         login
	sentinelLogin login
	tls           encryption
}

func (c *connection) define(flags *pflag.FlagSet) {
	flags.StringVar(&c.url, "redis", "redis://127.0.0.1:6379", "`URL` of one Redis, rediss:// for TLS, unix:///PATH;\nuser and password have flags of their own")
	flags.StringSliceVar(&c.sentinels, "sentinel", nil, "`ADDRESSES` of the sentinels, HOST:PORT,HOST:PORT")
	flags.StringVar(&c.master, "master", "", "`NAME` of the primary that the sentinels watch")
	flags.StringSliceVar(&c.cluster, "cluster", nil, "`ADDRESSES` of nodes of a cluster, HOST:PORT,HOST:PORT")
	flags.IntVar(&c.database, "db", 0, "`NUMBER` of the database, with --sentinel")
	flags.StringVar(&c.prefix, "prefix", "session:", "`TEXT` that every key begins with: Options.Prefix")
	flags.BoolVar(&c.noScripts, "no-scripts", false, "for services that forbid EVAL: Options.NoScripts")
	flags.DurationVar(&c.timeout, "timeout", 3*time.Second, "`DURATION` that one operation may take, below 10s")
	c.login.define(flags, "", "Redis")
	c.sentinelLogin.define(flags, "sentinel-", "the sentinels")
	c.tls.define(flags)
}

// A deployment is where sessions are kept.
type deployment struct {
	store    *redisstore.Store
	sessions *session.Manager
	client   redis.UniversalClient // for what the store has no method for
	prefix   string
	timeout  time.Duration
	name     string // without a credential
}

// open does not connect. Warnings go to log.
func (c *connection) open(log io.Writer) (*deployment, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	options, err := c.options()
	if err != nil {
		return nil, err
	}
	d := &deployment{prefix: c.prefix, timeout: c.timeout}
	switch {
	case len(c.cluster) > 0:
		err = c.openCluster(d, options)
	case len(c.sentinels) > 0:
		err = c.openSentinel(d, options)
	default:
		err = c.openSingle(d, options)
	}
	if err != nil {
		return nil, usageError{err}
	}
	d.sessions, err = session.New(session.Config{
		Store:        d.store,
		IdleTimeout:  math.MaxInt64, // so that nothing is said to expire earlier than Redis says
		Classes:      map[session.Class]session.Lifetimes{session.Remembered: {}},
		StoreTimeout: c.timeout,
		Logger:       slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		d.close()
		return nil, usageError{err}
	}
	return d, nil
}

func (c *connection) check() error {
	switch {
	case strings.Contains(c.url, "@"):
		return usagef("--redis must not hold a user or a password, which everybody sees in the list of processes: " +
			"give --username, and the password in SESSIONCTL_PASSWORD or by --password-file")
	case len(c.sentinels) > 0 && c.master == "":
		return usagef("--sentinel needs --master, the name in the sentinels' configuration")
	case c.master != "" && len(c.sentinels) == 0:
		return usagef("--master needs --sentinel, the addresses of the sentinels")
	case c.database != 0 && len(c.sentinels) == 0:
		return usagef("--db is for --sentinel: with --redis the database stands in the URL, as in redis://HOST:6379/2; a cluster has but one")
	case c.noScripts && len(c.cluster) > 0:
		return usagef("--no-scripts does not work with --cluster")
	case c.timeout < time.Millisecond || c.timeout >= 10*time.Second:
		return usagef("--timeout is %v: it must be from 1ms to less than 10s", c.timeout)
	}
	return nil
}

// options are those of a Store on redigo.
func (c *connection) options() (redisstore.Options, error) {
	if err := c.login.read(); err != nil {
		return redisstore.Options{}, err
	}
	if err := c.sentinelLogin.read(); err != nil {
		return redisstore.Options{}, err
	}
	config, err := c.tls.config()
	if err != nil {
		return redisstore.Options{}, err
	}
	options := redisstore.Options{Prefix: c.prefix, NoScripts: c.noScripts, TLS: config}
	if l := c.login; l.password != "" {
		options.Credentials = func(context.Context) (username, password string, err error) {
			return l.username, l.password, nil
		}
	}
	return options, nil
}

func (c *connection) openSingle(d *deployment, options redisstore.Options) (err error) {
	if d.store, err = redisstore.Open(c.url, options); err != nil {
		return err
	}
	url := strings.Replace(c.url, "valkey", "redis", 1)
	if !strings.Contains(url, "://") {
		url = "redis://" + url
	}
	single, err := redis.ParseURL(url)
	if err != nil {
		_ = d.store.Close()
		return err
	}
	if options.TLS != nil {
		single.TLSConfig = options.TLS
	}
	single.Username, single.Password = c.login.username, c.login.password
	single.DialTimeout, single.ReadTimeout, single.WriteTimeout = c.timeout, c.timeout, c.timeout
	single.ContextTimeoutEnabled, single.DisableIdentity, single.DialerRetries = true, true, 1
	d.client, d.name = redis.NewClient(single), c.url
	return nil
}

func (c *connection) openSentinel(d *deployment, options redisstore.Options) (err error) {
	d.store, err = redisstore.OpenSentinel(redisstore.SentinelConfig{
		Addrs: c.sentinels, Master: c.master, Database: c.database,
		SentinelUsername: c.sentinelLogin.username, SentinelPassword: c.sentinelLogin.password,
	}, options)
	if err != nil {
		return err
	}
	d.client = redis.NewFailoverClient(&redis.FailoverOptions{
		SentinelAddrs: c.sentinels, MasterName: c.master, DB: c.database,
		Username: c.login.username, Password: c.login.password,
		SentinelUsername: c.sentinelLogin.username, SentinelPassword: c.sentinelLogin.password,
		TLSConfig:   options.TLS,
		DialTimeout: c.timeout, ReadTimeout: c.timeout, WriteTimeout: c.timeout,
		ContextTimeoutEnabled: true, DisableIdentity: true, DialerRetries: 1,
	})
	d.name = fmt.Sprintf("the primary %s of the sentinels %s", c.master, strings.Join(c.sentinels, ", "))
	return nil
}

func (c *connection) openCluster(d *deployment, options redisstore.Options) error {
	client := redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: c.cluster, Username: c.login.username, Password: c.login.password, TLSConfig: options.TLS,
		DialTimeout: c.timeout, ReadTimeout: c.timeout, WriteTimeout: c.timeout,
		ContextTimeoutEnabled: true, DisableIdentity: true, DialerRetries: 1,
	})
	if strings.ContainsAny(c.prefix, "{}") {
		return usagef("--prefix must not contain a brace")
	}
	d.client, d.store = client, goredis.New(client, redisstore.Options{Prefix: c.prefix})
	d.name = "the cluster at " + strings.Join(c.cluster, ", ")
	return nil
}

func (d *deployment) close() {
	_ = d.store.Close()
	_ = d.client.Close()
}

// within calls f with a context that ends after --timeout.
func (d *deployment) within(ctx context.Context, f func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	return f(ctx)
}

// nodes returns a client for each node that has keys of its own, always in the same order.
func (d *deployment) nodes(ctx context.Context) ([]*redis.Client, error) {
	if client, ok := d.client.(*redis.Client); ok {
		return []*redis.Client{client}, nil
	}
	var mu sync.Mutex
	var nodes []*redis.Client
	err := d.client.(*redis.ClusterClient).ForEachMaster(ctx, func(_ context.Context, node *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		nodes = append(nodes, node)
		return nil
	})
	slices.SortFunc(nodes, func(a, b *redis.Client) int { return strings.Compare(a.Options().Addr, b.Options().Addr) })
	return nodes, err
}
