package main

import (
	"encoding/gob"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/alexedwards/scs/redisstore"
	"github.com/alexedwards/scs/v2"
	"github.com/boj/redistore/v2"
	"github.com/gorilla/sessions"
)

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
