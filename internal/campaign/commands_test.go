package campaign

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomodule/redigo/redis"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/redistest"
	"github.com/sessionkv/session/internal/testkit"
	"github.com/sessionkv/session/redisstore"
)

// flushes is a Client that notes the commands of each flush. It serves one call at a time.
type flushes struct {
	conn redis.Conn
	all  []string
}

func (f *flushes) Do(_ context.Context, _ string, commands ...redisstore.Command) (replies []any, lost, err error) {
	var names []string
	for _, command := range commands {
		name := command.Name
		if name == "SET" && len(command.Args) > 2 && (command.Args[2] == "NX" || command.Args[2] == "IFEQ") {
			name += " " + command.Args[2].(string)
		}
		names = append(names, "`"+name+"`")
		if err := f.conn.Send(command.Name, command.Args...); err != nil {
			return nil, nil, err
		}
	}
	f.all = append(f.all, strings.Join(names, " "))
	if err := f.conn.Flush(); err != nil {
		return nil, nil, err
	}
	for range commands {
		reply, err := f.conn.Receive()
		if refusal, ok := err.(redis.Error); ok {
			reply, err = redisstore.Refusal(refusal), nil
		}
		if err != nil {
			return nil, nil, err
		}
		replies = append(replies, reply)
	}
	return replies, nil, nil
}

func (f *flushes) Close() error { return f.conn.Close() }

// A request is one of a client, or a call about a user.
type request struct {
	kind   string // as docs/operations.md calls it
	device *testkit.Device
	step   func(s *session.Session) error
	call   func() error
}

func read(*session.Session) error        { return nil }
func set(s *session.Session) error       { return s.Set("n", rand.Text()) }
func destroy(s *session.Session) error   { s.Destroy(); return nil }
func endOthers(s *session.Session) error { return s.EndOthers(session.ByUser) }

func signIn(user string) func(s *session.Session) error {
	return func(s *session.Session) error { return s.SignIn(session.SignIn{User: user}) }
}

func do(d *testkit.Device, step func(s *session.Session) error) {
	d.Do(func(_ *http.Request, s *session.Session) error { return step(s) })
}

// allRequests are of all kinds. Redis knows the scripts by then.
func allRequests(t *testing.T, store driver.Store) []request {
	sessions := testkit.NewManager(t, session.Config{Store: store})
	single := testkit.NewManager(t, session.Config{Store: store, SessionsPerUser: 1})
	after := func(steps ...func(s *session.Session) error) *testkit.Device { // a client that has made these requests
		d := testkit.NewDevice(t, sessions)
		for _, step := range steps {
			do(d, step)
		}
		return d
	}
	ctx, renew := t.Context(), (*session.Session).Renew
	after(set, set, signIn("dave"), renew, endOthers, destroy)
	_ = sessions.EndAll(ctx, "dave", session.ByUser)
	alice, carol := after(signIn("alice")), after(signIn("carol"))
	after(signIn("carol"))
	after(signIn("bob"))
	var id string
	list := func() error {
		all, err := sessions.List(ctx, "alice")
		id = all[0].ID()
		return err
	}
	return []request{
		{kind: "reads, or sets what is there already", device: after(set), step: read},
		{kind: "changes", device: after(set), step: set},
		{kind: "begins a session", device: after(), step: set},
		{kind: "`Renew`, with or without changes", device: after(set), step: renew},
		{kind: "`Destroy`", device: after(set), step: destroy},
		{kind: "`SignIn` without a session", device: after(), step: signIn("erin")},
		{kind: "`SignIn` of a visitor", device: after(set), step: signIn("frank")},
		{kind: "`SignIn` of one more than `SessionsPerUser`", device: testkit.NewDevice(t, single), step: signIn("bob")},
		{kind: "a user's, reads", device: alice, step: read},
		{kind: "a user's, changes", device: alice, step: set},
		{kind: "a user's, `Renew`, or `SignIn` of the same user", device: alice, step: signIn("alice")},
		{kind: "a user's, `EndOthers`", device: carol, step: endOthers},
		{kind: "a user's, `Destroy`", device: carol, step: destroy},
		{kind: "`Manager.Stamp`", call: func() error { _, err := sessions.Stamp(ctx, "alice"); return err }},
		{kind: "`Manager.List`", call: list},
		{kind: "`Manager.End`", call: func() error { return sessions.End(ctx, "alice", id, session.ByUser) }},
		{kind: "`Manager.EndAll`", call: func() error { return sessions.EndAll(ctx, "frank", session.ByUser) }},
	}
}

