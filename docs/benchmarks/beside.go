package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"

	"github.com/gomodule/redigo/redis"

	"github.com/sessionkv/session"
)

// The large values that a session has beside its small ones.
const (
	largeCount = 10
	largeSize  = size1MB
	largeRead  = largeCount / 2 // the one that is read
)

func largeName(i int) string { return fmt.Sprintf("large%d", i) }

// largeText makes up the bytes of a large value.
func largeText() []byte { return bytes.Repeat([]byte("large value "), largeSize/12+1)[:largeSize] }

// A largeLibrary is a library that keeps large values. Its begin makes them too.
type largeLibrary interface {
	library
	// readLarge fetches one large value and returns its size.
	readLarge(r *http.Request) (int, error)
}

const (
	nameLarge = "session with large values"
	nameHash  = "hash by hand"
	nameHGET  = "HGET"
)

// hasLarge reports whether a work has large values, and contestants of its own.
func (w work) hasLarge() bool { return w == beside || w == readLarge }

// base is the contestant that the others of a cell with large values are compared with.
func (c cell) base() string {
	if c.work == beside {
		return nameSession
	}
	return nameHGET
}

// own is the contestant of a cell that is this repository, with all that the cell asks for.
func (c cell) own() string {
	if c.work.hasLarge() {
		return nameLarge
	}
	return nameSession
}

// heap is what the process of each contestant keeps in memory and does not use. Without it, a process that has next to
// nothing would collect its garbage after every few values of 1 MB, and the more often the more buffers it has.
func (c cell) heap() int {
	if c.work.hasLarge() {
		return 64 << 20
	}
	return 0
}

// largeContestants are for the works with large values, with session, which has none. They are in the order of their turns.
var largeContestants = []contestant{
	{
		name:  nameHGET,
		kind:  floor,
		about: "For the works with large values: one bare `HGET` of 1 MB through the pool of 64. There is no session.",
		open: func(a address) (library, error) {
			return hgetLibrary{bareLibrary{writes: new(atomic.Int64)}, newPool(a)}, nil
		},
	},
	{
		name:  nameLarge,
		kind:  own,
		about: "session, whose sessions have ten values of 1 MB as `session.Large[[]byte]` beside the small ones.",
		open: func(a address) (library, error) {
			library, err := openSession(a)
			return sessionLargeLibrary{library}, err
		},
	},
	{
		name: nameHash,
		kind: rival,
		about: "The commands that the hash table storage of GoFrame sends, by hand through the pool of 64, one after the other: `EXISTS` to load, `HGET` to read, " +
			"`HSET` to write, and after a write `EXPIRE`. All values are fields of one hash. A read does not let the session live longer.",
		open: func(a address) (library, error) { return hashLibrary{pool: newPool(a)}, nil },
	},
}

// readLargeOf is the work of readLarge.
func readLargeOf(l library, r *http.Request) error {
	large, ok := l.(largeLibrary)
	if !ok {
		return errors.New("no large values here")
	}
	size, err := large.readLarge(r)
	if err == nil && size != largeSize {
		err = fmt.Errorf("a large value has %d bytes", size)
	}
	return err
}

// sessionLargeLibrary is a sessionLibrary with large values.
type sessionLargeLibrary struct{ sessionLibrary }

func (l sessionLargeLibrary) begin(w http.ResponseWriter, r *http.Request, members []member) error {
	s, err := session.Load(r.Context())
	if err != nil {
		return err
	}
	for i := range largeCount {
		if err := session.Large[[]byte](largeName(i)).Set(s, largeText()); err != nil {
			return err
		}
	}
	return l.sessionLibrary.begin(w, r, members)
}

func (l sessionLargeLibrary) readLarge(r *http.Request) (int, error) {
	s, err := session.Load(r.Context())
	if err != nil {
		return 0, err
	}
	text, err := session.Large[[]byte](largeName(largeRead)).Get(r.Context(), s)
	return len(text), err
}

// hashLibrary keeps each value of a session in a field of a hash.
type hashLibrary struct {
	unwrapped
	pool *redis.Pool
}

const hashTTL = 30 * 60

func hashKey(token string) string { return "hash:" + token }

func (l hashLibrary) begin(w http.ResponseWriter, _ *http.Request, members []member) error {
	conn := l.pool.Get()
	defer conn.Close()
	key := hashKey(newToken(w))
	for _, m := range members {
		raw, err := json.Marshal(m.value)
		if err != nil {
			return err
		}
		if _, err := conn.Do("HSET", key, m.name, raw); err != nil {
			return err
		}
	}
	for i := range largeCount {
		if _, err := conn.Do("HSET", key, largeName(i), largeText()); err != nil {
			return err
		}
	}
	_, err := conn.Do("EXPIRE", key, hashTTL)
	return err
}

// load returns the key of the session of a request, if there is one, and a connection for more.
func (l hashLibrary) load(r *http.Request) (conn redis.Conn, key string, err error) {
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return nil, "", err
	}
	key, conn = hashKey(cookie.Value), l.pool.Get()
	there, err := redis.Bool(conn.Do("EXISTS", key))
	if err == nil && !there {
		err = errNoVisits
	}
	if err != nil {
		return nil, "", errors.Join(err, conn.Close())
	}
	return conn, key, nil
}

func (l hashLibrary) read(r *http.Request) (int, error) {
	conn, key, err := l.load(r)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	return redis.Int(conn.Do("HGET", key, visitsName))
}

func (l hashLibrary) write(_ http.ResponseWriter, r *http.Request) (int, error) {
	conn, key, err := l.load(r)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	visits, err := redis.Int(conn.Do("HGET", key, visitsName))
	if err != nil {
		return 0, err
	}
	visits++
	if _, err := conn.Do("HSET", key, visitsName, strconv.Itoa(visits)); err != nil {
		return 0, err
	}
	_, err = conn.Do("EXPIRE", key, hashTTL)
	return visits, err
}

func (l hashLibrary) readLarge(r *http.Request) (int, error) {
	conn, key, err := l.load(r)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	text, err := redis.Bytes(conn.Do("HGET", key, largeName(largeRead)))
	return len(text), err
}

func (l hashLibrary) end(_ http.ResponseWriter, r *http.Request) error {
	conn, key, err := l.load(r)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Do("DEL", key)
	return err
}

// hgetLibrary fetches a large value, and has nothing else of a session.
type hgetLibrary struct {
	bareLibrary
	pool *redis.Pool
}

func (l hgetLibrary) begin(w http.ResponseWriter, _ *http.Request, _ []member) error {
	conn := l.pool.Get()
	defer conn.Close()
	_, err := conn.Do("HSET", hashKey(newToken(w)), largeName(largeRead), largeText())
	return err
}

func (l hgetLibrary) readLarge(r *http.Request) (int, error) {
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return 0, err
	}
	conn := l.pool.Get()
	defer conn.Close()
	text, err := redis.Bytes(conn.Do("HGET", hashKey(cookie.Value), largeName(largeRead)))
	return len(text), err
}
