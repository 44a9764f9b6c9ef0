package session

import "net/http"

// handBack sets on outer, the request that Handler got, what was set on inner, its copy with the session in the context.
// net/http removes the temporary files of an upload only if the form is on its own request, and loggers and metrics
// around Handler ask for the Pattern of a ServeMux within.
//
// What a handler sets on a copy of its own, as StripPrefix makes one, is out of reach. So are path values: a Request does
// not tell their names.
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
