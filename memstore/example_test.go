package memstore_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/memstore"
)

// A test of a handler makes time pass for its sessions.
func Example() {
	store := new(memstore.Store)
	sessions, err := session.New(session.Config{Store: store, IdleTimeout: 10 * time.Minute})
	if err != nil {
		panic(err)
	}
	const user = session.Key[string]("user")
	handler := sessions.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s, err := session.Load(r.Context())
		if err != nil {
			http.Error(w, "session unavailable", http.StatusServiceUnavailable)
			return
		}
		if name, ok := user.Get(s); ok {
			fmt.Println("signed in as", name)
			return
		}
		fmt.Println("nobody")
		if err := user.Set(s, "alice"); err != nil {
			http.Error(w, "internal error", http.StatusInternalServerError)
		}
	}))

	response := httptest.NewRecorder()
	handler.ServeHTTP(response, httptest.NewRequest("GET", "/", nil))
	for _, idle := range []time.Duration{9 * time.Minute, 11 * time.Minute} {
		store.Advance(idle)
		next := httptest.NewRequest("GET", "/", nil)
		next.AddCookie(response.Result().Cookies()[0])
		handler.ServeHTTP(httptest.NewRecorder(), next)
	}
	// Output:
	// nobody
	// signed in as alice
	// nobody
}
