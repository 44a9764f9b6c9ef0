package recipes

import (
	"net/http"
	"net/http/httputil"
	"net/url"

	"github.com/sessionkv/session"
)

// behindProxy is the application.
func behindProxy(sessions *session.Manager, mux *http.ServeMux) http.Handler {
	root := http.NewServeMux()
	root.HandleFunc("GET /healthz", func(http.ResponseWriter, *http.Request) {}) // asks no Redis
	root.Handle("/", http.NewCrossOriginProtection().Handler(sessions.Handler(mux)))
	return root
}

// proxy is one of Go in front of it.
func proxy(application *url.URL) http.Handler {
	return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(application)
		r.Out.Host = r.In.Host // without it, browsers that send no Sec-Fetch-Site are refused
	}}
}
