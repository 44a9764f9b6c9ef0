package recipes

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/sessionkv/session"
)

func events(news <-chan string, interval time.Duration) handler {
	return func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		w.Header().Set("Content-Type", "text/event-stream")
		stream := http.NewResponseController(w)
		ctx := s.Watch(r.Context(), interval) // ends with the session
		for err := stream.Flush(); err == nil; err = stream.Flush() {
			select {
			case text := <-news:
				_, _ = fmt.Fprintf(w, "data: %s\n\n", text)
			case <-ctx.Done():
				if errors.Is(context.Cause(ctx), session.ErrEnded) {
					_, _ = fmt.Fprint(w, "event: signed-out\ndata:\n\n")
				}
				return
			}
		}
	}
}
