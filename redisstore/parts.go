package redisstore

import (
	"context"
	"fmt"
	"time"

	"github.com/sessionkv/session/driver"
)

var errNoHash = fmt.Errorf("the key holds another Redis type than a hash, left as it is: %w", driver.ErrNotFound)

// notAHash is err as it is where a hash was read.
func notAHash(err error) error {
	if refusedWith(err, "WRONGTYPE") {
		return errNoHash
	}
	return err
}

// partsSlack is what parts get more to live than their value, so that they never end before it.
const partsSlack = time.Second

// partsOf is where the parts are that belong to the value of key: a hash, by their names.
func partsOf(key string) string { return besides(key, "large") }

// keepParts gives parts the time to live of their value.
func keepParts(key string, ttl time.Duration) Command {
	return cmd("PEXPIRE", partsOf(key), milliseconds(ttl+partsSlack))
}

// storePart stores a part beside the value of key and gives all of them ttl to live, in one step: a hash without a time to
// live would stay for ever if the connection broke then. A Client has no transaction. Where it is another library's, the
// text goes through Lua, which copies it.
func (s *Store) storePart(ctx context.Context, key string, part driver.Part, ttl time.Duration) error {
	parts, keep := partsOf(key), keepParts(key, ttl)
	if s.own != nil {
		_, err := s.own.runAlone(ctx, together{cmd("HSET", parts, part.Name, part.Text), keep})
		return err
	}
	_, _, err := partScript.run(ctx, s.client, nil, []string{parts}, part.Name, part.Text, keep.Args[1])
	return err
}

// partScript stores a part. HSET is first: what a script does after a write, Redis does not refuse when it is full.
var partScript = newScript(`
local parts, name, text, ttl = KEYS[1], unpack(ARGV)
local stored = redis.pcall('HSET', parts, name, text)
if type(stored) ~= 'number' then return stored end
local kept = redis.pcall('PEXPIRE', parts, ttl)
-- not allowed: a hash must not stay for ever
if type(kept) ~= 'number' then return redis.call('HDEL', parts, name) and kept end
return 1`)

// together is the task of commands that run in one step, whatever is there.
type together []Command

// runOn has MULTI in a flush of its own: if that is refused, the commands are not sent, which would then be apart.
func (commands together) runOn(l lease) error {
	replies, err := l.do(cmd("MULTI"))
	if err == nil {
		err = firstRefusal(replies)
	}
	if err == nil {
		_, err = l.exec(commands...)
	}
	return err
}