// largeRequests are those of a session with a large value.
func largeRequests(t *testing.T, store driver.Store) []request {
	const report = session.Large[string]("report")
	set := func(s *session.Session) error { return report.Set(s, rand.Text()) }
	do(testkit.NewDevice(t, testkit.NewManager(t, session.Config{Store: store})), set) // Redis knows the script by then
	d := testkit.NewDevice(t, testkit.NewManager(t, session.Config{Store: store}))
	do(d, func(s *session.Session) error { return s.Set("n", 1) })
	return []request{
		{kind: "sets a large value", device: d, step: set},
		{kind: "the first of a process, reads", device: d, step: read},
		{kind: "with large values, any later one, reads", device: d, step: read},
		{kind: "with large values, changes", device: d, step: func(s *session.Session) error { return s.Set("n", rand.Text()) }},
		{kind: "`Large.Get`", device: d, step: func(s *session.Session) error { _, err := report.Get(t.Context(), s); return err }},
		{kind: "replaces a large value", device: d, step: set},
		{kind: "with large values, `Renew`", device: d, step: (*session.Session).Renew},
		{kind: "with large values, `Destroy`", device: d, step: destroy},
	}
}

// boundRequests are those of a session that is bound to its device.
func boundRequests(t *testing.T, store driver.Store) []request {
	d := testkit.NewSecureDevice(t, testkit.NewManager(t, session.Config{Store: store, DeviceBound: devicePath}), devicePath)
	challenge := testkit.Offered(d.Do(func(r *http.Request, s *session.Session) error {
		err := errors.Join(s.SignIn(session.SignIn{User: "grace"}), s.Sync(r.Context()))
		d.ID = s.ID()
		return err
	}))
	status := func(want int, response *http.Response) error {
		if response.StatusCode != want {
			return fmt.Errorf("status %d", response.StatusCode)
		}
		return nil
	}
	prove := func() error {
		return status(200, d.With(d.Bound...).Do(func(_ *http.Request, s *session.Session) error { return read(s) }))
	}
	return []request{
		{kind: "the registration of a key", call: func() error { return status(200, d.Register(challenge)) }},
		{kind: "a bound session's, the first with its cookie, reads", call: prove},
		{kind: "a bound session's, any later one, reads", call: prove},
		{kind: "a step of a refresh, of which there are two in ten minutes", call: func() error {
			return status(http.StatusForbidden, d.Ask(map[string]string{"Sec-Secure-Session-Id": d.ID}))
		}},
	}
}

// The tables of docs/operations.md say which commands a request sends, and in how many round trips, on a server without
// IFEQ. One that has it gets a SET IFEQ for each SET with a script.
func TestOperationsTellsTheCommandsOfRequests(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(repository, "docs/operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	f := &flushes{conn: redistest.Start(t).Dial(t)}
	store := redisstore.NewWithClient(f, redisstore.Options{})
	for _, r := range slices.Concat(allRequests(t, store), largeRequests(t, store), boundRequests(t, store)) {
		f.all = nil
		if r.call == nil {
			do(r.device, r.step)
		} else if err := r.call(); err != nil {
			t.Error(err)
		}
		commands := strings.ReplaceAll(strings.Join(f.all, "; "), "`SET IFEQ`", "`SET` `EVALSHA`")
		if want := fmt.Sprintf("| %s | %s | %d |", r.kind, commands, len(f.all)); !strings.Contains(string(text), want) {
			t.Errorf("docs/operations.md does not have this row:\n%s", want)
		}
	}
}
