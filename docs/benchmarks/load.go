package main

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"
)

// load is the load generator's process. For each server it has clients with a connection and a session each, that stay from
// one slice to the next.
type load struct {
	clients map[string][]*client // by the server's address
}

func newLoad() *load { return &load{make(map[string][]*client)} }

// OpenArgs say how many clients Open makes, and how large their sessions are.
type OpenArgs struct {
	Address string
	Clients int
	Size    int
}

// Open connects the clients to a server, one after the other, gives each a session, and looks whether it is there.
func (l *load) Open(args OpenArgs, _ *Nothing) error {
	for range args.Clients {
		c, err := openClient(args.Address, args.Size)
		if err != nil {
			return err
		}
		l.clients[args.Address] = append(l.clients[args.Address], c)
	}
	return nil
}

// Close closes all clients.
func (l *load) Close(_ Nothing, _ *Nothing) error {
	var errs []error
	for _, clients := range l.clients {
		for _, c := range clients {
			errs = append(errs, c.close())
		}
	}
	clear(l.clients)
	return errors.Join(errs...)
}

// RunArgs say what the clients of a server do. They do a work for a time, or each of them does it count times.
type RunArgs struct {
	Address  string
	Work     work
	Duration time.Duration
	Count    int
}

// RunReply is what they did.
type RunReply struct {
	Done     int // how often the work was done
	Failed   int // how often the server answered with an error
	Elapsed  time.Duration
	P50, P99 time.Duration
	CPU      time.Duration // of the load generator
}

// Run lets all clients of a server work at once.
func (l *load) Run(args RunArgs, reply *RunReply) error {
	clients := l.clients[args.Address]
	spent, start := cpuTime(), time.Now()
	var loops []*loop
	done := make(chan error)
	threads := max(1, min(runtime.NumCPU()/4, len(clients))) // the server and Redis need the other processors
	for i := range threads {
		loop := &loop{args: args, start: start, clients: clients[i*len(clients)/threads : (i+1)*len(clients)/threads]}
		loops = append(loops, loop)
		go func() { done <- loop.run() }()
	}
	var errs []error
	for range loops {
		errs = append(errs, <-done)
	}
	reply.Elapsed, reply.CPU = time.Since(start), cpuTime()-spent
	if err := errors.Join(errs...); err != nil {
		return err
	}
	var all []time.Duration
	for _, loop := range loops {
		reply.Failed += loop.failed
		all = append(all, loop.took...)
	}
	if len(all) == 0 {
		return fmt.Errorf("all of %d requests failed", reply.Failed)
	}
	slices.Sort(all)
	reply.Done, reply.P50, reply.P99 = len(all), all[len(all)/2], all[len(all)*99/100]
	return nil
}

// A loop is one thread that lets its clients do their work again and again. It waits for all of their connections at once.
type loop struct {
	args    RunArgs
	start   time.Time
	clients []*client
	took    []time.Duration // each time that the work was done
	failed  int
}

func (l *loop) run() error {
	p, err := newPoll(l.clients)
	if err != nil {
		return err
	}
	defer p.close()
	for _, c := range l.clients {
		c.count, c.since = 0, time.Now()
		if err := c.send(l.args.Work); err != nil {
			return err
		}
	}
	for working := len(l.clients); working > 0; {
		ready, err := p.wait()
		if err != nil {
			return err
		}
		for _, c := range ready {
			more, err := l.proceed(c)
			if err != nil {
				return err
			}
			if !more {
				working--
			}
		}
	}
	return nil
}

// proceed takes what has come for a client, and sends its next request, until it has done all its work.
func (l *loop) proceed(c *client) (more bool, err error) {
	complete, err := c.receive(l.args.Work)
	failed := errors.Is(err, errResponse)
	if err != nil && !failed || !complete {
		return true, err
	}
	if c.finished(l.args.Work) || failed {
		now := time.Now()
		if failed {
			l.failed++
		} else {
			l.took = append(l.took, now.Sub(c.since))
		}
		c.count++
		c.since = now
		if l.args.Count > 0 && c.count == l.args.Count || l.args.Count == 0 && now.Sub(l.start) >= l.args.Duration {
			return false, nil
		}
	}
	return true, c.send(l.args.Work)
}
