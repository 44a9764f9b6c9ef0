package redisstore

import (
	"bytes"
	"context"
)

// replaceByWatch is replaceByScript without a script, in two round trips.
func (s *Store) replaceByWatch(ctx context.Context, c change) (answer any, lost, err error) {
	w := &watched{change: c}
	lost, err = s.watcher.runAlone(ctx, w)
	return w.answer, lost, err
}

// A watched change is the task of a save with WATCH.
type watched struct {
	change
	answer any
}

func (w *watched) runOn(l lease) (err error) {
	w.answer, err = l.replace(w.change)
	return err
}

// replace stores c.value if what is there is c.was. MULTI stands in the first flush: if it is refused, the SET is not
// sent, which would then be unconditional.
func (l lease) replace(c change) (answer any, err error) {
	wasHead, _ := head(c.was)
	replies, err := l.do(cmd("WATCH", c.key), cmd("STRLEN", c.key), cmd("GETRANGE", c.key, 0, len(wasHead)-1), cmd("MULTI"))
	if err != nil {
		return nil, err
	}
	if err := firstRefusal(replies); err != nil && !refusedWith(err, "WRONGTYPE") {
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
	if err := firstRefusal(replies); err != nil {
		return nil, err
	}
	results, _ := replies[1].([]any) // nil: the key changed after the WATCH
	if err := firstRefusal(results); err != nil {
		return nil, err
	}
	if len(results) == 1 && results[0] == "OK" {
		return replaced, nil
	}
	return l.current(c.key)
}

// current answers with what is there, after the commands that must come first. A replica refuses it, as it does GETEX, so
// that replace starts again elsewhere.
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
