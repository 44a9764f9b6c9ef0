package testkit

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/sessionkv/session"
)

// A Device makes requests of one Manager and keeps the session's cookie, as a browser does.
type Device struct {
	Cookies []*http.Cookie
	manager *session.Manager
	t       testing.TB
}

// NewDevice returns a Device without a cookie.
func NewDevice(t testing.TB, manager *session.Manager) *Device {
	return &Device{manager: manager, t: t}
}

// Twin returns another Device with the same cookie.
func (d *Device) Twin() *Device {
	twin := *d
	return &twin
}

// Do makes one request of a handler that gets its session and may return an error, which the Manager answers for.
func (d *Device) Do(handler func(r *http.Request, s *session.Session) error) *http.Response {
	d.t.Helper()
	response := d.Raw(d.manager.HandlerFunc(func(_ http.ResponseWriter, r *http.Request, s *session.Session) {
		if err := handler(r, s); err != nil {
			d.t.Errorf("the handler: %v", err)
		}
	}))
	return response
}

// Raw makes one request of a handler.
func (d *Device) Raw(handler http.Handler) *http.Response {
	d.t.Helper()
	r := httptest.NewRequestWithContext(d.t.Context(), http.MethodGet, "https://example.com/", nil)
	for _, cookie := range d.Cookies {
		r.AddCookie(cookie)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	response := w.Result()
	for _, cookie := range response.Cookies() {
		d.Cookies = nil
		if cookie.MaxAge >= 0 {
			d.Cookies = []*http.Cookie{cookie}
		}
	}
	return response
}

// SignIn signs in, which must succeed, and returns the session's ID.
func (d *Device) SignIn(user string) (id string) {
	d.t.Helper()
	response := d.Do(func(r *http.Request, s *session.Session) error {
		err := s.SignIn(session.SignIn{User: user})
		if err == nil {
			err = s.Sync(r.Context())
		}
		id = s.ID()
		return err
	})
	if response.StatusCode != http.StatusOK {
		d.t.Errorf("sign-in: status %d", response.StatusCode)
	}
	return id
}

// A View is what a request sees of its session.
type View struct {
	Status int
	User   string
	Values string
	Ended  session.Reason
}

// View makes a request that only looks.
func (d *Device) View() (v View) {
	d.t.Helper()
	response := d.Do(func(_ *http.Request, s *session.Session) error {
		v = View{User: s.User(), Values: string(s.JSON()), Ended: s.Ended()}
		return nil
	})
	v.Status = response.StatusCode
	return v
}
