package main

import (
	"bytes"
	"crypto/rand"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alexedwards/scs/redisstore"
	"github.com/alexedwards/scs/v2"
	"github.com/boj/redistore/v2"
	"github.com/gomodule/redigo/redis"
	"github.com/gorilla/sessions"

	"github.com/sessionkv/session"
	ownredisstore "github.com/sessionkv/session/redisstore"
)

// An address is where Redis listens.
type address struct {
	network string // "tcp" or "unix"
	address string
}

func (a address) url() string {
	if a.network == "unix" {
		return "unix://" + a.address
	}
	return "redis://" + a.address
}

// A library keeps sessions in one of the ways that are compared. Its methods are called by the handler of a request, and may
// set headers.
type library interface {
	// begin makes a new session that has these members.
	begin(w http.ResponseWriter, r *http.Request, members []member) error
	// read returns the visits.
	read(r *http.Request) (int, error)
	// write adds one to the visits and returns them.
	write(w http.ResponseWriter, r *http.Request) (int, error)
	// end destroys the session.
	end(w http.ResponseWriter, r *http.Request) error
	// wrap puts the library's middleware around the handler, if it has one.
	wrap(http.Handler) http.Handler
}

// A contestant is a library in one configuration.
type contestant struct {
	name  string
	rival bool
	about string // for the report: how it is configured
	open  func(address) (library, error)
}

const (
	nameBare    = "bare"
	nameFloor   = "floor"
	nameSession = "session"
	nameUser    = "session user"
)

// contestants are in the order in which they take their turns.
var contestants = []contestant{
	{
		name:  nameBare,
		about: "net/http and a handler, without any session.",
		open:  func(address) (library, error) { return bareLibrary{}, nil },
	},
	{
		name: nameFloor,
		about: "What is left when the library is taken away: the same handler that itself does one `GETEX` through a redigo pool of 64 and does not decode the " +
			"value. To write, it patches the number in place and does one blind `SET`.",
		open: func(a address) (library, error) { return floorLibrary{newPool(a)}, nil },
	},
	{
		name: nameSession,
		about: "This repository, `redisstore.Open(url, redisstore.Options{})` and `session.Config{Store: store}` as in its README; `Cookie.InsecureHTTP`, as there is no TLS here, and a " +
			"`MaxBytes` of 32 MiB for the large values.",
		open: func(a address) (library, error) { return openSession(a) },
	},
	{
		name:  nameUser,
		about: "The same, in a session that `SignIn` has given a user of its own: each load asks the list of that user too.",
		open: func(a address) (library, error) {
			library, err := openSession(a)
			return userLibrary{library}, err
		},
	},
	{
		name:  "scs",
		rival: true,
		about: "alexedwards/scs v2.9.0 with its redisstore on the pool of 64, `scs.New()` as in its README: gob, no IdleTimeout.",
		open: func(a address) (library, error) {
			return newSCS(a, func(*scs.SessionManager) {}), nil
		},
	},
	{
		name:  "scs JSON",
		rival: true,
		about: "The same with a `Codec` of encoding/json in place of gob.",
		open: func(a address) (library, error) {
			return newSCS(a, func(m *scs.SessionManager) { m.Codec = jsonCodec{} }), nil
		},
	},
	{
		name:  "scs idle",
		rival: true,
		about: "scs with gob and an `IdleTimeout` of 20 minutes, as in its README. This is what session always has: a session that is in use lives on.",
		open: func(a address) (library, error) {
			return newSCS(a, func(m *scs.SessionManager) { m.IdleTimeout = 20 * time.Minute }), nil
		},
	},
	{
		name:  "gorilla",
		rival: true,
		about: "gorilla/sessions v1.4.0 with boj/redistore v2.0.1, `WithPool` of the pool of 64 as under \"Using a Custom Pool\" in its README, gob, " +
			"`WithMaxLength(0)` as its limit is 4096 bytes. (With the pool that redistore makes itself there is a `PING` before every command.)",
		open: func(a address) (library, error) { return newGorilla(a, redistore.GobSerializer{}) },
	},
	{
		name:  "gorilla JSON",
		rival: true,
		about: "The same with redistore's `JSONSerializer`.",
		open:  func(a address) (library, error) { return newGorilla(a, redistore.JSONSerializer{}) },
	},
}

func contestantNamed(name string) (contestant, error) {
	if found := contestantsNamed(name); len(found) == 1 {
		return found[0], nil
	}
	return contestant{}, fmt.Errorf("no contestant %q", name)
}

// contestantsNamed are those of these names, in the order of their turns.
func contestantsNamed(names ...string) []contestant {
	return slices.DeleteFunc(slices.Concat(contestants, largeContestants), func(c contestant) bool {
		return !slices.Contains(names, c.name)
	})
}

