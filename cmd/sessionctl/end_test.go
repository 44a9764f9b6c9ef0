package main

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/internal/testkit"
)

func TestEndOfASessionLeavesTheOthers(t *testing.T) {
	t.Parallel()
	s, _, flags := single(t)
	mine, id := s.signIn("alice", map[string]any{"a": 1})
	other, _ := s.signIn("alice", map[string]any{"a": 1})
	visitor, visitorID := s.visit(map[string]any{"a": 1})
	ctl(t, flags, "end", id).want(0, "Ended session "+id)
	if r := read[map[string]any](ctl(t, flags, "end", visitorID, "--json")); r["ended"] != 1.0 || r["id"] != visitorID {
		t.Errorf("%v", r)
	}
	s.wantEnded(mine, visitor)
	s.wantLiving(other)
	s.wantTold(mine)
	ctl(t, flags, "end", id).want(exitNotFound, "ended already")
	ctl(t, flags, "end", visitorID).want(exitNotFound, "no session")
}

// wantTold checks that the client of a session is told who has ended it.
func (s *site) wantTold(cookies []*http.Cookie) {
	s.t.Helper()
	s.change(cookies, func(own *session.Session) error {
		if why := own.Ended(); why != session.ByOperator {
			s.t.Errorf("the client is told %q", why)
		}
		return nil
	})
}

// wantEnded checks that requests with these cookies have no session.
func (s *site) wantEnded(each ...[]*http.Cookie) {
	s.t.Helper()
	for _, cookies := range each {
		if user, values := s.user(cookies); user != "" || values {
			s.t.Errorf("a session of %q goes on", user)
		}
	}
}

// wantLiving checks that requests with these cookies have a session.
func (s *site) wantLiving(each ...[]*http.Cookie) {
	s.t.Helper()
	for _, cookies := range each {
		if user, values := s.user(cookies); user == "" && !values {
			s.t.Error("a session has ended")
		}
	}
}

// A session that goes on under another ID is not said to have ended.
func TestEndOfARenewedSessionNamesTheNewID(t *testing.T) {
	t.Parallel()
	s, _, flags := single(t)
	cookies, before := s.visit(map[string]any{"a": 1})
	cookies, after := s.change(cookies, (*session.Session).Renew)
	ctl(t, flags, "end", before).want(exitNotFound, "was renewed", after)
	s.wantLiving(cookies)
	cookies, user := s.change(cookies, func(own *session.Session) error { return own.SignIn(session.SignIn{User: "alice"}) })
	ctl(t, flags, "end", after).want(exitNotFound, "was renewed", user)
	cookies, renewed := s.change(cookies, (*session.Session).Renew)
	ctl(t, flags, "end", user).want(exitNotFound, "was renewed", renewed)
	s.wantLiving(cookies)
	ctl(t, flags, "end", renewed).want(0)
	s.wantEnded(cookies)
}

// A session can be ended even if somebody has edited its value.
func TestEndOfAnUnreadableSession(t *testing.T) {
	t.Parallel()
	s, server, flags := single(t)
	_, visitor := s.visit(map[string]any{"a": 1})
	_, user := s.signIn("alice", nil)
	tag, member, _ := strings.Cut(user, ":")
	server.Do(t, "SET", "session:"+visitor, "x")
	server.Do(t, "SET", "session:{"+tag+"}:"+member, "x")
	ctl(t, flags, "end", visitor).want(0)
	ctl(t, flags, "end", user).want(0)
	if n := server.Do(t, "EXISTS", "session:"+visitor, "session:{"+tag+"}:user"); n != int64(0) {
		t.Errorf("%d of the value and the list are left", n)
	}
}

// Requests that save the session meanwhile do not keep it.
func TestEndOfASessionInUse(t *testing.T) {
	t.Parallel()
	s, _, flags := single(t)
	const n = session.Key[int]("n")
	for range 20 {
		cookies, id := s.visit(map[string]any{"n": 1})
		ctx, stop := context.WithCancel(t.Context())
		var requests sync.WaitGroup
		for range 4 {
			requests.Go(func() {
				for ctx.Err() == nil {
					s.change(cookies, func(own *session.Session) error {
						if !n.Has(own) {
							return nil
						}
						return n.Update(own, func(n int) int { return n + 1 })
					})
				}
			})
		}
		ctl(t, flags, "end", id).want(0)
		stop()
		requests.Wait()
		s.wantEnded(cookies)
	}
}

func TestEndOfAUser(t *testing.T) {
	t.Parallel()
	s, _, flags := single(t)
	one, _ := s.signIn("alice", nil)
	two, _ := s.signIn("alice", nil)
	bob, _ := s.signIn("bob", nil)
	stamp := s.stamp("alice")
	ctl(t, flags, "end", "--user", "alice").want(0, "Ended 2 sessions of alice")
	s.wantEnded(one, two)
	s.wantLiving(bob)
	s.wantRevoked("alice", stamp)
	if r := read[map[string]any](ctl(t, flags, "end", "--user", "alice", "--json")); r["ended"] != 0.0 || r["user"] != "alice" {
		t.Errorf("%v", r)
	}
}

func (s *site) stamp(user string) session.Stamp {
	s.t.Helper()
	stamp, err := s.sessions.Stamp(s.t.Context(), user)
	if err != nil {
		s.t.Fatal(err)
	}
	return stamp
}

