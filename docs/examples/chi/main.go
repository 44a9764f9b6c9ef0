// Command chi mounts the sessions on a group of routes of a chi router: a cart that each visitor fills, next to a route
// that has nothing to do with sessions.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/redisstore"
)

// inCart is how many of each fruit are in the visitor's cart.
const inCart = session.Key[map[string]int]("cart")

var fruits = []string{"apple", "pear", "plum"}

func routes(sessions *session.Manager) http.Handler {
	r := chi.NewRouter()
	r.Use(http.NewCrossOriginProtection().Handler) // no other site can make a visitor's browser POST
	r.Get("/healthz", healthy)
	r.Group(func(r chi.Router) {
		r.Use(sessions.Handler) // for the routes of this group alone
		r.Get("/cart", showCart)
		r.Post("/cart/{fruit}", addToCart)
	})
	return r
}

func healthy(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, "ok\n")
}

func showCart(w http.ResponseWriter, r *http.Request) {
	s, err := session.Load(r.Context())
	if err != nil {
		unavailable(w, r, err)
		return
	}
	cart, _ := inCart.Get(s)
	for _, fruit := range fruits {
		fmt.Fprintf(w, "%d %s\n", cart[fruit], fruit)
	}
}

func addToCart(w http.ResponseWriter, r *http.Request) {
	fruit := chi.URLParam(r, "fruit")
	if !slices.Contains(fruits, fruit) { // or the session would hold whatever visitors invent
		http.NotFound(w, r)
		return
	}
	s, err := session.Load(r.Context())
	if err != nil {
		unavailable(w, r, err)
		return
	}
	// Get and Set would lose a fruit when two requests add one at the same time. Update runs its function again.
	err = inCart.Update(s, func(cart map[string]int) map[string]int {
		if cart == nil {
			cart = make(map[string]int)
		}
		cart[fruit]++
		return cart
	})
	if err != nil {
		unavailable(w, r, err)
		return
	}
	http.Redirect(w, r, "/cart", http.StatusSeeOther)
}

// unavailable answers where it is not known what the session holds. Only the log says why: it may name hosts.
func unavailable(w http.ResponseWriter, r *http.Request, err error) {
	slog.ErrorContext(r.Context(), "session unavailable", "path", r.URL.Path, "error", err)
	http.Error(w, "session unavailable", http.StatusServiceUnavailable)
}

func main() {
	insecureHTTP := flag.Bool("insecure-http", false, "send the cookie over plain HTTP too: for development without TLS")
	flag.Parse()
	log.Fatal(run(*insecureHTTP))
}

func run(insecureHTTP bool) error {
	store, err := redisstore.Open(cmp.Or(os.Getenv("REDIS_URL"), "127.0.0.1:6379"), redisstore.Options{})
	if err != nil {
		return err
	}
	defer store.Close()
	if err := store.Ping(context.Background()); err != nil {
		return err
	}
	sessions, err := session.New(session.Config{
		Store:  store,
		Cookie: session.Cookie{InsecureHTTP: insecureHTTP}, // leave this out where TLS is in front
	})
	if err != nil {
		return err
	}
	server := &http.Server{Addr: "127.0.0.1:8080", Handler: routes(sessions), ReadHeaderTimeout: 5 * time.Second}
	log.Printf("listening on %s", server.Addr)
	return server.ListenAndServe()
}
