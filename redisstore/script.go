package redisstore

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha1"
	"fmt"
)

// stagedTTL is how long, in milliseconds, a staged value lives if the script that would use it never comes.
const stagedTTL = 10_000

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
	if err = firstRefusal(replies); !refusedWith(err, "NOSCRIPT") {
		return replies[1], lost, err
	}
	script[0] = replaceScript
	replies, again, err := s.client.Do(ctx, c.key, cmd("EVAL", script...))
	if err == nil {
		err = firstRefusal(replies)
	}
	if err != nil {
		return nil, nil, err
	}
	return replies[0], cmp.Or(lost, again), nil
}
