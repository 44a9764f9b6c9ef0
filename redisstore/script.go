package redisstore

import (
	"cmp"
	"context"
	"crypto/sha1"
	"fmt"
)

// A script is what Redis knows by its hash once it has run it.
type script struct{ text, hash string }

func newScript(text string) script {
	return script{text, fmt.Sprintf("%x", sha1.Sum([]byte(text)))}
}

// run runs a script behind the commands of first, in one flush. If Redis does not know the script yet, it sends its
// text. It returns the script's answer, and the refusal of a command if there is one.
func (sc script) run(ctx context.Context, client Client, first []Command, keys []string, args ...any) (answer any, lost, err error) {
	all := make([]any, 0, 2+len(keys)+len(args))
	all = append(all, sc.hash, len(keys))
	for _, key := range keys {
		all = append(all, key)
	}
	return sc.send(ctx, client, keys[0], append(first, cmd("EVALSHA", append(all, args...)...)))
}

// send is run of commands whose last is the EVALSHA.
func (sc script) send(ctx context.Context, client Client, key string, commands []Command) (answer any, lost, err error) {
	replies, lost, err := client.Do(ctx, key, commands...)
	if err != nil {
		return nil, nil, err
	}
	last := len(replies) - 1
	if err = firstRefusal(replies); !refusedWith(err, "NOSCRIPT") {
		return replies[last], lost, err
	}
	replies, again, err := client.Do(ctx, key, cmd("EVAL", append([]any{sc.text}, commands[last].Args[1:]...)...))
	if err == nil {
		err = firstRefusal(replies)
	}
	if err != nil {
		return nil, nil, err
	}
	return replies[0], cmp.Or(lost, again), nil
}

// stagedTTL is how long, in milliseconds, a staged value lives if the script that would use it never comes.
const stagedTTL = 10_000

// replaceScript puts the staged value into the place of a session's, if that has the length and the head of what was
// loaded. Values stay out of Lua, because its cost grows with them. Only a conflict is an exception. If an attempt has
// done all and its reply was lost, the script says that the new value is in the way.
//
// The script runs on every server and on miniredis. Therefore it has no shebang, no cjson, and no answer that depends
// on an error's text. Each call from Lua costs, and so does each number that becomes a text.
var replaceScript = newScript(`
local session, staged = KEYS[1], KEYS[2]
local first, last, head, ttl = unpack(ARGV)

local found = redis.pcall('GETRANGE', session, first, last)
-- nothing is found in an empty value, and where there is none
if found == head and (head ~= '' or redis.call('TYPE', session).ok == 'string') then
	local renamed = redis.pcall('RENAME', staged, session)
	-- evicted, or not allowed
	if renamed.err then return redis.call('TYPE', staged).ok == 'none' and 3 or renamed end
	redis.call('PEXPIRE', session, ttl)
	return 1
end
redis.call('UNLINK', staged)
-- another type, or not allowed
if type(found) ~= 'string' then return redis.call('TYPE', session).ok == 'string' and found or 2 end
return redis.call('GET', session)`)
