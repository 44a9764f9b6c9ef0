package gorilla

import (
	"errors"
	"log"
	"net/http"
	"testing"

	"github.com/boj/redistore/v2"
	"github.com/gomodule/redigo/redis"
	"github.com/gorilla/sessions"

	"github.com/sessionkv/session/docs/moving/internal/page"
)

func TestTheCallsOfThePageAreCompiled(t *testing.T) { page.Check(t, 24) }

// The calls of gorilla/sessions and redistore.
var _ = func(w http.ResponseWriter, r *http.Request, pool *redis.Pool, key []byte) error {
	cookies := sessions.NewCookieStore(key)
	store, err := redistore.NewStore(redistore.Keys(key), redistore.WithPool(pool))
	if err != nil {
		return err
	}
	store.SetMaxLength(1 << 16)
	store.SetKeyPrefix("shop_")
	store.SetSerializer(redistore.JSONSerializer{})
	store.SetMaxAge(12 * 60 * 60)
	store.DefaultMaxAge = 20 * 60
	store.Options = &sessions.Options{Path: "/shop", Domain: "shop.example", Secure: true, HttpOnly: true,
		SameSite: http.SameSiteStrictMode, Partitioned: true}

	s, err := store.Get(r, "session")
	if err != nil {
		return err
	}
	name, ok := s.Values["name"].(string)
	s.Values["name"] = "alice"
	delete(s.Values, "name")
	clear(s.Values)
	n, _ := s.Values["n"].(int)
	s.Values["n"] = n + 1
	s.AddFlash("kept")
	all := s.Flashes()

	s.ID = ""
	s.Values["user"] = "alice"
	user, _ := s.Values["user"].(string)
	s.Options.MaxAge = 30 * 24 * 60 * 60
	s.Options.MaxAge = -1
	fresh := s.IsNew
	saved := s.Save(r, w)
	savedAll := sessions.Save(r, w)
	id := s.ID
	log.Print(cookies, name, ok, all, user, fresh, id)
	return errors.Join(saved, savedAll, store.Close())
}
