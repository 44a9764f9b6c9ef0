// Package recipes has the code of README.md, to copy from.
package recipes

import (
	"net/http"

	"github.com/sessionkv/session"
)

// A handler is what [session.Manager.HandlerFunc] takes.
type handler = func(w http.ResponseWriter, r *http.Request, s *session.Session)
