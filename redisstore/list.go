package redisstore

import (
	"context"
	"slices"
	"time"

	"github.com/sessionkv/session/driver"
)

// The answer to a step is changed, the members that it has taken from the list, or one of these, and nothing is changed.
const (
	otherStamp = int64(4)
	tooMany    = int64(5)
	notListed  = int64(6)
)

// A step changes what a user has. It has two forms that do the same: a script with its keys and arguments, and the plan
// of a transaction, for NoScripts. A script that may only read has a GETEX ahead of it, because a replica refuses that.
type step struct {
	first  []Command
	script script
	keys   []string
	args   []any
	plan   func(now state) (commands []Command, answer any)
}

// take takes a step.
func (s *Store) take(ctx context.Context, u user, st step) (answer any, lost, err error) {
	if s.watcher != nil {
		return s.transact(ctx, u, st.plan)
	}
	return st.script.run(ctx, s.client, st.first, st.keys, st.args...)
}

// The score of a new member is the time, or one more than that of the newest, because the clock of the process that
// added the newest may be ahead. PEXPIRE is for a list that is new, or was emptied in between.
var addScript = newScript(`
local list, stamp = KEYS[1], KEYS[2]
local member, wanted, score, keep, limit, refuse = unpack(ARGV)
score, keep, limit = tonumber(score), tonumber(keep), tonumber(limit)

if wanted ~= '' and redis.call('GET', stamp) ~= wanted then return 4 end
-- a reply was lost
if redis.call('ZSCORE', list, member) then return {} end

local ttl = redis.call('PTTL', list)
local newest = redis.call('ZRANGE', list, -1, -1, 'WITHSCORES')[2]
if newest then score = math.max(score, newest + 1) end
local over = {}
if limit > 0 then
	local last = redis.call('ZCARD', list) - limit
	if last >= 0 and refuse == '1' then return 5 end
	if last >= 0 then
		over = redis.call('ZRANGE', list, 0, last)
		redis.call('ZREMRANGEBYRANK', list, 0, last)
	end
end
redis.call('ZADD', list, score, member)
redis.call('PEXPIRE', list, math.max(ttl, keep))
return over`)

// add is the step of an Add.
func (u user) add(e driver.Entry, now time.Time) step {
	member, score, keep := member(e.ID), now.UnixMilli(), milliseconds(e.Keep)
	refuse := 0
	if e.Refuse {
		refuse = 1
	}
	return step{
		script: addScript,
		first:  []Command{cmd("GETEX", u.stamp)},
		keys:   []string{u.list, u.stamp},
		args:   []any{member, e.Stamp, score, keep, e.Limit, refuse},
		plan: func(now state) (commands []Command, answer any) {
			if e.Stamp != "" && now.stamp != e.Stamp {
				return nil, otherStamp
			}
			if slices.Contains(now.members, member) {
				return nil, []string(nil)
			}
			if n := len(now.scores); n > 0 {
				score = max(score, now.scores[n-1]+1)
			}
			var over []string
			if more := len(now.members) + 1 - e.Limit; e.Limit > 0 && more > 0 {
				if e.Refuse {
					return nil, tooMany
				}
				over = now.members[:more]
				commands = append(commands, cmd("ZREMRANGEBYRANK", u.list, 0, more-1))
			}
			return append(commands, cmd("ZADD", u.list, score, member), cmd("PEXPIRE", u.list, max(now.ttl, keep))), over
		},
	}
}

// The new member is there before the old one goes, so that the list keeps its time to live.
var replaceMemberScript = newScript(`
local list, stamp = KEYS[1], KEYS[2]
local was, member, wanted, keep = unpack(ARGV)

if wanted ~= '' and redis.call('GET', stamp) ~= wanted then return 4 end
local score = redis.call('ZSCORE', list, was)
if score then
	redis.call('ZADD', list, score, member)
	redis.call('ZREM', list, was)
elseif not redis.call('ZSCORE', list, member) then
	return 6
end
redis.call('PEXPIRE', list, math.max(redis.call('PTTL', list), tonumber(keep)))
return 1`)

// replace is the step of a Replace.
func (u user) replace(was string, e driver.Entry) step {
	was, member, keep := member(was), member(e.ID), milliseconds(e.Keep)
	return step{
		script: replaceMemberScript,
		first:  []Command{cmd("GETEX", u.stamp)},
		keys:   []string{u.list, u.stamp},
		args:   []any{was, member, e.Stamp, keep},
		plan: func(now state) (commands []Command, answer any) {
			if e.Stamp != "" && now.stamp != e.Stamp {
				return nil, otherStamp
			}
			if place := slices.Index(now.members, was); place >= 0 {
				commands = append(commands, cmd("ZADD", u.list, now.scores[place], member), cmd("ZREM", u.list, was))
			} else if !slices.Contains(now.members, member) {
				return nil, notListed
			}
			return append(commands, cmd("PEXPIRE", u.list, max(now.ttl, keep))), changed
		},
	}
}

// A stamp that is gone differs from any other, and can be deleted when Redis is full.
var removeOthersScript = newScript(`
local list, stamp, keep = KEYS[1], KEYS[2], ARGV[1]
local rank = redis.call('ZRANK', list, keep)
if not rank then return 6 end
local members = redis.call('ZRANGE', list, 0, -1)
table.remove(members, rank + 1)
redis.call('ZREMRANGEBYRANK', list, rank + 1, -1)
if rank > 0 then redis.call('ZREMRANGEBYRANK', list, 0, rank - 1) end
redis.call('UNLINK', stamp)
return members`)

// removeOthers is the step of a RemoveOthers.
func (u user) removeOthers(keep string) step {
	keep = member(keep)
	return step{
		script: removeOthersScript,
		first:  []Command{cmd("GETEX", u.stamp)},
		keys:   []string{u.list, u.stamp},
		args:   []any{keep},
		plan: func(now state) (commands []Command, answer any) {
			place := slices.Index(now.members, keep)
			if place < 0 {
				return nil, notListed
			}
			commands = append(commands, cmd("ZREMRANGEBYRANK", u.list, place+1, -1))
			if place > 0 {
				commands = append(commands, cmd("ZREMRANGEBYRANK", u.list, 0, place-1))
			}
			return append(commands, cmd("UNLINK", u.stamp)), slices.Delete(now.members, place, place+1)
		},
	}
}
