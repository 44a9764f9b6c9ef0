package redisstore

import (
	"cmp"
	"context"
	"crypto/rand"
	"time"

	"github.com/gomodule/redigo/redis"

	"github.com/sessionkv/session/driver"
)

// Save implements [driver.Store]. If was is nil, it sends one SET. It also sends one SET if the server has its IFEQ and
// was has at most 8 kB. Otherwise it sends a SET and a script in one round trip, or does as [Options.NoScripts] says.
func (s *Store) Save(ctx context.Context, id string, was, value []byte, ttl time.Duration) ([]byte, error) {
	return s.save(ctx, id, change{key: s.key(id), was: was, value: value, ttl: milliseconds(ttl)})
}

func (s *Store) save(ctx context.Context, id string, c change) ([]byte, error) {
	save := s.replace
	if c.was == nil {
		save = s.create
	}
	current, err := save(ctx, c)
	return current, s.failed("save", id, err)
}

// create stores the first value of a key.
func (s *Store) create(ctx context.Context, c change) ([]byte, error) {
	set := []Command{cmd("SET", c.key, c.value, "NX", "PX", c.ttl)}
	reply, lost, err := s.last(ctx, c.key, c.behind(set))
	if err != nil || reply != nil {
		return nil, err
	}
	current, err := s.current(ctx, c.key)
	if err == driver.ErrNotFound && lost != nil {
		return nil, lost
	}
	return c.outcome(current, lost, err)
}

// current is what is stored. It uses GETEX and not GET, because a replica refuses GETEX and cannot answer with old
// data.
func (s *Store) current(ctx context.Context, key string) ([]byte, error) {
	reply, _, err := s.one(ctx, "GETEX", key)
	return bulk(reply, err)
}

// replace stores a value in the place of another.
func (s *Store) replace(ctx context.Context, c change) ([]byte, error) {
	answer, lost, err := s.compareAndSet(ctx, c)
	if err != nil {
		return nil, err
	}
	switch answer {
	case nil:
		return nil, driver.ErrNotFound
	case changed:
		return nil, nil
	case foreign:
		return nil, errWrongType
	case evicted:
		return nil, errEvicted
	}
	current, err := redis.Bytes(answer, nil)
	return c.outcome(current, lost, err)
}

// compareAndSet makes a change in the way that the server has and that is the cheapest.
func (s *Store) compareAndSet(ctx context.Context, c change) (answer any, lost, err error) {
	if s.ifEqual.suits(c.was) {
		answer, lost, err = s.replaceIfEqual(ctx, c)
		if !refusedWith(err, "ERR") { // servers differ in the text
			return answer, lost, err
		}
		s.ifEqual.refuse()
	}
	replace := s.replaceByScript
	if s.watcher != nil {
		replace = s.replaceByWatch
	}
	answer, again, err := replace(ctx, c)
	return answer, cmp.Or(lost, again), err // before a failover, the server may have had IFEQ
}

// replaceIfEqual is replaceByScript with one SET, which compares the whole value.
func (s *Store) replaceIfEqual(ctx context.Context, c change) (answer any, lost, err error) {
	save := s.saves.ifEqualOf(c)
	reply, lost, err := s.last(ctx, c.key, c.behind(save.commands[:]))
	if err == nil || refusedWith(err, "") {
		s.saves.putIfEqual(save) // else it is not used again: the client may still be sending it
	}
	if err == nil && reply != nil {
		return changed, lost, nil
	}
	if err == nil {
		answer, _, err = s.one(ctx, "GETEX", c.key)
	}
	if refusedWith(err, "WRONGTYPE") {
		return foreign, lost, nil
	}
	return answer, lost, err
}

// replaceByScript puts the new value aside and runs replaceScript, both in one flush, and returns the script's answer.
func (s *Store) replaceByScript(ctx context.Context, c change) (answer any, lost, err error) {
	_, rev := head(c.value)
	if rev == nil {
		rev = []byte(rand.Text())
	}
	save := s.saves.stagedOf(c, string(rev))
	answer, lost, err = replaceScript.send(ctx, s.client, c.key, c.behind(save.commands[:]))
	if err == nil || refusedWith(err, "") {
		s.saves.putStaged(save) // else it is not used again: the client may still be sending it
	}
	if current, ok := answer.([]byte); ok && same(current, c.value) {
		return changed, lost, nil // even if the SET was refused: an attempt whose reply was lost has done all
	}
	return answer, lost, err
}
