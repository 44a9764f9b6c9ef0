package main

import (
	"errors"
	"fmt"
)

// A budget is what one work of a contestant takes; none of it depends on how fast the machine is.
type budget struct {
	commands   []string // of one request
	roundTrips float64
	input      float64 // bytes that Redis receives
	output     float64
	allocs     float64 // in the handler, as it is called by net/http
	allocated  float64 // bytes
}

type budgetKey struct {
	database   string
	contestant string
	work       work
	size       int
}

var budgetWorks = []work{untouched, read, write, begin, end}

// budgetSizes are those that the report needs.
var budgetSizes = []int{size200B, size4kB, size64kB}

// budgets looks into all works of all contestants.
func (b *bench) budgets() (map[budgetKey]budget, error) {
	if b.plan.inspected == 0 {
		return nil, nil
	}
	all := make(map[budgetKey]budget)
	for _, d := range b.plan.databases {
		for _, x := range contestants {
			for _, size := range b.plan.inspectedSizes {
				for _, w := range budgetWorks {
					b.progress.say("%s: %s, %s, %s, %s", namedBudgets, x.name, w, sizeName(size), d.name)
					key := budgetKey{d.name, x.name, w, size}
					var err error
					if all[key], err = b.budget(key); err != nil {
						return nil, fmt.Errorf("%s, %s, %s, %s: %w", x.name, w, sizeName(size), d.name, err)
					}
				}
			}
		}
	}
	return all, nil
}

func (b *bench) budget(key budgetKey) (found budget, err error) {
	c := cell{key.work, key.size, 1, "unix", key.database}
	redis := b.redis[key.database]
	if err := b.open(c, key.contestant); err != nil {
		return found, err
	}
	server, address, err := b.server(c.server(key.contestant))
	if err != nil {
		return found, err
	}
	run := func(n int) error {
		return b.load.call("Run", RunArgs{Address: address, Work: key.work, Count: n}, nil)
	}
	if err := run(1); err != nil { // Redis may have to learn a script
		return found, err
	}
	if found.commands, err = redis.watch(func() error { return run(1) }); err != nil {
		return found, err
	}
	n := b.plan.inspected
	before, err := redis.counters()
	if err != nil {
		return found, err
	}
	if err := run(n); err != nil {
		return found, err
	}
	after, err := redis.counters()
	if err != nil {
		return found, err
	}
	used := after.since(before)
	found.roundTrips = float64(used.reads) / float64(n)
	found.input = float64(used.input) / float64(n)
	found.output = float64(used.output) / float64(n)

	var reply DirectReply
	if err := server.call("Direct", DirectArgs{Work: key.work, Size: key.size, N: n}, &reply); err != nil {
		return found, err
	}
	found.allocs, found.allocated = reply.Allocs, reply.Bytes
	return found, errors.Join(b.load.call("Close", Nothing{}, nil), redis.flush())
}

// largeSession returns how long one read takes at the floor of redigo and with session, in rounds, where the session is the
// largest. There is no HTTP in it, and it is the first database.
func (b *bench) largeSession() (floor, own []float64, err error) {
	database := b.plan.databases[0].name
	one := func(contestant string) (float64, error) {
		if err := b.ctx.Err(); err != nil {
			return 0, err
		}
		server, _, err := b.server(serverKey{contestant, "unix", database})
		if err != nil {
			return 0, err
		}
		var reply DirectReply
		err = server.call("Direct", DirectArgs{Work: read, Size: b.plan.largeSize, N: 5}, &reply)
		return reply.Time.Seconds(), errors.Join(err, b.redis[database].flush())
	}
	for round := range b.plan.large {
		b.progress.say("%s: round %d of %d", namedLarge, round+1, b.plan.large)
		f, err := one(nameRedigo)
		if err != nil {
			return nil, nil, err
		}
		s, err := one(nameSession)
		if err != nil {
			return nil, nil, err
		}
		floor, own = append(floor, f), append(own, s)
	}
	return floor, own, nil
}
