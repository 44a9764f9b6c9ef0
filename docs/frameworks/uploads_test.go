package frameworks

import (
	"bytes"
	"mime/multipart"
	"net/http"
	"os"
	"testing"
)

// An upload leaves no temporary file, if it leaves none without a session. chi, gorilla/mux, and what else adds to the
// request's context outside of the handler, leave it themselves.
func TestUploadsLeaveNoMoreFilesThanWithoutASession(t *testing.T) {
	manager, _ := newManager(t)
	parse := func(t *testing.T, r *http.Request) {
		if err := r.ParseMultipartForm(1); err != nil {
			t.Errorf("ParseMultipartForm: %v", err)
		}
		if temporaryFiles(t) == 0 {
			t.Error("the upload made no temporary file")
		}
	}
	onEachStack(t, func(t *testing.T, protocol string, build func(middleware, http.HandlerFunc) http.Handler) {
		without := upload(t, protocol, build(none, func(_ http.ResponseWriter, r *http.Request) { parse(t, r) }))
		unused := upload(t, protocol, build(manager.Handler, func(_ http.ResponseWriter, r *http.Request) { parse(t, r) }))
		used := upload(t, protocol, build(manager.Handler, func(_ http.ResponseWriter, r *http.Request) {
			visit(t, r.Context())
			parse(t, r)
		}))
		if unused > without || used > without {
			t.Errorf("%d and %d files are left, and without a session %d", unused, used, without)
		}
	})
}

// A handler that removes the files itself needs nobody else, whatever is around it.
func TestHandlersCanRemoveTheFiles(t *testing.T) {
	manager, _ := newManager(t)
	onEachStack(t, func(t *testing.T, protocol string, build func(middleware, http.HandlerFunc) http.Handler) {
		left := upload(t, protocol, build(manager.Handler, func(_ http.ResponseWriter, r *http.Request) {
			_ = r.ParseMultipartForm(1)
			if err := r.MultipartForm.RemoveAll(); err != nil {
				t.Errorf("RemoveAll: %v", err)
			}
		}))
		if left != 0 {
			t.Errorf("%d files are left", left)
		}
	})
}

// upload posts a file, and returns how many temporary files there are when the server is done.
func upload(t *testing.T, protocol string, handler http.Handler) int {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	server := serve(t, handler)
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	file, _ := form.CreateFormFile("file", "a.txt")
	_, _ = file.Write(make([]byte, 64<<10))
	_ = form.Close()
	request := newRequest(t, "POST", server.URL, &body)
	request.Header.Set("Content-Type", form.FormDataContentType())
	do(t, newClient(t, server, protocol), request)
	server.Close() // waits for the handler, and for what net/http does after it
	return temporaryFiles(t)
}

func temporaryFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir(os.Getenv("TMPDIR"))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