// wantRevoked checks that a sign-in with this stamp is refused.
func (s *site) wantRevoked(user string, stamp session.Stamp) {
	s.t.Helper()
	var err error
	testkit.Request(s.t, s.sessions, nil, func(_ http.ResponseWriter, r *http.Request, own *session.Session) {
		if err = own.SignIn(session.SignIn{User: user, Stamp: stamp}); err == nil {
			err = own.Sync(r.Context())
		}
	})
	if !errors.Is(err, session.ErrRevoked) {
		s.t.Errorf("a sign-in that had begun before: %v, want ErrRevoked", err)
	}
}

// crowd is sessions of users and visitors, a sign-in that has begun, and keys of others.
func (s *site) crowd(do func(name string, args ...any)) (all [][]*http.Cookie, stamp session.Stamp) {
	for range 10 {
		visitor, _ := s.visit(map[string]any{"a": 1})
		one, _ := s.signIn("alice", nil)
		two, _ := s.signIn("bob", nil)
		all = append(all, visitor, one, two)
	}
	do("SET", "other:session:1", "x")
	do("SET", "session:unknown", "x")
	do("HSET", "session:0c6a1b6e-8d0f-8b5e-9b3c-5f6a2f0f3a11", "a", "1")
	return all, s.stamp("carol")
}

func TestEndOfAllAsksFirst(t *testing.T) {
	t.Parallel()
	s, server, flags := single(t)
	all, stamp := s.crowd(func(name string, args ...any) { server.Do(t, name, args...) })
	ctl(t, flags, "end", "--all").want(exitUsage, "--yes")
	answered(t, "yes\n", flags, "end", "--all").want2(exitFailure, "This ends 30 sessions on redis://", "nothing was ended")
	answered(t, "", flags, "end", "--all").want2(exitFailure, "nothing was ended")
	s.wantLiving(all...)
	answered(t, "30\n", flags, "end", "--all").want(0, "Ended 30 sessions: 20 of users, 10 of visitors.")
	s.wantEnded(all...)
	s.wantRevoked("carol", stamp)
	if n := server.Do(t, "EXISTS", "other:session:1", "session:unknown", "session:0c6a1b6e-8d0f-8b5e-9b3c-5f6a2f0f3a11"); n != int64(3) {
		t.Errorf("%d of the keys of others are left", n)
	}
}

// want2 is want where a question stands before the failure.
func (r result) want2(code int, texts ...string) {
	r.t.Helper()
	for _, text := range texts {
		if !strings.Contains(r.err, text) {
			r.t.Errorf("it does not say %q:\n%s", text, r.err)
		}
	}
	if r.code != code {
		r.t.Errorf("exit code %d, want %d", r.code, code)
	}
}

func TestEndOfAllWithYes(t *testing.T) {
	t.Parallel()
	s, server, flags := single(t)
	all, _ := s.crowd(func(name string, args ...any) { server.Do(t, name, args...) })
	cookies, _ := s.change(all[0], (*session.Session).Renew) // its marker leads to it
	got := read[map[string]any](ctl(t, flags, "end", "--all", "--yes", "--json"))
	if got["ended"] != 30.0 || got["of_users"] != 20.0 || got["of_visitors"] != 10.0 {
		t.Errorf("%v", got)
	}
	s.wantEnded(append(all, cookies)...)
	s.wantTold(all[1])
	ctl(t, flags, "end", "--all", "--yes").want(0, "Ended 0 sessions")
}

// A scan may have passed by the new key of a session that is renewed: its marker leads there.
func TestEndOfAllFollowsRenewals(t *testing.T) {
	t.Parallel()
	s, server, _ := single(t)
	one, first := s.visit(map[string]any{"a": 1})
	one, second := s.change(one, (*session.Session).Renew)
	two, third := s.visit(map[string]any{"a": 1})
	two, _ = s.change(two, func(own *session.Session) error { return own.SignIn(session.SignIn{User: "alice"}) })
	c := connection{url: "redis://" + server.Addr(), prefix: "session:", timeout: 3 * time.Second}
	d, err := c.open(t.Output())
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	e := ending{d: d}
	if err := e.page(t.Context(), nil, []string{"session:" + first, "session:" + third}); err != nil {
		t.Fatal(err)
	}
	if e.ofVisitors.Load() != 1 || e.ofUsers.Load() != 1 {
		t.Errorf("%d of visitors, %d of users; want one each, for %s", e.ofVisitors.Load(), e.ofUsers.Load(), second)
	}
	s.wantEnded(one, two)
}

func TestAQuestionCanBeInterrupted(t *testing.T) {
	t.Parallel()
	s, _, flags := single(t)
	cookies, _ := s.visit(map[string]any{"a": 1})
	ctx, cancel := context.WithCancel(t.Context())
	a := &app{in: blocked{ctx, cancel}, asks: true}
	if r := run(t, ctx, a, flags, "end", "--all"); r.code != exitInterrupted || r.out != "" {
		t.Errorf("exit code %d\n%s%s", r.code, r.out, r.err)
	}
	s.wantLiving(cookies)
}

// blocked is a terminal where somebody types Ctrl-C.
type blocked struct {
	ctx    context.Context
	cancel func()
}

func (b blocked) Read([]byte) (int, error) {
	b.cancel()
	<-b.ctx.Done()
	select {}
}
