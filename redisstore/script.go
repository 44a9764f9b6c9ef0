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

// replaceScript puts the staged value into the place of a session's, if that has the length and the head of what was
// loaded. Values stay out of Lua, whose cost grows with them, except on a conflict.
//
// The script runs on every server and on miniredis: no shebang, no cjson, no answer that depends on an error's text.
const replaceScript = `
local session, staged = KEYS[1], KEYS[2]
local wasLength, wasHead, newLength, newHead, ttl = unpack(ARGV)

-- 0 if there is no key, no number if it has another type
local length = redis.pcall('STRLEN', session)
local function holds(wanted, head)
	return length == tonumber(wanted) and redis.call('GETRANGE', session, 0, #head - 1) == head
		and (length > 0 or redis.call('TYPE', session).ok == 'string')
end

if holds(wasLength, wasHead) then
	local renamed = redis.pcall('RENAME', staged, session)
	-- evicted, or not allowed
	if renamed.err then return redis.call('TYPE', staged).ok == 'none' and 3 or renamed end
else
	redis.call('UNLINK', staged)
	-- another type, nothing, or an empty value, which is 0 in Lua and so true
	if type(length) ~= 'number' then return redis.call('TYPE', session).ok == 'string' and length or 2 end
	-- a value that is not the new one; if it is, a reply was lost
	if not holds(newLength, newHead) then return redis.call('GET', session) end
end
redis.call('PEXPIRE', session, ttl)
return 1`

var replaceHash = fmt.Sprintf("%x", sha1.Sum([]byte(replaceScript)))

// replaceByScript puts the new value aside and runs replaceScript, both in one flush, and returns the script's answer.
func (s *Store) replaceByScript(ctx context.Context, c change) (answer any, lost, err error) {
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
	if replies[1] == replaced {
		return replaced, nil, nil // even if the SET was refused: an attempt whose reply was lost has put the value there
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
