package session_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/internal/testkit"
)

func TestSecondSignInHasTheLargeValueOfASaveOfUnknownOutcome(t *testing.T) {
	testkit.OnEachStore(t, func(t *testing.T, store testkit.UserStore) {
		fails := false
		after := func(_ context.Context, method string) error {
			if !fails || method != "SaveLarge" {
				return nil
			}
			fails = false
			return errors.New("connection lost")
		}
		d := testkit.NewDevice(t, testkit.NewManager(t, session.Config{Store: testkit.HookedStore{Store: store, After: after}}))
		d.Do(func(_ *http.Request, s *session.Session) error { return visits.Set(s, 1) })
		clicked := d.Twin()
		d.Twin().Do(func(r *http.Request, s *session.Session) error {
			err := report.Set(s, []byte("first"))
			fails = true
			if err := s.Sync(r.Context()); err == nil || fails {
				t.Errorf("saved: %v", err)
			}
			d.SignIn("alice")
			if err := s.Sync(r.Context()); !errors.Is(err, session.ErrRenewed) {
				t.Errorf("the repeat: %v", err)
			}
			return err
		})
		clicked.SignIn("alice")
		clicked.Do(func(r *http.Request, s *session.Session) error { wantReport(t, r, s, "first"); return nil })
	})
}
