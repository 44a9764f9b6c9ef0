package recipes

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"

	"github.com/sessionkv/session"
)

const jobs = session.Key[[]string]("jobs")

// start begins a job, which runs on after the response.
func start(run func(ctx context.Context, job, user string)) handler {
	return func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		job, user := rand.Text(), s.User()
		err := jobs.Update(s, func(all []string) []string { return append(all, job) })
		if err == nil {
			err = s.Sync(r.Context()) // no job without its name in the session
		}
		if err != nil {
			http.Error(w, "not begun", http.StatusServiceUnavailable)
			return
		}
		go run(context.WithoutCancel(r.Context()), job, user) // and never s, which ends with the handler
		w.WriteHeader(http.StatusAccepted)
		_, _ = fmt.Fprintln(w, job)
	}
}
