package session

import "net/http"

// An unwrapper is a ResponseWriter around another, as [http.ResponseController] knows it.
type unwrapper interface{ Unwrap() http.ResponseWriter }

// find returns w or the first writer below it that is a T, and whether there is one.
func find[T any](w http.ResponseWriter) (found T, ok bool) {
	for {
		if found, ok = w.(T); ok {
			return found, true
		}
		outer, ok := w.(unwrapper)
		if !ok {
			return found, false
		}
		w = outer.Unwrap()
	}
}

// sendHeader makes Gin's writer send a 101, which it keeps back otherwise, even when the connection is hijacked.
// WebSocket libraries that know this ask only the writer that they are given.
func sendHeader(w http.ResponseWriter) {
	if gin, ok := find[interface{ WriteHeaderNow() }](w); ok {
		gin.WriteHeaderNow()
	}
}
