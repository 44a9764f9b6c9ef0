package frameworks

import (
	"io"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
)

// Gin's Stream asks for a CloseNotifier without a question.
func TestGinStreams(t *testing.T) {
	manager, _ := newManager(t)
	for _, protocol := range protocols {
		e := gin.New()
		e.GET("/stream", func(c *gin.Context) {
			visit(t, c.Request.Context())
			lines := 0
			c.Stream(func(w io.Writer) bool {
				_, _ = io.WriteString(w, "line\n")
				lines++
				return lines < 3
			})
		})
		e.GET("/events", func(c *gin.Context) {
			visit(t, c.Request.Context())
			c.SSEvent("tick", 1)
			c.Writer.Flush()
			c.SSEvent("tick", 2)
		})
		server := serve(t, manager.Handler(e))
		for path, want := range map[string]string{
			"/stream": "line\nline\nline\n",
			"/events": "event:tick\ndata:1\n\nevent:tick\ndata:2\n\n",
		} {
			got := get(t, newClient(t, server, protocol), server.URL+path)
			if got.StatusCode != 200 || strings.TrimSpace(got.body) != strings.TrimSpace(want) || !setsSession(got.Header) {
				t.Errorf("%s %s: %d %q %v", path, protocol, got.StatusCode, got.body, got.Header)
			}
		}
	}
}

// A client that hangs up ends a stream of Gin.
func TestGinStreamEndsWithItsClient(t *testing.T) {
	manager, _ := newManager(t)
	for _, protocol := range protocols {
		done := make(chan bool, 1)
		e := gin.New()
		e.GET("/", func(c *gin.Context) {
			visit(t, c.Request.Context())
			done <- c.Stream(func(w io.Writer) bool {
				_, err := io.WriteString(w, "line\n")
				return err == nil
			})
		})
		server := serve(t, manager.Handler(e))
		response, err := newClient(t, server, protocol).Do(newRequest(t, "GET", server.URL, nil))
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		<-done
	}
}
