package main

import (
	"bytes"
	"context"
	"crypto/sha1"
	"fmt"
	"time"

	"github.com/gomodule/redigo/redis"

	ownredisstore "github.com/sessionkv/session/redisstore"
)

// The ways to save that are compared. All but the first two replace a value only if it is the one that was read.
const (
	plainSet     = "plain SET"
	emptyScript  = "SET, then an empty script" // what a second command costs, whatever it does
	stagedSave   = "session"
	scriptWhole  = "script that compares the whole value"
	scriptDigest = "script that compares its SHA-1"
)

var saveWays = []string{plainSet, emptyScript, stagedSave, scriptWhole, scriptDigest}

// saveResults are what one save of a value of a size costs Redis, in seconds, by way and in rounds.
type saveResults struct {
	database string
	size     int
	cpu      map[string][]float64 // all of it
	executed map[string][]float64 // without reading, parsing and answering the commands
}

var saveSizes = []int{size200B, size4kB, size64kB, size1MB}

var (
	nothing     = redis.NewScript(0, `return 1`)
	wholeScript = redis.NewScript(1, `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1`)
	digestScript = redis.NewScript(1, `
if redis.sha1hex(redis.call('GET', KEYS[1])) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1`)
)

// saves measures all ways at all sizes on all databases.
func (b *bench) saves() ([]saveResults, error) {
	if b.plan.saves == 0 {
		return nil, nil
	}
	var all []saveResults
	for _, d := range b.plan.databases {
		found, err := b.savesOn(b.redis[d.name])
		if err != nil {
			return nil, fmt.Errorf("saves on %s: %w", d.name, err)
		}
		all = append(all, found...)
	}
	return all, nil
}

func (b *bench) savesOn(redisServer *redisServer) ([]saveResults, error) {
	store, err := ownredisstore.Open(redisServer.address("unix").url(), ownredisstore.Options{})
	if err != nil {
		return nil, err
	}
	defer store.Close()
	conn, err := redis.Dial("unix", redisServer.socket(), redis.DialReadTimeout(patience))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	var all []saveResults
	for _, size := range saveSizes {
		s := saver{b: b, redis: redisServer, conn: conn, store: store, size: size}
		r, err := s.measure()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", sizeName(size), err)
		}
		all = append(all, r)
	}
	return all, redisServer.flush()
}

// A saver replaces two values by each other in all ways.
type saver struct {
	b      *bench
	redis  *redisServer
	conn   redis.Conn
	store  *ownredisstore.Store
	size   int
	values [2][]byte
	sums   [2]string
	next   int // the value that is stored next
}

const saveTTL = time.Minute

func (s *saver) measure() (saveResults, error) {
	for i := range s.values {
		s.values[i] = fmt.Appendf(nil, `{"_rev":"revision%08d","x":"`, i)
		s.values[i] = append(s.values[i], bytes.Repeat([]byte("x"), s.size-len(s.values[i])-len(`"}`))...)
		s.values[i] = append(s.values[i], `"}`...)
		s.sums[i] = fmt.Sprintf("%x", sha1.Sum(s.values[i]))
	}
	r := saveResults{database: s.redis.name, size: s.size, cpu: make(map[string][]float64), executed: make(map[string][]float64)}
	for round := range s.b.plan.saves {
		for _, way := range saveWays {
			s.b.progress.say("%s: %s, %s, round %d of %d, %s", namedSaves, s.redis.name, sizeName(s.size), round+1, s.b.plan.saves, way)
			if err := s.b.ctx.Err(); err != nil {
				return r, err
			}
			if err := s.sample(way, &r); err != nil {
				return r, fmt.Errorf("%s: %w", way, err)
			}
		}
	}
	return r, nil
}

// repetitions make a sample long enough for the resolution of the CPU time, and short enough for the slowest way.
func (s *saver) repetitions() int {
	return max(50, min(2000, 32<<20/s.size))
}

func (s *saver) sample(way string, r *saveResults) error {
	if err := s.save(plainSet); err != nil {
		return err
	}
	if way == stagedSave {
		if err := s.create(); err != nil {
			return err
		}
	}
	if err := s.learn(way); err != nil {
		return err
	}
	before, err := s.redis.counters()
	if err != nil {
		return err
	}
	n := s.repetitions()
	for range n {
		if err := s.save(way); err != nil {
			return err
		}
	}
	after, err := s.redis.counters()
	if err != nil {
		return err
	}
	used := after.since(before)
	r.cpu[way] = append(r.cpu[way], used.cpu.Seconds()/float64(n))
	executed := used.executed["evalsha"] // with the commands that the script calls
	if way == plainSet || way == emptyScript || way == stagedSave {
		executed += used.executed["set"]
	}
	r.executed[way] = append(r.executed[way], executed.Seconds()/float64(n))
	return nil
}

const saveKey = "save"

// learn lets Redis have the script of a way, before it is measured.
func (s *saver) learn(way string) error {
	if way == emptyScript {
		return nothing.Load(s.conn)
	}
	return s.save(way)
}

// create stores the first value of a session for save, in place of an old one.
func (s *saver) create() error {
	ctx := context.Background()
	_, _ = s.store.Delete(ctx, saveKey, nil)
	_, err := s.store.Save(ctx, saveKey, nil, s.values[1-s.next], saveTTL)
	return err
}

// save replaces the value that was stored last by the other one.
func (s *saver) save(way string) (err error) {
	was, next := 1-s.next, s.next
	s.next = was
	switch way {
	case plainSet:
		_, err = s.conn.Do("SET", saveKey, s.values[next], "PX", saveTTL.Milliseconds())
	case emptyScript:
		err = s.setAndRun(s.values[next])
	case stagedSave:
		_, err = s.store.Save(context.Background(), saveKey, s.values[was], s.values[next], saveTTL)
	case scriptWhole:
		err = stored(wholeScript.Do(s.conn, saveKey, s.values[was], s.values[next], saveTTL.Milliseconds()))
	case scriptDigest:
		err = stored(digestScript.Do(s.conn, saveKey, s.sums[was], s.values[next], saveTTL.Milliseconds()))
	}
	return err
}

// setAndRun sends both commands in one flush.
func (s *saver) setAndRun(value []byte) error {
	if err := s.conn.Send("SET", saveKey, value, "PX", saveTTL.Milliseconds()); err != nil {
		return err
	}
	if err := nothing.SendHash(s.conn); err != nil {
		return err
	}
	replies, err := redis.Values(s.conn.Do("")) // flushes, and receives what is outstanding
	if err == nil {
		err = stored(replies[len(replies)-1], nil)
	}
	return err
}

func stored(reply any, err error) error {
	n, err := redis.Int(reply, err)
	if err == nil && n != 1 {
		err = fmt.Errorf("not stored")
	}
	return err
}
