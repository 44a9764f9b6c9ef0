// Command devices shows its users on which devices they are signed in, and lets them end that.
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"flag"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/redisstore"
)

// operator is the user who may see and end the sessions of all. An application asks its database who that is.
const operator = "olivia"

const (
	notice = session.Key[string]("notice") // is shown once
	device = session.Key[string]("device") // the browser and system that signed in, in words
)

// devicePath is where browsers register the keys of their devices, and prove them.
const devicePath = "/.device"

// maxBody is the largest request body, in bytes.
const maxBody = 16 << 10

// maxDevices is on how many devices a user can be signed in. One more ends the sign-in that is the oldest.
const maxDevices = 10

type app struct {
	sessions *session.Manager
	accounts *passwords
	recent   time.Duration // how old a sign-in may be to end what others do
}

func (a *app) routes() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, h handler) { mux.Handle(pattern, a.sessions.HandlerFunc(h)) }
	handle("GET /sign-in", signInForm)
	handle("POST /sign-in", a.signIn)
	handle("POST /sign-out", signOut)
	handle("GET /{$}", forUsers(a.devices))
	handle("POST /end", a.forRecent(a.end))
	handle("POST /end-others", a.forRecent(endOthers))
	handle("GET /password", forUsers(passwordForm))
	handle("POST /password", forUsers(a.changePassword))
	handle("GET /operator", a.forOperator(a.sessionsOf))
	handle("POST /operator/end", a.forOperator(a.endOf))
	handle("POST /operator/end-all", a.forOperator(a.endAllOf))
	mux.Handle(devicePath, a.sessions.Handler(http.NotFoundHandler())) // which answers it where Config.DeviceBound is set
	mux.HandleFunc("GET /style.css", style)

	// Without the protection, another site could sign its visitors in here, or end their sessions.
	return http.MaxBytesHandler(http.NewCrossOriginProtection().Handler(framedNowhere(mux)), maxBody)
}

// framedNowhere keeps other sites from showing the pages under something to click on, and lets no script run.
func framedNowhere(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy",
			"default-src 'none'; style-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		next.ServeHTTP(w, r)
	})
}

func main() {
	insecureHTTP := flag.Bool("insecure-http", false, "send the cookie over plain HTTP too: for development without TLS")
	flag.Parse()
	log.Fatal(run(*insecureHTTP))
}

// config is for TLS in front, or for a development without it.
func config(store driver.Store, insecureHTTP bool) session.Config {
	c := session.Config{Store: store, SessionsPerUser: maxDevices, DeviceBound: devicePath}
	if insecureHTTP {
		c.Cookie.InsecureHTTP, c.DeviceBound = true, ""
	}
	return c
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
	sessions, err := session.New(config(store, insecureHTTP))
	if err != nil {
		return err
	}
	accounts := newPasswords(recommendedIterations)
	for _, name := range []string{"alice", "bob", operator} {
		password := rand.Text() // new with every start, so that nobody copies a known one
		if err := accounts.set(name, password); err != nil {
			return err
		}
		log.Printf("sign in as %s with the password %s", name, password)
	}
	a := &app{sessions, accounts, 15 * time.Minute}
	server := &http.Server{
		Addr:              "127.0.0.1:8080",
		Handler:           a.routes(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
	}
	log.Printf("listening on %s", server.Addr)
	return server.ListenAndServe()
}
