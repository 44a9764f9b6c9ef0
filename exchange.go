package session

import (
	"context"
	"fmt"
	"io"
	"net/http"
)

// An exchange is what one request and its response need. It is the context of the request.
type exchange struct {
	context.Context
	outer   *exchange // of the Manager around this one
	session Session
	writer  responseWriter
}

// A servedRequest is an exchange and the request that the handler gets, in one allocation. With more than 512 bytes, that
// would be a slower one. The request is no part of the exchange, because package fmt would show its cookies there.
type servedRequest struct {
	exchange
	request http.Request
}

// newExchange returns the exchange, and the request that the handler gets.
func newExchange(m *Manager, outer *exchange, w http.ResponseWriter, r *http.Request) (*exchange, *http.Request) {
	served := &servedRequest{exchange: exchange{
		Context: r.Context(),
		outer:   outer,
		session: Session{config: &m.config, keeper: &m.keeper, request: r},
		writer:  responseWriter{inner: w, entry: snapshot(w.Header())},
	}}
	x := &served.exchange
	served.request = *r.WithContext(x)
	x.writer.session, x.writer.request = &x.session, &served.request
	x.writer.exposed = expose(&x.writer)
	return x, &served.request
}

func snapshot(h http.Header) http.Header {
	if len(h) == 0 {
		return nil // the usual case, without an allocation
	}
	return h.Clone()
}

// of returns the exchange of m, which is x or one around it, or nil.
func (x *exchange) of(m *Manager) *exchange {
	for ; x != nil; x = x.outer {
		if x.session.keeper == &m.keeper {
			return x
		}
	}
	return nil
}

func (x *exchange) Value(key any) any {
	if key == (contextKey{}) {
		return x
	}
	return x.Context.Value(key)
}

// Format keeps the request, with its cookies, out of what is printed of its context.
func (x *exchange) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, x.String()) }

func (x *exchange) String() string { return "session.context" }
