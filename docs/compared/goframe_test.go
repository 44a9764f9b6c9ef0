package compared

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"testing"

	_ "github.com/gogf/gf/contrib/nosql/redis/v2"
	"github.com/gogf/gf/v2/database/gredis"
	"github.com/gogf/gf/v2/net/ghttp"
	"github.com/gogf/gf/v2/os/gsession"
)

const nameGoFrame = "GoFrame gsession"

type goFrameLibrary struct {
	t      *testing.T
	server *ghttp.Server
}

func newGoFrame(t *testing.T, addr string) library {
	t.Helper()
	client, err := gredis.New(&gredis.Config{Address: addr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close(context.WithoutCancel(t.Context())) })
	server := ghttp.GetServer(rand.Text())
	server.SetAddr("127.0.0.1:0")
	server.SetDumpRouterMap(false)
	server.SetSessionIdName(cookieName)
	server.SetSessionStorage(gsession.NewStorageRedis(client))
	server.SetLogStdout(false)
	return goFrameLibrary{t, server}
}

type requestKey struct{}

// wrap starts the server for its sessions alone: requests come as to any other handler.
func (l goFrameLibrary) wrap(next http.Handler) http.Handler {
	l.server.BindHandler("/*", func(r *ghttp.Request) {
		next.ServeHTTP(r.Response.BufferWriter, r.Request.WithContext(context.WithValue(r.Context(), requestKey{}, r)))
	})
	if err := l.server.Start(); err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = l.server.Shutdown() })
	return l.server
}

func (l goFrameLibrary) session(r *http.Request) *gsession.Session {
	return r.Context().Value(requestKey{}).(*ghttp.Request).Session
}

func (l goFrameLibrary) get(r *http.Request, name string) (string, error) {
	value, err := l.session(r).Get(name)
	return value.String(), err
}

func (l goFrameLibrary) set(_ http.ResponseWriter, r *http.Request, name, value string) error {
	return l.session(r).Set(name, value)
}

func (l goFrameLibrary) signIn(w http.ResponseWriter, r *http.Request, user string, remember bool) error {
	if remember {
		return errors.ErrUnsupported
	}
	if err := l.renew(w, r); err != nil {
		return err
	}
	return l.session(r).Set(userName, user)
}

func (l goFrameLibrary) renew(_ http.ResponseWriter, r *http.Request) error {
	_, err := l.session(r).RegenerateId(true)
	return err
}

func (l goFrameLibrary) signOut(_ http.ResponseWriter, r *http.Request) error {
	return l.session(r).RemoveAll()
}

func (l goFrameLibrary) signOutEverywhere(context.Context, string) error {
	return errors.ErrUnsupported
}