// newPool returns the pool that all but session use: of 64 connections, which a 65th call waits for. Without that limit redigo
// would dial for each further call, and throw the connection away after it.
func newPool(a address) *redis.Pool {
	return &redis.Pool{
		MaxIdle:     64,
		MaxActive:   64,
		Wait:        true,
		IdleTimeout: 4 * time.Minute,
		Dial:        func() (redis.Conn, error) { return redis.Dial(a.network, a.address) },
	}
}

// cookieName is that of every contestant.
const cookieName = "session"

// newToken sets a cookie as long as that of session and scs.
func newToken(w http.ResponseWriter) string {
	token := (rand.Text() + rand.Text())[:43]
	http.SetCookie(w, &http.Cookie{Name: cookieName, Value: token, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	return token
}

// unwrapped is embedded by what has no middleware.
type unwrapped struct{}

func (unwrapped) wrap(next http.Handler) http.Handler { return next }

type bareLibrary struct{ unwrapped }

func (bareLibrary) begin(w http.ResponseWriter, _ *http.Request, _ []member) error {
	newToken(w)
	return nil
}
func (bareLibrary) read(*http.Request) (int, error)                       { return firstVisits, nil }
func (bareLibrary) write(http.ResponseWriter, *http.Request) (int, error) { return firstVisits, nil }
func (bareLibrary) end(http.ResponseWriter, *http.Request) error          { return nil }

// floorLibrary keeps the visits at a fixed place at the head of the value, so that it need not decode it:
//
//	{"visits":         1,"member0":...
type floorLibrary struct{ pool *redis.Pool }

const (
	floorHead   = `{"` + visitsName + `":`
	floorDigits = 10
	floorTTL    = 30 * 60 * 1000
)

func (floorLibrary) wrap(next http.Handler) http.Handler { return next }

func (f floorLibrary) begin(w http.ResponseWriter, _ *http.Request, members []member) error {
	value := fmt.Appendf(nil, "%s%*d", floorHead, floorDigits, firstVisits)
	for _, m := range members {
		if m.name != visitsName {
			raw, err := json.Marshal(m.value)
			if err != nil {
				return err
			}
			value = fmt.Appendf(value, ",%q:%s", m.name, raw)
		}
	}
	return f.set("floor:"+newToken(w), append(value, '}'))
}

func (f floorLibrary) set(key string, value []byte) error {
	conn := f.pool.Get()
	defer conn.Close()
	_, err := conn.Do("SET", key, value, "PX", floorTTL)
	return err
}

func (f floorLibrary) get(r *http.Request) (key string, value []byte, visits int, err error) {
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return "", nil, 0, err
	}
	key = "floor:" + cookie.Value
	conn := f.pool.Get()
	defer conn.Close()
	value, err = redis.Bytes(conn.Do("GETEX", key, "PX", floorTTL))
	if err != nil {
		return "", nil, 0, err
	}
	visits, err = strconv.Atoi(string(bytes.TrimSpace(value[len(floorHead) : len(floorHead)+floorDigits])))
	return key, value, visits, err
}

func (f floorLibrary) read(r *http.Request) (int, error) {
	_, _, visits, err := f.get(r)
	return visits, err
}

func (f floorLibrary) write(_ http.ResponseWriter, r *http.Request) (int, error) {
	key, value, visits, err := f.get(r)
	if err != nil {
		return 0, err
	}
	visits++
	copy(value[len(floorHead):], fmt.Sprintf("%*d", floorDigits, visits))
	return visits, f.set(key, value)
}

func (f floorLibrary) end(_ http.ResponseWriter, r *http.Request) error {
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return err
	}
	conn := f.pool.Get()
	defer conn.Close()
	_, err = conn.Do("DEL", "floor:"+cookie.Value)
	return err
}

type sessionLibrary struct{ manager *session.Manager }

func openSession(a address) (sessionLibrary, error) {
	store, err := ownredisstore.Open(a.url(), ownredisstore.Options{})
	if err != nil {
		return sessionLibrary{}, err
	}
	manager, err := session.New(session.Config{
		Store:    store,
		Cookie:   session.Cookie{InsecureHTTP: true},
		MaxBytes: 32 << 20,
	})
	return sessionLibrary{manager}, err
}

const visitsKey = session.Key[int](visitsName)

func (l sessionLibrary) wrap(next http.Handler) http.Handler { return l.manager.Handler(next) }

func (l sessionLibrary) begin(_ http.ResponseWriter, r *http.Request, members []member) error {
	s, err := session.Load(r.Context())
	if err != nil {
		return err
	}
	for _, m := range members {
		if err := s.Set(m.name, m.value); err != nil {
			return err
		}
	}
	return nil
}

func (l sessionLibrary) read(r *http.Request) (int, error) {
	s, err := session.Load(r.Context())
	if err != nil {
		return 0, err
	}
	n, ok := visitsKey.Get(s)
	return n, found(ok)
}

