package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/driver"
)

// endAll ends all sessions, after it has asked.
func (a *app) endAll(ctx context.Context, d *deployment, yes bool, rate int) error {
	if !yes {
		if err := a.confirm(ctx, d, rate); err != nil {
			return err
		}
	}
	e := ending{d: d}
	s := scan{d: d, rate: rate, bar: a.bar()}
	if err := s.run(ctx, e.page); err != nil {
		return fmt.Errorf("ended %s, then failed: %w; begin again", counted(e.count(), "session"), err)
	}
	if a.json {
		return a.writeJSON(map[string]any{"ended": e.count(), "of_users": e.ofUsers.Load(), "of_visitors": e.ofVisitors.Load()})
	}
	_, err := fmt.Fprintf(a.out, "Ended %s: %s of users, %s of visitors.\n",
		counted(e.count(), "session"), count(e.ofUsers.Load()), count(e.ofVisitors.Load()))
	return err
}

// confirm asks for the number of sessions, which says what is at stake.
func (a *app) confirm(ctx context.Context, d *deployment, rate int) error {
	taken, err := take(ctx, d, defaultSample, rate, a.bar())
	if err != nil {
		return err
	}
	n := taken.sessions()
	fmt.Fprintf(a.err, "This ends %s on %s,\nkeys %s*. Everybody is signed out. Type %d to do it: ",
		taken.about(counted(n, "session")), d.name, printable(d.prefix), n)
	answer, err := a.answer(ctx)
	if err == nil && answer != fmt.Sprint(n) {
		err = errors.New("nothing was ended: the answer was another one")
	}
	return err
}

// answer reads a line, unless ctx ends before.
func (a *app) answer(ctx context.Context) (string, error) {
	line := make(chan string, 1)
	go func() {
		text, _ := bufio.NewReader(a.in).ReadString('\n')
		line <- strings.TrimSpace(text)
	}()
	select {
	case text := <-line:
		return text, ctx.Err()
	case <-ctx.Done():
		fmt.Fprintln(a.err)
		return "", ctx.Err()
	}
}

// An ending ends what a scan comes upon.
type ending struct {
	d                   *deployment
	ofUsers, ofVisitors atomic.Int64
}

func (e *ending) count() int64 { return e.ofUsers.Load() + e.ofVisitors.Load() }

// atOnce is how many are ended at the same time: the store sends them together.
const atOnce = 32

// page ends the sessions and users that the keys belong to. A user's sessions end by the list, and a sign-in that has
// just begun ends by the stamp.
func (e *ending) page(ctx context.Context, _ *redis.Client, keys []string) error {
	var jobs []func() error
	tags := map[string]bool{}
	for _, key := range keys {
		switch kind, id, tag := e.d.kindOf(key); {
		case kind == sessionKey && tag == "":
			jobs = append(jobs, func() error { return e.visitor(ctx, id) })
		case (kind == listKey || kind == stampKey) && !tags[tag]:
			tags[tag] = true
			jobs = append(jobs, func() error { return e.user(ctx, tag) })
		}
	}
	return allOf(jobs)
}

// allOf runs jobs, some at the same time, and returns an error if one has failed.
func allOf(jobs []func() error) error {
	var group sync.WaitGroup
	errs, turns := make(chan error, len(jobs)), make(chan struct{}, atOnce)
	for _, job := range jobs {
		turns <- struct{}{}
		group.Go(func() {
			defer func() { <-turns }()
			if err := job(); err != nil {
				errs <- err
			}
		})
	}
	group.Wait()
	close(errs)
	return <-errs // the others are the same, as a rule
}

// visitor ends a session of nobody. If it was renewed meanwhile, visitor ends the new one too, because the scan may
// have passed that by.
func (e *ending) visitor(ctx context.Context, id string) error {
	to, err := e.d.end(ctx, id)
	switch {
	case errors.As(err, new(notFoundError)), errors.Is(err, driver.ErrNotFound): // or no value of the library
		return nil
	case err != nil:
		return err
	case to == "":
		e.ofVisitors.Add(1)
		return nil
	case driver.UserOf(to) != "":
		return e.user(ctx, driver.UserOf(to))
	}
	return e.visitor(ctx, to)
}

// user ends all sessions of the user with this tag.
func (e *ending) user(ctx context.Context, tag string) error {
	var members []driver.Member
	err := e.d.within(ctx, func(ctx context.Context) (err error) {
		members, err = e.d.store.Members(ctx, tag)
		return err
	})
	if err != nil {
		return err
	}
	name, living := "", int64(0)
	for _, member := range members {
		if value, ok := decode(member.Value); ok && value.lives() {
			name, living = value.user(), living+1
		}
	}
	if name != "" { // of two users with one tag, both
		err = e.d.sessions.EndAll(ctx, name, session.ByOperator)
	} else {
		err = e.d.within(ctx, func(ctx context.Context) error {
			_, err := e.d.store.RemoveAll(ctx, tag)
			return err
		})
	}
	if err == nil {
		e.ofUsers.Add(living)
	}
	return err
}
