package redisstore

import (
	"bytes"
	"context"
	"slices"

	"github.com/gomodule/redigo/redis"
)

// replaceByWatch is replaceByScript without a script, in two round trips.
func (s *Store) replaceByWatch(ctx context.Context, c change) (answer any, lost, err error) {
	return s.guard(ctx, c.key, c.was, append(slices.Clip(c.first), cmd("SET", c.key, c.value, "XX", "PX", c.ttl))...)
}

// guard runs commands, the last of which changes the value of key, if that is was.
func (s *Store) guard(ctx context.Context, key string, was []byte, commands ...Command) (answer any, lost, err error) {
	g := &guarded{key: key, was: was, commands: commands}
	lost, err = s.watcher.runAlone(ctx, g)
	return g.answer, lost, err
}

// What is guarded is the task of commands behind a WATCH.
type guarded struct {
	key      string
	was      []byte
	commands []Command
	answer   any
}

// runOn has MULTI in the first flush. If MULTI is refused, the commands are not sent, because they would be
// unconditional.
func (g *guarded) runOn(l lease) (err error) {
	wasHead, _ := head(g.was)
	replies, err := l.do(cmd("WATCH", g.key), cmd("STRLEN", g.key), cmd("GETRANGE", g.key, 0, len(wasHead)-1), cmd("MULTI"))
	if err != nil {
		return err
	}
	if err := firstRefusal(replies); err != nil && !refusedWith(err, "WRONGTYPE") {
		spoil(l.conn) // it may be in the WATCH or the MULTI
		return err
	}
	start, _ := replies[2].([]byte)
	if replies[1] != int64(len(g.was)) || !bytes.Equal(start, wasHead) {
		g.answer, err = l.current(g.key, cmd("DISCARD"))
		return err
	}
	results, err := l.exec(g.commands...)
	switch {
	case err != nil:
		return err
	case len(results) == len(g.commands) && results[len(results)-1] != nil:
		g.answer = changed
		return nil
	}
	g.answer, err = l.current(g.key)
	return err
}

// exec runs the commands of a MULTI that was begun. results is nil if something has changed since the WATCH.
func (l lease) exec(commands ...Command) (results []any, err error) {
	replies, err := l.do(append(commands, cmd("EXEC"))...)
	if err == nil {
		err = firstRefusal(replies)
	}
	if err != nil {
		return nil, err
	}
	results, _ = replies[len(replies)-1].([]any)
	for i, result := range results {
		if refused, ok := result.(redis.Error); ok {
			results[i] = known(refused)
		}
	}
	return results, firstRefusal(results)
}

// current answers with the value that is there, after the commands that must come first. A replica refuses it, as it
// refuses GETEX, so that the task starts again on another connection.
func (l lease) current(key string, first ...Command) (answer any, err error) {
	replies, err := l.do(append(first, cmd("GETEX", key))...)
	if err != nil {
		return nil, err
	}
	switch err := firstRefusal(replies); {
	case refusedWith(err, "WRONGTYPE"):
		return foreign, nil
	case err != nil:
		spoil(l.conn) // it may still be in the MULTI
		return nil, err
	}
	return replies[len(replies)-1], nil
}
