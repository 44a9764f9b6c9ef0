package session

import "net/http"

// handBack sets on outer, the request that Handler got, what was set on inner, which is its copy with the session in
// the context. net/http removes the temporary files of an upload only if the form is on its own request. Loggers and
// metrics around Handler ask for the Pattern of a ServeMux within.
//
// If a handler such as StripPrefix makes a copy of its own, what is set on that copy cannot be reached. Path values
// cannot be handed back either, because a Request does not tell their names.
func handBack(outer, inner *http.Request, panicked bool) {
	if outer.Pattern != inner.Pattern {
		outer.Pattern = inner.Pattern
	}
	if outer.Form == nil {
		outer.Form = inner.Form
	}
	if outer.PostForm == nil {
		outer.PostForm = inner.PostForm
	}
	if outer.MultipartForm != nil || inner.MultipartForm == nil {
		return
	}
	outer.MultipartForm = inner.MultipartForm
	if panicked { // net/http then leaves the files of HTTP/1, and no handler is left to read them
		_ = inner.MultipartForm.RemoveAll()
	}
}
