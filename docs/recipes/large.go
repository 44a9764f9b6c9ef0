package recipes

import (
	"errors"
	"net/http"

	"github.com/sessionkv/session"
)

// A report is large, and only its download needs it.
const report = session.Large[[]byte]("report")

func makeReport(build func(user string) []byte) handler {
	return func(w http.ResponseWriter, _ *http.Request, s *session.Session) {
		if err := report.Set(s, build(s.User())); err != nil {
			http.Error(w, "no report", http.StatusInternalServerError)
		}
	}
}

func download(w http.ResponseWriter, r *http.Request, s *session.Session) {
	data, err := report.Get(r.Context(), s)
	switch {
	case errors.Is(err, session.ErrNoKey):
		http.NotFound(w, r)
	case err != nil:
		http.Error(w, "no report", http.StatusServiceUnavailable)
	default:
		w.Header().Set("Content-Disposition", `attachment; filename="report.csv"`)
		_, _ = w.Write(data)
	}
}
