package session_test

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/internal/testkit"
)

// parseUpload reads a form whose file is larger than the memory that it grants, so that net/http makes a temporary file.
func parseUpload(t *testing.T, r *http.Request) {
	t.Helper()
	if err := r.ParseMultipartForm(1); err != nil {
		t.Errorf("ParseMultipartForm: %v", err)
		return
	}
	if len(temporaryFiles(t)) != 1 {
		t.Errorf("the upload made the temporary files %q, one was expected", temporaryFiles(t))
	}
}

func temporaryFiles(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(os.Getenv("TMPDIR"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// upload posts a file of 64 kB, and returns when the server is done with the request.
func upload(t *testing.T, protocol string, handler http.Handler) {
	t.Helper()
	server := testkit.Serve(t, handler)
	client := testkit.NewBrowser(t, server).Client
	if protocol == "HTTP/1.1" {
		client.Transport = http1(client.Transport)
	}
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	_ = form.WriteField("name", "alice")
	file, _ := form.CreateFormFile("file", "a.txt")
	_, _ = file.Write(make([]byte, 64<<10))
	_ = form.Close()
	response, err := client.Post(server.URL, form.FormDataContentType(), &body)
	if err == nil {
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
	}
	server.Close() // waits for the handler, and for what net/http does after it
}

func recovering(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { _ = recover() }()
		next.ServeHTTP(w, r)
	})
}

func TestUploadsLeaveNoTemporaryFiles(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	manager := testkit.NewManager(t, session.Config{Store: b.Store})
	handlers := map[string]http.HandlerFunc{
		"without a session": func(_ http.ResponseWriter, r *http.Request) { parseUpload(t, r) },
		"with a session": func(w http.ResponseWriter, r *http.Request) {
			_ = testkit.Load(t, r).Set("n", 1)
			parseUpload(t, r)
			_, _ = io.WriteString(w, "ok")
		},
		"by FormFile": func(_ http.ResponseWriter, r *http.Request) {
			parseUpload(t, r)
			file, _, err := r.FormFile("file")
			if err != nil {
				t.Errorf("FormFile: %v", err)
				return
			}
			_ = file.Close()
		},
		"before a panic": func(_ http.ResponseWriter, r *http.Request) {
			parseUpload(t, r)
			panic(http.ErrAbortHandler)
		},
	}
	for name, handler := range handlers {
		for _, protocol := range []string{"HTTP/1.1", "HTTP/2.0"} {
			for place, stack := range map[string]http.Handler{
				"":                        manager.Handler(handler),
				", recovered outside":     recovering(manager.Handler(handler)),
				", recovered inside":      manager.Handler(recovering(handler)),
				", with two Managers":     testkit.NewManager(t, session.Config{Store: b.Store}).Handler(manager.Handler(handler)),
				", with a Manager twice":  manager.Handler(manager.Handler(handler)),
				", parsed in OnError too": failingManager(t, b).Handler(handler),
			} {
				t.Run(name+place+" "+protocol, func(t *testing.T) {
					t.Setenv("TMPDIR", t.TempDir())
					upload(t, protocol, stack)
					if left := temporaryFiles(t); len(left) > 0 {
						t.Errorf("left: %q", left)
					}
				})
			}
		}
	}
}

// failingManager has a store that saves nothing and an OnError that reads the form.
func failingManager(t *testing.T, b testkit.Backend) *session.Manager {
	return testkit.NewManager(t, session.Config{
		Store:   &testkit.FaultyStore{Store: b.Store, BeforeSave: func() error { return io.ErrUnexpectedEOF }},
		OnError: func(_ http.ResponseWriter, r *http.Request, _ error) { _ = r.ParseMultipartForm(1) },
	})
}

// What handlers parse is there for the code around them, as it is without a session.
func TestFormsAreSeenOutside(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	manager := testkit.NewManager(t, session.Config{Store: b.Store})
	upload(t, "HTTP/2.0", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			_ = r.ParseMultipartForm(1 << 20)
		})).ServeHTTP(w, r)
		if got := r.FormValue("name"); got != "alice" {
			t.Errorf("FormValue is %q outside", got)
		}
		if got := r.PostFormValue("name"); got != "alice" {
			t.Errorf("PostFormValue is %q outside", got)
		}
		if _, _, err := r.FormFile("file"); err != nil {
			t.Errorf("FormFile outside: %v", err)
		}
	}))
}

// A form that was parsed outside belongs to the code that parsed it.
func TestFormsParsedOutsideStay(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	manager := testkit.NewManager(t, session.Config{Store: b.Store})
	upload(t, "HTTP/2.0", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseMultipartForm(1)
		form := r.MultipartForm
		manager.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			r.MultipartForm = nil
			panic(http.ErrAbortHandler)
		})).ServeHTTP(w, r)
		if r.MultipartForm != form {
			t.Error("the form is another one")
		}
	}))
}

func TestPatternIsSeenOutside(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	manager := testkit.NewManager(t, session.Config{Store: b.Store})
	inner := http.NewServeMux()
	inner.HandleFunc("GET /a/{id}", func(http.ResponseWriter, *http.Request) {})
	inner.HandleFunc("GET /panics/{id}", func(http.ResponseWriter, *http.Request) { panic("boom") })
	outer := http.NewServeMux()
	outer.Handle("/{first}/", manager.Handler(inner))
	for path, want := range map[string]string{
		"/a/7":      "GET /a/{id}",
		"/panics/7": "GET /panics/{id}",
		"/none/7":   "",
	} {
		r := httptest.NewRequest("GET", path, nil)
		recovering(outer).ServeHTTP(httptest.NewRecorder(), r)
		if r.Pattern != want {
			t.Errorf("%s: Pattern %q, expected %q", path, r.Pattern, want)
		}
		if r.PathValue("first") == "" {
			t.Errorf("%s: the outer mux's path value is gone", path)
		}
	}
	r := httptest.NewRequest("GET", "/static/", nil)
	http.NewServeMux().ServeHTTP(httptest.NewRecorder(), r)
	r.Pattern = "/static/"
	manager.Handler(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), r)
	if r.Pattern != "/static/" {
		t.Errorf("Pattern %q after a handler that routes nothing", r.Pattern)
	}
}

// MaxBytesReader knows the server's writer alone, so it stands outside.
func TestTooLargeUploadClosesTheConnectionWhereMaxBytesReaderIsOutside(t *testing.T) {
	b, _ := testkit.MiniRedis(t)
	manager := testkit.NewManager(t, session.Config{Store: b.Store})
	handler := manager.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = testkit.Load(t, r).Set("n", 1)
		if _, err := io.ReadAll(r.Body); err == nil {
			t.Error("the whole body was read")
		}
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	}))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 1<<10)
		handler.ServeHTTP(w, r)
	}))
	defer server.Close()
	response, err := http.Post(server.URL, "text/plain", bytes.NewReader(make([]byte, 1<<16)))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusRequestEntityTooLarge || !response.Close {
		t.Errorf("%d, closes: %v", response.StatusCode, response.Close)
	}
}