func (l sessionLibrary) write(_ http.ResponseWriter, r *http.Request) (n int, err error) {
	s, err := session.Load(r.Context())
	if err != nil {
		return 0, err
	}
	err = visitsKey.Update(s, func(old int) int {
		n = old + 1
		return n
	})
	return n, err
}

func (l sessionLibrary) end(_ http.ResponseWriter, r *http.Request) error {
	s, err := session.Load(r.Context())
	if err != nil {
		return err
	}
	s.Destroy()
	return nil
}

// A userLibrary is a sessionLibrary whose sessions belong to a user each.
type userLibrary struct{ sessionLibrary }

func (l userLibrary) begin(w http.ResponseWriter, r *http.Request, members []member) error {
	s, err := session.Load(r.Context())
	if err != nil {
		return err
	}
	return errors.Join(s.SignIn(session.SignIn{User: rand.Text()}), l.sessionLibrary.begin(w, r, members))
}

var errNoVisits = errors.New("the session has no visits")

func found(ok bool) error {
	if !ok {
		return errNoVisits
	}
	return nil
}

// number takes a number as gob, or as encoding/json, brings it back.
func number(v any) (int, error) {
	switch n := v.(type) {
	case int:
		return n, nil
	case float64:
		return int(n), nil
	}
	return 0, errNoVisits
}

func init() { gob.Register([]string(nil)) } // as the rivals' READMEs ask for types of one's own

type scsLibrary struct{ manager *scs.SessionManager }

func newSCS(a address, configure func(*scs.SessionManager)) library {
	manager := scs.New()
	manager.Store = redisstore.New(newPool(a))
	configure(manager)
	return scsLibrary{manager}
}

func (l scsLibrary) wrap(next http.Handler) http.Handler { return l.manager.LoadAndSave(next) }

func (l scsLibrary) begin(_ http.ResponseWriter, r *http.Request, members []member) error {
	for _, m := range members {
		l.manager.Put(r.Context(), m.name, m.value)
	}
	return nil
}

func (l scsLibrary) read(r *http.Request) (int, error) {
	return number(l.manager.Get(r.Context(), visitsName))
}

func (l scsLibrary) write(_ http.ResponseWriter, r *http.Request) (int, error) {
	n, err := l.read(r)
	if err != nil {
		return 0, err
	}
	l.manager.Put(r.Context(), visitsName, n+1)
	return n + 1, nil
}

func (l scsLibrary) end(_ http.ResponseWriter, r *http.Request) error {
	return l.manager.Destroy(r.Context())
}

// jsonCodec is an scs.Codec.
type jsonCodec struct{}

type jsonSession struct {
	Deadline time.Time
	Values   map[string]any
}

func (jsonCodec) Encode(deadline time.Time, values map[string]any) ([]byte, error) {
	return json.Marshal(jsonSession{deadline, values})
}

func (jsonCodec) Decode(raw []byte) (time.Time, map[string]any, error) {
	var s jsonSession
	err := json.Unmarshal(raw, &s)
	return s.Deadline, s.Values, err
}

type gorillaLibrary struct {
	unwrapped
	store *redistore.RediStore
}

func newGorilla(a address, serializer redistore.SessionSerializer) (library, error) {
	store, err := redistore.NewStore(
		redistore.KeysFromStrings(strings.Repeat("k", 32)),
		redistore.WithPool(newPool(a)),
		redistore.WithMaxLength(0),
		redistore.WithSerializer(serializer))
	return gorillaLibrary{store: store}, err
}

func (l gorillaLibrary) begin(w http.ResponseWriter, r *http.Request, members []member) error {
	s, err := l.store.Get(r, cookieName)
	if err != nil {
		return err
	}
	for _, m := range members {
		s.Values[m.name] = m.value
	}
	return s.Save(r, w)
}

func (l gorillaLibrary) visits(r *http.Request) (*sessions.Session, int, error) {
	s, err := l.store.Get(r, cookieName)
	if err != nil {
		return nil, 0, err
	}
	n, err := number(s.Values[visitsName])
	return s, n, err
}

func (l gorillaLibrary) read(r *http.Request) (int, error) {
	_, n, err := l.visits(r)
	return n, err
}

func (l gorillaLibrary) write(w http.ResponseWriter, r *http.Request) (int, error) {
	s, n, err := l.visits(r)
	if err != nil {
		return 0, err
	}
	s.Values[visitsName] = n + 1
	return n + 1, s.Save(r, w)
}

func (l gorillaLibrary) end(w http.ResponseWriter, r *http.Request) error {
	s, err := l.store.Get(r, cookieName)
	if err != nil {
		return err
	}
	s.Options.MaxAge = -1
	return s.Save(r, w)
}
