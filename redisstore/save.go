package redisstore

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha1"
	"fmt"

	"github.com/gomodule/redigo/redis"

	"github.com/sessionkv/session/driver"
)

// stagedTTL is how long, in milliseconds, a staged value lives if the script that would use it never comes.
const stagedTTL = 10_000

// A change is one Save: value is to take the place of was.
type change struct {
	key        string
	was, value []byte
	ttl        int64
}

// create stores the first value of a key.
func (s *Store) create(ctx context.Context, c change) ([]byte, error) {
	reply, lost, err := s.one(ctx, "SET", c.key, c.value, "NX", "PX", c.ttl)
	if err != nil || reply != nil {
		return nil, err
	}
	current, err := s.current(ctx, c.key)
	if err == driver.ErrNotFound && lost != nil {
		return nil, lost
	}
	return c.settle(current, lost, err)
}

// current is what is stored. GETEX and not GET: a replica refuses it instead of answering with what is out of date.
func (s *Store) current(ctx context.Context, key string) ([]byte, error) {
	reply, _, err := s.one(ctx, "GETEX", key)
	return bulk(reply, err)
}

// settle is the result of a Save that did not find was. current is what is stored instead, err why there is no such
// value, and lost the failure of a first attempt. If current is c's own value, that attempt had stored it.
func (c change) settle(current []byte, lost, err error) ([]byte, error) {
	switch {
	case err != nil:
		return nil, err
	case same(current, c.value):
		return nil, nil
	case lost != nil:
		return nil, lost
	}
	return current, driver.ErrConflict
}

// The answer to a replace is the value that is stored instead, nil if none is, or one of these.
const (
	stored  = int64(1)
	foreign = int64(2)
	evicted = int64(3)
)

// replaceScript puts the staged KEYS[2] in the place of KEYS[1] if that has the length ARGV[1] and the head ARGV[2] of
// what was loaded, or only sets its time to live, ARGV[5], if it already has those of the new value, ARGV[3] and
// ARGV[4]: then a reply was lost. The values stay out of Lua, whose cost grows with them, except on a conflict.
//
// STRLEN fails, and size is no number, if KEYS[1] is of another type. It is 0 if KEYS[1] does not exist.
//
// The script runs on every server and on miniredis: no shebang, no cjson, no answer that depends on an error's text.
const replaceScript = `
local size = redis.pcall('STRLEN', KEYS[1])
local function holds(length, head)
	return size == tonumber(length) and redis.call('GETRANGE', KEYS[1], 0, #head - 1) == head
		and (size > 0 or redis.call('TYPE', KEYS[1]).ok == 'string')
end
if holds(ARGV[1], ARGV[2]) then
	local renamed = redis.pcall('RENAME', KEYS[2], KEYS[1])
	if renamed.err then return redis.call('TYPE', KEYS[2]).ok == 'none' and 3 or renamed end
else
	redis.call('UNLINK', KEYS[2])
	if type(size) ~= 'number' then return redis.call('TYPE', KEYS[1]).ok == 'string' and size or 2 end
	if not holds(ARGV[3], ARGV[4]) then return redis.call('GET', KEYS[1]) end
end
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return 1`

var replaceHash = fmt.Sprintf("%x", sha1.Sum([]byte(replaceScript)))

// replace stores a value in the place of another.
func (s *Store) replace(ctx context.Context, c change) ([]byte, error) {
	put := s.stage
	if s.watcher != nil {
		put = s.swap
	}
	answer, lost, err := put(ctx, c)
	if err != nil {
		return nil, err
	}
	switch answer {
	case nil:
		return nil, driver.ErrNotFound
	case stored:
		return nil, nil
	case foreign:
		return nil, errWrongType
	case evicted:
		return nil, errEvicted
	}
	current, err := redis.Bytes(answer, nil)
	return c.settle(current, lost, err)
}

