package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// bench holds the processes of a run.
type bench struct {
	ctx      context.Context
	plan     plan
	redis    map[string]*redisServer // by the names of the databases
	load     *process
	servers  map[serverKey]*process
	progress *progress
	profile  string // file of the CPU profile of session's server
}

type serverKey struct{ contestant, network, database string }

// startBench starts the databases and the load generator. The servers are started when they are needed.
func startBench(ctx context.Context, p plan, progress *progress) (*bench, error) {
	b := &bench{ctx: ctx, plan: p, progress: progress, redis: make(map[string]*redisServer), servers: make(map[serverKey]*process)}
	for _, d := range p.databases {
		s, err := startRedis(d)
		if err != nil {
			return nil, errors.Join(err, b.stop())
		}
		b.redis[d.name] = s
	}
	var err error
	if b.load, err = startProcess("load"); err != nil {
		return nil, errors.Join(err, b.stop())
	}
	return b, nil
}

func (b *bench) stop() error {
	processes := slices.Collect(maps.Values(b.servers))
	if b.load != nil {
		processes = append(processes, b.load)
	}
	errs := make([]error, len(processes))
	var wg sync.WaitGroup
	for i, p := range processes {
		wg.Go(func() { errs[i] = p.stop() })
	}
	wg.Wait()
	for _, s := range b.redis {
		errs = append(errs, s.stop())
	}
	return errors.Join(errs...)
}

// server returns the process of a contestant, and where it listens.
func (b *bench) server(key serverKey) (p *process, address string, err error) {
	p = b.servers[key]
	if p == nil {
		a := b.redis[key.database].address(key.network)
		if p, err = startProcess("server", key.contestant, a.network, a.address); err != nil {
			return nil, "", err
		}
		b.servers[key] = p
	}
	err = p.call("Address", Nothing{}, &address)
	return p, address, err
}

// measure fills a cell.
func (b *bench) measure(c cell) (*results, error) {
	r := &results{cell: c, samples: make(map[string][]sample)}
	for _, x := range c.contestants() {
		b.progress.say("%s: sessions of %s", c, x.name)
		if err := b.open(c, x.name); err != nil {
			return nil, fmt.Errorf("%s: %s: %w", c, x.name, err)
		}
	}
	for round := range b.plan.rounds {
		for _, x := range c.contestants() {
			b.progress.say("%s: round %d of %d, %s", c, round+1, b.plan.rounds, x.name)
			s, err := b.sample(c, x.name)
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", c, x.name, err)
			}
			r.samples[x.name] = append(r.samples[x.name], s)
		}
	}
	return r, errors.Join(b.load.call("Close", Nothing{}, nil), b.redis[c.database].flush())
}

// open makes the clients, and their sessions.
func (b *bench) open(c cell, contestant string) error {
	if err := b.ctx.Err(); err != nil {
		return err
	}
	server, address, err := b.server(c.server(contestant))
	if err != nil {
		return err
	}
	if err := server.call("Keep", c.heap(), nil); err != nil {
		return err
	}
	return b.load.call("Open", OpenArgs{Address: address, Clients: c.connections, Size: c.size}, nil)
}

// warmUp precedes each sample: what the contestant before has left to be collected is done with, and connections are awake.
const warmUp = 50 * time.Millisecond

func (b *bench) sample(c cell, contestant string) (s sample, err error) {
	if err := b.ctx.Err(); err != nil {
		return s, err
	}
	server, address, err := b.server(c.server(contestant))
	if err != nil {
		return s, err
	}
	run := RunArgs{Address: address, Work: c.work, Duration: warmUp}
	if err := b.load.call("Run", run, nil); err != nil {
		return s, err
	}
	redis := b.redis[c.database]
	spent, err := b.spending(server, redis)
	if err != nil {
		return s, err
	}
	var reply RunReply
	run.Duration = b.plan.sliceFor(c)
	if err := b.load.call("Run", run, &reply); err != nil {
		return s, err
	}
	serverCPU, used, err := spent()
	n := time.Duration(reply.Done)
	return sample{
		rate:      float64(reply.Done) / reply.Elapsed.Seconds(),
		failed:    reply.Failed,
		p50:       reply.P50,
		p99:       reply.P99,
		serverCPU: serverCPU / n,
		redisCPU:  used.cpu / n,
		loadCPU:   reply.CPU / n,
	}, err
}

// spending returns a function that tells what a server, and Redis, have spent since.
func (b *bench) spending(server *process, redis *redisServer) (spent func() (time.Duration, counters, error), err error) {
	var cpu time.Duration
	if err := server.call("CPU", Nothing{}, &cpu); err != nil {
		return nil, err
	}
	before, err := redis.counters()
	if err != nil {
		return nil, err
	}
	return func() (time.Duration, counters, error) {
		after, err := redis.counters()
		if err != nil {
			return 0, counters{}, err
		}
		var now time.Duration
		if err := server.call("CPU", Nothing{}, &now); err != nil {
			return 0, counters{}, err
		}
		return now - cpu, after.since(before), nil
	}, nil
}

// run does all of the plan.
func (b *bench) run() (*outcome, error) {
	o := newOutcome(b.plan)
	for _, s := range b.redis {
		o.ifEqual[s.name] = s.ifEqual
	}
	if err := b.startProfile(); err != nil {
		return nil, err
	}
	for i, c := range b.plan.cells {
		b.progress.step(i)
		r, err := b.measure(c)
		if err != nil {
			return nil, err
		}
		o.cells = append(o.cells, r)
	}
	if err := b.stopProfile(); err != nil {
		return nil, err
	}
	b.progress.rest()
	var err error
	if o.budgets, err = b.budgets(); err != nil {
		return nil, err
	}
	if o.saves, err = b.saves(); err != nil {
		return nil, err
	}
	if o.large.floor, o.large.session, err = b.largeSession(); err != nil {
		return nil, err
	}
	o.took = time.Since(o.started)
	return o, nil
}

func (b *bench) startProfile() error {
	if b.profile == "" || len(b.plan.cells) == 0 {
		return nil
	}
	server, _, err := b.server(b.plan.cells[0].server(b.plan.cells[0].own()))
	if err != nil {
		return err
	}
	return server.call("StartProfile", b.profile, nil)
}

func (b *bench) stopProfile() error {
	if b.profile == "" || len(b.plan.cells) == 0 {
		return nil
	}
	server, _, err := b.server(b.plan.cells[0].server(b.plan.cells[0].own()))
	if err != nil {
		return err
	}
	return server.call("StopProfile", Nothing{}, nil)
}
