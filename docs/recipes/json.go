package recipes

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"

	"github.com/sessionkv/session"
)

// onError is a Config.OnError for clients that want JSON.
func onError(w http.ResponseWriter, r *http.Request, err error) {
	status, problem := http.StatusServiceUnavailable, "try again"
	if errors.Is(err, session.ErrRevoked) || errors.Is(err, session.ErrLimit) {
		status, problem = http.StatusForbidden, "sign-in refused"
	}
	slog.ErrorContext(r.Context(), "session", "path", r.URL.Path, "error", err) // it may name hosts: for the log alone
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": problem})
}
