package redisstore

import (
	"context"

	"github.com/gomodule/redigo/redis"
)

// A state is what a transaction reads of a user.
type state struct {
	stamp   string // "" if there is none
	members []string
	scores  []int64
	ttl     int64 // of the list
}

// A transaction is the task of commands that run only if the state that they were made from still holds. If it does
// not, the transaction begins again.
type transaction struct {
	user user

	// plan returns the commands for a state, which are nil if there is nothing to do, and the answer.
	plan   func(s state) (commands []Command, answer any)
	answer any
}

// transact runs plan in a transaction.
func (s *Store) transact(ctx context.Context, u user, plan func(state) ([]Command, any)) (answer any, lost, err error) {
	t := &transaction{user: u, plan: plan}
	lost, err = s.watcher.runAlone(ctx, t)
	return t.answer, lost, err
}

// runOn reads the stamp with a GETEX, which a replica refuses. See guarded for the MULTI.
func (t *transaction) runOn(l lease) error {
	u := t.user
	for {
		replies, err := l.do(cmd("WATCH", u.list, u.stamp), cmd("GETEX", u.stamp),
			cmd("ZRANGE", u.list, 0, -1, "WITHSCORES"), cmd("PTTL", u.list), cmd("MULTI"))
		if err != nil {
			return err
		}
		now, err := stateOf(replies)
		if err != nil {
			spoil(l.conn) // it may be in the WATCH or the MULTI
			return err
		}
		commands, answer := t.plan(now)
		t.answer = answer
		if commands == nil {
			return l.discard()
		}
		results, err := l.exec(commands...)
		if err != nil || results != nil {
			return err
		}
	}
}

// stateOf is what the replies to WATCH, GETEX, ZRANGE and PTTL say.
func stateOf(replies []any) (s state, err error) {
	if err := firstRefusal(replies); err != nil {
		return s, err
	}
	stamp, _ := replies[1].([]byte)
	list, err := redis.Values(replies[2], nil)
	if err != nil {
		return s, err
	}
	s.stamp = string(stamp)
	for i := 0; i+1 < len(list); i += 2 {
		member, _ := redis.String(list[i], nil)
		score, err := redis.Float64(list[i+1], nil)
		if err != nil {
			return s, err
		}
		s.members, s.scores = append(s.members, member), append(s.scores, int64(score))
	}
	s.ttl, err = redis.Int64(replies[3], nil)
	return s, err
}

// discard ends a MULTI without its commands.
func (l lease) discard() error {
	replies, err := l.do(cmd("DISCARD"))
	if err == nil {
		err = firstRefusal(replies)
	}
	if err != nil {
		spoil(l.conn)
	}
	return err
}
