package recipes

import (
	"context"
	"io"
	"mime/multipart"
	"net/http"

	"github.com/sessionkv/session"
)

// uploads are the names of the files, which are kept elsewhere.
const uploads = session.Key[[]string]("uploads")

func upload(keep func(ctx context.Context, user string, file io.Reader) (name string, err error)) handler {
	return func(w http.ResponseWriter, r *http.Request, s *session.Session) {
		if s.User() == "" { // before the body is read
			http.Error(w, "not signed in", http.StatusUnauthorized)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, 1<<30)
		files, err := r.MultipartReader() // it needs no temporary files
		for err == nil {
			var file *multipart.Part
			if file, err = files.NextPart(); err == io.EOF {
				return
			}
			var name string
			if err == nil {
				name, err = keep(r.Context(), s.User(), file)
			}
			if err == nil {
				err = uploads.Update(s, func(all []string) []string { return append(all, name) })
			}
			if err == nil {
				err = s.Sync(r.Context()) // each file counts as use, and after a sign-out there is no next one
			}
		}
		http.Error(w, "not all is kept", http.StatusBadRequest)
	}
}
