package redisstore

import (
	"bytes"
	"context"

	"github.com/gomodule/redigo/redis"

	"github.com/sessionkv/session/driver"
)

// Delete implements [driver.Store]. If was is nil, it sends one GETDEL. Otherwise it runs a script in one round trip,
// or does as [Options.NoScripts] says.
func (s *Store) Delete(ctx context.Context, id string, was []byte) ([]byte, error) {
	remove := s.deleteAny
	if was != nil {
		remove = s.deleteOnly
	}
	value, lost, err := remove(ctx, s.key(id), was)
	if err == driver.ErrNotFound && lost != nil {
		err = lost
	}
	return value, s.failed("delete", id, err)
}

func (s *Store) deleteAny(ctx context.Context, key string, _ []byte) (value []byte, lost, err error) {
	reply, lost, err := s.one(ctx, "GETDEL", key)
	value, err = bulk(reply, err)
	return value, lost, err
}

// deleteScript deletes a session if its value has the length and the head of what was loaded. It uses GETEX and not
// GET, because a replica refuses GETEX. See replaceScript.
var deleteScript = newScript(`
local session, wasLength, wasHead = KEYS[1], ARGV[1], ARGV[2]
local length = redis.pcall('STRLEN', session)
if type(length) ~= 'number' then return redis.call('TYPE', session).ok == 'string' and length or 2 end
if length == tonumber(wasLength) and redis.call('GETRANGE', session, 0, #wasHead - 1) == wasHead then
	return redis.call('UNLINK', session) == 1 and 1
end
return redis.call('GETEX', session)`)

// deleteOnly deletes a value if it is was.
func (s *Store) deleteOnly(ctx context.Context, key string, was []byte) (value []byte, lost, err error) {
	remove := s.deleteByScript
	if s.watcher != nil {
		remove = s.deleteByWatch
	}
	answer, lost, err := remove(ctx, key, was)
	switch {
	case err != nil:
		return nil, nil, err
	case answer == nil:
		return nil, lost, driver.ErrNotFound
	case answer == changed:
		return bytes.Clone(was), nil, nil
	case answer == foreign:
		return nil, nil, errWrongType
	}
	if value, err = redis.Bytes(answer, nil); err == nil {
		err = driver.ErrConflict
	}
	return value, nil, err
}

func (s *Store) deleteByScript(ctx context.Context, key string, was []byte) (answer any, lost, err error) {
	wasHead, _ := head(was)
	return deleteScript.run(ctx, s.client, nil, []string{key}, len(was), wasHead)
}

func (s *Store) deleteByWatch(ctx context.Context, key string, was []byte) (answer any, lost, err error) {
	return s.guard(ctx, key, was, cmd("GETDEL", key))
}