// stage puts the new value aside and runs replaceScript, both in one flush, and returns the script's answer.
func (s *Store) stage(ctx context.Context, c change) (answer any, lost, err error) {
	wasHead, _ := head(c.was)
	newHead, rev := head(c.value)
	if rev == nil {
		rev = []byte(rand.Text())
	}
	staged := "{" + c.key + "}:" + string(rev)
	script := []any{replaceHash, 2, c.key, staged, len(c.was), wasHead, len(c.value), newHead, c.ttl}

	replies, lost, err := s.client.Do(ctx, c.key, cmd("SET", staged, c.value, "PX", stagedTTL), cmd("EVALSHA", script...))
	if err != nil {
		return nil, nil, err
	}
	if replies[1] == stored {
		return stored, nil, nil // even if the SET was refused: an attempt whose reply was lost had stored it
	}
	if err = refused(replies); !refusal(err, "NOSCRIPT") {
		return replies[1], lost, err
	}
	script[0] = replaceScript
	replies, again, err := s.client.Do(ctx, c.key, cmd("EVAL", script...))
	if err == nil {
		err = refused(replies)
	}
	if err != nil {
		return nil, nil, err
	}
	return replies[0], cmp.Or(lost, again), nil
}

// swap is stage without a script, in two round trips.
func (s *Store) swap(ctx context.Context, c change) (answer any, lost, err error) {
	w := &swap{change: c}
	lost, err = s.watcher.watch(ctx, w)
	return w.answer, lost, err
}

// A swap is the task of a save with WATCH.
type swap struct {
	change
	answer any
}

func (w *swap) on(l link) (err error) {
	w.answer, err = l.swap(w.change)
	return err
}

// swap stores c.value if what is stored is c.was. MULTI stands in the first flush: if it is refused, the SET is not sent,
// which would then be unconditional.
func (l link) swap(c change) (answer any, err error) {
	wasHead, _ := head(c.was)
	replies, err := l.do(cmd("WATCH", c.key), cmd("STRLEN", c.key), cmd("GETRANGE", c.key, 0, len(wasHead)-1), cmd("MULTI"))
	if err != nil {
		return nil, err
	}
	if err := refused(replies); err != nil && !refusal(err, "WRONGTYPE") {
		spoil(l.conn) // it may be in the WATCH or the MULTI
		return nil, err
	}
	start, _ := replies[2].([]byte)
	if replies[1] != int64(len(c.was)) || !bytes.Equal(start, wasHead) {
		return l.current(c.key, cmd("DISCARD"))
	}
	replies, err = l.do(cmd("SET", c.key, c.value, "XX", "PX", c.ttl), cmd("EXEC"))
	if err != nil {
		return nil, err
	}
	if err := refused(replies); err != nil {
		return nil, err
	}
	results, _ := replies[1].([]any) // nil: the key changed after the WATCH
	if err := refused(results); err != nil {
		return nil, err
	}
	if len(results) == 1 && results[0] == "OK" {
		return stored, nil
	}
	return l.current(c.key)
}

// current answers with what is stored, after the commands that must come first. A replica refuses it, as it does GETEX,
// so that swap starts again elsewhere.
func (l link) current(key string, first ...Command) (answer any, err error) {
	replies, err := l.do(append(first, cmd("GETEX", key))...)
	if err != nil {
		return nil, err
	}
	switch err := refused(replies); {
	case refusal(err, "WRONGTYPE"):
		return foreign, nil
	case err != nil:
		spoil(l.conn) // it may still be in the MULTI
		return nil, err
	}
	return replies[len(replies)-1], nil
}

// revHead is how a value with a revision begins.
var revHead = []byte(`{"_rev":"`)

// head is the part of a value by which two values of one length are told apart, and the _rev in it: the beginning
// through the end of _rev, or the whole of a value that does not begin with one, as after an edit by hand.
func head(value []byte) (head, rev []byte) {
	if rest, ok := bytes.CutPrefix(value, revHead); ok {
		if n := bytes.IndexByte(rest, '"'); n > 0 && bytes.IndexByte(rest[:n], '\\') < 0 {
			return value[:len(revHead)+n+1], rest[:n]
		}
	}
	return value, nil
}

// same reports whether a and b are one value of one session.
func same(a, b []byte) bool {
	aHead, _ := head(a)
	bHead, _ := head(b)
	return len(a) == len(b) && bytes.Equal(aHead, bHead)
}
