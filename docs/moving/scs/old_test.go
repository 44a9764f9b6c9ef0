package scs

import (
	"context"
	"errors"
	"log"
	"net/http"
	"testing"
	"time"

	"github.com/alexedwards/scs/redisstore"
	"github.com/alexedwards/scs/v2"
	"github.com/gomodule/redigo/redis"

	"github.com/sessionkv/session/docs/moving/internal/page"
)

func TestTheCallsOfThePageAreCompiled(t *testing.T) { page.Check(t, 43) }

// The settings of scs.
var _ = func(pool *redis.Pool, next http.Handler, onError func(http.ResponseWriter, *http.Request, error)) http.Handler {
	sessions := scs.New()
	sessions.Store = redisstore.New(pool)
	sessions.Lifetime = 12 * time.Hour
	sessions.IdleTimeout = 20 * time.Minute
	sessions.ErrorFunc = onError
	sessions.HashTokenInStore = true
	sessions.Codec = scs.GobCodec{}
	sessions.Cookie.Name = "shop"
	sessions.Cookie.Domain = "shop.example"
	sessions.Cookie.Path = "/shop"
	sessions.Cookie.SameSite = http.SameSiteStrictMode
	sessions.Cookie.Secure = true
	sessions.Cookie.HttpOnly = true
	sessions.Cookie.Partitioned = true
	sessions.Cookie.Persist = true
	sessions.Cookie.Persist = false // for RememberMe
	return sessions.LoadAndSave(next)
}

// Its values.
var _ = func(ctx context.Context, sessions *scs.SessionManager) error {
	sessions.Put(ctx, "name", "alice")
	item, ok := sessions.Get(ctx, "item").(item)
	name := sessions.GetString(ctx, "name")
	n := sessions.GetInt(ctx, "n")
	sessions.Put(ctx, "n", n+1)
	when := sessions.GetTime(ctx, "when")
	message := sessions.PopString(ctx, "message")
	nonce := sessions.PopString(ctx, "nonce")
	has := sessions.Exists(ctx, "name")
	keys := sessions.Keys(ctx)
	sessions.Remove(ctx, "name")
	cleared := sessions.Clear(ctx)
	log.Print(item, ok, name, n, when, message, nonce, has, keys)
	return cleared
}

// Its users.
var _ = func(ctx context.Context, sessions *scs.SessionManager, when time.Time) error {
	renewed := sessions.RenewToken(ctx)
	sessions.Put(ctx, "user", "alice")
	user := sessions.GetString(ctx, "user")
	sessions.RememberMe(ctx, true)
	destroyed := sessions.Destroy(ctx)
	deadline := sessions.Deadline(ctx)
	sessions.SetDeadline(ctx, when)
	token := sessions.Token(ctx)
	merged := sessions.MergeSession(ctx, token)

	modified := sessions.Status(ctx) == scs.Modified
	token, expiry, err := sessions.Commit(ctx)
	ctx, loaded := sessions.Load(ctx, token)
	iterated := sessions.Iterate(ctx, func(ctx context.Context) error {
		if sessions.GetString(ctx, "user") == "alice" {
			return sessions.Destroy(ctx)
		}
		return nil
	})
	log.Print(ctx, user, deadline, token, modified, expiry)
	return errors.Join(renewed, destroyed, merged, err, loaded, iterated)
}

type item struct{ Name string }
