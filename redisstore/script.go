package redisstore

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha1"
	"fmt"
)

// A script is what Redis knows by its hash once it has run it.
type script struct{ text, hash string }

func newScript(text string) script {
	return script{text, fmt.Sprintf("%x", sha1.Sum([]byte(text)))}
}

// run runs a script behind the commands of first, in one flush. If Redis does not know the script yet, it sends its
// text. It returns the script's answer if the commands were not refused.
func (sc script) run(ctx context.Context, client Client, first []Command, keys []string, args ...any) (answer any, lost, err error) {
	run := sc.command("EVALSHA", sc.hash, keys, args)
	replies, lost, err := client.Do(ctx, keys[0], append(first, run)...)
	if err != nil {
		return nil, nil, err
	}
	answer = replies[len(replies)-1]
	if answer == changed {
		return answer, lost, nil // even if a command was refused: an attempt whose reply was lost has done all
	}
	if err = firstRefusal(replies); !refusedWith(err, "NOSCRIPT") {
		return answer, lost, err
	}
	replies, again, err := client.Do(ctx, keys[0], sc.command("EVAL", sc.text, keys, args))
	if err == nil {
		err = firstRefusal(replies)
	}
	if err != nil {
		return nil, nil, err
	}
	return replies[0], cmp.Or(lost, again), nil
}

// command is the EVAL or EVALSHA of a script.
func (sc script) command(name, what string, keys []string, args []any) Command {
	all := make([]any, 0, 2+len(keys)+len(args))
	all = append(all, what, len(keys))
	for _, key := range keys {
		all = append(all, key)
	}
	return Command{name, append(all, args...)}
}

// stagedTTL is how long, in milliseconds, a staged value lives if the script that would use it never comes.
const stagedTTL = 10_000

// replaceScript puts the staged value into the place of a session's, if that has the length and the head of what was
// loaded. Values stay out of Lua, because its cost grows with them. Only a conflict is an exception.
//
// The script runs on every server and on miniredis. Therefore it has no shebang, no cjson, and no answer that depends
// on an error's text.
var replaceScript = newScript(`
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
return 1`)

// replaceByScript puts the new value aside and runs replaceScript, both in one flush, and returns the script's answer.
func (s *Store) replaceByScript(ctx context.Context, c change) (answer any, lost, err error) {
	wasHead, _ := head(c.was)
	newHead, rev := head(c.value)
	if rev == nil {
		rev = []byte(rand.Text())
	}
	staged := besides(c.key, string(rev))
	aside := append(make([]Command, 0, 2+len(c.first)), c.first...)
	aside = append(aside, cmd("SET", staged, c.value, "PX", stagedTTL))
	return replaceScript.run(ctx, s.client, aside, []string{c.key, staged}, len(c.was), wasHead, len(c.value), newHead, c.ttl)
}
