package session_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/testkit"
	"github.com/sessionkv/session/memstore"
)

const (
	report = session.Large[[]byte]("report")
	orders = session.Large[[]string]("orders")
)

// A partStore remembers the names of all parts that it was given.
type partStore struct {
	testkit.UserStore
	driver.Large
	mu    sync.Mutex
	names map[[2]string]bool // by ID
}

func newPartStore(store testkit.UserStore) *partStore {
	return &partStore{UserStore: store, Large: store.(driver.Large), names: make(map[[2]string]bool)}
}

func (p *partStore) SaveLarge(ctx context.Context, id string, was, value []byte, ttl time.Duration, parts ...driver.Part) ([]byte, error) {
	p.mu.Lock()
	for _, part := range parts {
		p.names[[2]string{id, part.Name}] = true
	}
	p.mu.Unlock()
	return p.Large.SaveLarge(ctx, id, was, value, ttl, parts...)
}

// wantParts checks of which large values there are parts, whatever session they belong to.
func (p *partStore) wantParts(t *testing.T, want ...string) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	var got []string
	for part := range p.names {
		switch _, err := p.Large.Part(t.Context(), part[0], part[1]); {
		case err == nil:
			name, _, _ := strings.Cut(part[1], ":")
			got = append(got, name)
		case !errors.Is(err, driver.ErrNotFound):
			t.Error(err)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("there are parts of %q, want %q", got, want)
	}
}

// onLargeStores runs a test on each store, with a Manager and a Device that has a session with a report.
func onLargeStores(t *testing.T, test func(t *testing.T, store *partStore, m *session.Manager, d *testkit.Device)) {
	testkit.OnEachStore(t, func(t *testing.T, store testkit.UserStore) {
		parts := newPartStore(store)
		manager := testkit.NewManager(t, session.Config{Store: parts})
		d := testkit.NewDevice(t, manager)
		d.Do(func(_ *http.Request, s *session.Session) error {
			return errors.Join(visits.Set(s, 1), report.Set(s, []byte("first")))
		})
		test(t, parts, manager, d)
	})
}

func wantReport(t *testing.T, r *http.Request, s *session.Session, want string) {
	t.Helper()
	if got, err := report.Get(r.Context(), s); string(got) != want || err != nil {
		t.Errorf("got report %.20q, %v; want %q", got, err, want)
	}
}

func wantNoReport(t *testing.T, r *http.Request, s *session.Session) {
	t.Helper()
	if got, err := report.Get(r.Context(), s); !errors.Is(err, session.ErrNoKey) || report.Has(s) {
		t.Errorf("got report %.20q, %v, %v; want none", got, err, report.Has(s))
	}
}

func TestLargeValuesAreBesideTheSession(t *testing.T) {
	onLargeStores(t, func(t *testing.T, store *partStore, _ *session.Manager, d *testkit.Device) {
		d.Do(func(r *http.Request, s *session.Session) error {
			wantReport(t, r, s, "first")
			if !report.Has(s) || orders.Has(s) || string(s.JSON()) != `{"visits":1}` || !slices.Equal(s.Keys(), []string{"visits"}) {
				t.Errorf("has %v, %v; %s", report.Has(s), orders.Has(s), s.JSON())
			}
			if _, err := orders.Get(r.Context(), s); !errors.Is(err, session.ErrNoKey) {
				t.Errorf("orders: %v", err)
			}
			text := []byte("second")
			if err := errors.Join(report.Set(s, text), orders.Set(s, []string{"<a>", "b"})); err != nil {
				t.Error(err)
			}
			text[0] = 'x'
			wantReport(t, r, s, "second")
			return nil
		})
		store.wantParts(t, "orders", "report")
		d.Do(func(r *http.Request, s *session.Session) error {
			if got, err := orders.Get(r.Context(), s); !slices.Equal(got, []string{"<a>", "b"}) || err != nil {
				t.Errorf("orders: %q, %v", got, err)
			}
			wantReport(t, r, s, "second")
			orders.Delete(s)
			if orders.Has(s) {
				t.Error("orders are there after Delete")
			}
			return nil
		})
		store.wantParts(t, "report")
		d.Do(func(r *http.Request, s *session.Session) error {
			s.Clear()
			wantNoReport(t, r, s)
			return nil
		})
		store.wantParts(t)
	})
}

func TestLargeValueOfMegabytesOfAnyBytes(t *testing.T) {
	onLargeStores(t, func(t *testing.T, _ *partStore, _ *session.Manager, d *testkit.Device) {
		text := bytes.Repeat([]byte{0, '"', 0xff, '\n'}, 1<<18)
		for _, want := range [][]byte{text, {}} {
			d.Do(func(_ *http.Request, s *session.Session) error { return report.Set(s, want) })
			d.Do(func(r *http.Request, s *session.Session) error {
				got, err := report.Get(r.Context(), s)
				if !bytes.Equal(got, want) {
					t.Errorf("got %d bytes, want %d", len(got), len(want))
				}
				return err
			})
		}
	})
}

func TestReaderGetsTheLargeValueOfTheSessionThatItSees(t *testing.T) {
	onLargeStores(t, func(t *testing.T, store *partStore, _ *session.Manager, d *testkit.Device) {
		d.Do(func(r *http.Request, s *session.Session) error {
			user.Set(s, "alice")
			d.Twin().Do(func(_ *http.Request, s *session.Session) error {
				return errors.Join(visits.Set(s, 2), report.Set(s, []byte("second")))
			})
			if n, _ := visits.Get(s); n != 1 {
				t.Errorf("%d visits", n)
			}
			wantReport(t, r, s, "second")
			n, _ := visits.Get(s)
			if name, _ := user.Get(s); n != 2 || name != "alice" {
				t.Errorf("%d visits of %q: not those that the report belongs to", n, name)
			}
			d.Twin().Do(func(_ *http.Request, s *session.Session) error { report.Delete(s); return nil })
			wantNoReport(t, r, s)
			return nil
		})
		store.wantParts(t)
	})
}

func TestReaderIsToldThatTheSessionOfALargeValueIsOver(t *testing.T) {
	onLargeStores(t, func(t *testing.T, _ *partStore, _ *session.Manager, d *testkit.Device) {
		d.Do(func(r *http.Request, s *session.Session) error {
			d.Twin().Do(func(_ *http.Request, s *session.Session) error { s.Destroy(); return nil })
			if _, err := report.Get(r.Context(), s); !errors.Is(err, session.ErrEnded) {
				t.Errorf("got %v", err)
			}
			return nil
		})
	})
}

func TestLargeValuesOfSimultaneousRequests(t *testing.T) {
	onLargeStores(t, func(t *testing.T, store *partStore, _ *session.Manager, d *testkit.Device) {
		d.Do(func(_ *http.Request, s *session.Session) error {
			d.Twin().Do(func(_ *http.Request, s *session.Session) error {
				return errors.Join(report.Set(s, []byte("theirs")), orders.Set(s, []string{"theirs"}))
			})
			return report.Set(s, []byte("ours"))
		})
		store.wantParts(t, "orders", "report")
		d.Do(func(r *http.Request, s *session.Session) error {
			wantReport(t, r, s, "ours")
			if got, err := orders.Get(r.Context(), s); !slices.Equal(got, []string{"theirs"}) || err != nil {
				t.Errorf("orders: %q, %v", got, err)
			}
			return nil
		})
	})
}

func TestSaveThatLosesLeavesNoLargeValue(t *testing.T) {
	onLargeStores(t, func(t *testing.T, store *partStore, m *session.Manager, d *testkit.Device) {
		d.SignIn("alice")
		r := d.Do(func(_ *http.Request, s *session.Session) error {
			if err := m.EndAll(t.Context(), "alice", session.ByUser); err != nil {
				t.Error(err)
			}
			return orders.Set(s, []string{"late"})
		})
		if r.StatusCode != http.StatusOK {
			t.Errorf("status %d", r.StatusCode)
		}
		store.wantParts(t, "report") // with the marker of the visitor's session
	})
}

func TestLargeValuesGoAlong(t *testing.T) {
	onLargeStores(t, func(t *testing.T, store *partStore, m *session.Manager, d *testkit.Device) {
		clicked := d.Twin()
		d.Do(func(_ *http.Request, s *session.Session) error {
			return errors.Join(s.SignIn(session.SignIn{User: "alice"}), orders.Set(s, []string{"one"}))
		})
		d.Do(func(r *http.Request, s *session.Session) error { wantReport(t, r, s, "first"); return nil })

		clicked.SignIn("alice") // a second click
		clicked.Do(func(r *http.Request, s *session.Session) error {
			wantReport(t, r, s, "first")
			if orders.Has(s) {
				t.Error("the second sign-in has what the first has set")
			}
			s.Destroy()
			return nil
		})
		d.Do(func(_ *http.Request, s *session.Session) error { return s.Renew() })
		d.Do(func(r *http.Request, s *session.Session) error {
			wantReport(t, r, s, "first")
			return s.SignIn(session.SignIn{User: "bob"})
		})
		d.Do(func(r *http.Request, s *session.Session) error { wantNoReport(t, r, s); return nil })
	})
}

func TestLargeValuesEndWithTheirSession(t *testing.T) {
	for name, end := range map[string]func(m *session.Manager, r *http.Request, s *session.Session) error{
		"Destroy": func(_ *session.Manager, _ *http.Request, s *session.Session) error { s.Destroy(); return nil },
		"EndAll": func(m *session.Manager, r *http.Request, _ *session.Session) error {
			return m.EndAll(r.Context(), "alice", session.ByUser)
		},
		"End": func(m *session.Manager, r *http.Request, s *session.Session) error {
			return m.End(r.Context(), "alice", s.ID(), session.ByUser)
		},
	} {
		t.Run(name, func(t *testing.T) {
			onLargeStores(t, func(t *testing.T, store *partStore, m *session.Manager, d *testkit.Device) {
				d.Do(func(_ *http.Request, s *session.Session) error { return s.Renew() })
				store.wantParts(t, "report", "report") // with the marker of the visitor's session
				d.SignIn("alice")
				d.Do(func(_ *http.Request, s *session.Session) error { return s.Renew() })
				d.Do(func(r *http.Request, s *session.Session) error { return end(m, r, s) })
				store.wantParts(t, "report", "report") // with the two markers
			})
		})
	}
}

func TestVisitorsLargeValuesEndWithDestroy(t *testing.T) {
	onLargeStores(t, func(t *testing.T, store *partStore, _ *session.Manager, d *testkit.Device) {
		d.Do(func(_ *http.Request, s *session.Session) error { s.Destroy(); return nil })
		store.wantParts(t)
	})
}

func TestLargeValuesExpireWithTheirSession(t *testing.T) {
	store := newPartStore(new(memstore.Store))
	manager := testkit.NewManager(t, session.Config{Store: store, IdleTimeout: time.Minute})
	d := testkit.NewDevice(t, manager)
	d.Do(func(_ *http.Request, s *session.Session) error { return report.Set(s, []byte("first")) })
	for range 3 {
		store.UserStore.(*memstore.Store).Advance(40 * time.Second)
		d.Do(func(r *http.Request, s *session.Session) error { wantReport(t, r, s, "first"); return nil })
	}
	store.UserStore.(*memstore.Store).Advance(time.Minute)
	store.wantParts(t)
}

func TestLargeValueThatIsGoneIsAnError(t *testing.T) {
	onLargeStores(t, func(t *testing.T, store *partStore, _ *session.Manager, d *testkit.Device) {
		d.Do(func(r *http.Request, s *session.Session) error {
			if err := store.RemoveParts(r.Context(), s.ID()); err != nil {
				t.Error(err)
			}
			_, err := report.Get(r.Context(), s)
			if err == nil || errors.Is(err, session.ErrNoKey) || !strings.Contains(err.Error(), `"report" has gone`) {
				t.Errorf("got %v", err)
			}
			return report.Set(s, []byte("second"))
		})
		d.Do(func(r *http.Request, s *session.Session) error { wantReport(t, r, s, "second"); return nil })
	})
}

func TestLargeValueErrors(t *testing.T) {
	store := new(memstore.Store)
	manager := testkit.NewManager(t, session.Config{Store: store, MaxLargeBytes: 10})
	d := testkit.NewDevice(t, manager)
	var kept *session.Session
	d.Do(func(r *http.Request, s *session.Session) error {
		kept = s
		if err := report.Set(s, make([]byte, 11)); !errors.Is(err, session.ErrTooLarge) {
			t.Errorf("11 bytes: %v", err)
		}
		if err := errors.Join(report.Set(s, make([]byte, 6)), report.Set(s, []byte("secret"))); err != nil {
			t.Error(err)
		}
		if err := orders.Set(s, []string{"x"}); !errors.Is(err, session.ErrTooLarge) {
			t.Errorf("11 bytes in two values: %v", err)
		}
		if _, err := session.Large[int]("report").Get(r.Context(), s); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("another type: %v", err)
		}
		if err := session.Large[int]("_x").Set(s, 1); err == nil {
			t.Error("a reserved name")
		}
		ctx, cancel := context.WithCancel(r.Context())
		cancel()
		if _, err := report.Get(ctx, s); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		return nil
	})
	if _, err := report.Get(t.Context(), kept); err == nil {
		t.Error("a value after the handler has returned")
	}
	if err := report.Set(kept, nil); err == nil {
		t.Error("set after the handler has returned")
	}
	none := testkit.NewDevice(t, testkit.NewManager(t, session.Config{Store: struct{ driver.Store }{store}}))
	none.Do(func(_ *http.Request, s *session.Session) error {
		if err := report.Set(s, nil); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("a store without large values: %v", err)
		}
		return nil
	})
}

// A save of unknown outcome is made again with what belongs to it, also if the handler has set another value meanwhile.
func TestLargeValueOfASaveOfUnknownOutcome(t *testing.T) {
	for _, took := range []bool{false, true} {
		store, fails := newPartStore(new(memstore.Store)), false
		lose := func(at bool) func(context.Context, string) error { // the next SaveLarge, before or after it has taken place
			return func(_ context.Context, method string) error {
				if !fails || at != took || method != "SaveLarge" {
					return nil
				}
				fails = false
				return errLost
			}
		}
		faulty := testkit.HookedStore{Store: store, Before: lose(false), After: lose(true)}
		d := testkit.NewDevice(t, testkit.NewManager(t, session.Config{Store: faulty}))
		d.Do(func(_ *http.Request, s *session.Session) error { return report.Set(s, []byte("first")) })
		d.Do(func(r *http.Request, s *session.Session) error {
			fails = true
			_ = report.Set(s, []byte("second"))
			if err := s.Sync(r.Context()); !errors.Is(err, errLost) {
				t.Errorf("Sync: %v", err)
			}
			_ = report.Set(s, []byte("third"))
			wantReport(t, r, s, "third")
			return s.Sync(r.Context())
		})
		d.Do(func(r *http.Request, s *session.Session) error { wantReport(t, r, s, "third"); return nil })
		store.wantParts(t, "report")
	}
}

var errLost = errors.New("reply lost")

// What a save that was outrun has put beside the session may have expired by the time of the next one.
func TestLargeValueOfASaveThatWasOutrun(t *testing.T) {
	store := newPartStore(new(memstore.Store))
	others := testkit.NewManager(t, session.Config{Store: store})
	first := testkit.NewDevice(t, others)
	first.Do(func(_ *http.Request, s *session.Session) error { return visits.Set(s, 1) })
	outruns := true
	outrun := func(_ context.Context, method string) error {
		if outruns && method == "SaveLarge" {
			first.Twin().Do(func(_ *http.Request, s *session.Session) error {
				return visits.Update(s, func(n int) int { return n + 1 })
			})
		}
		return nil
	}
	manager := testkit.NewManager(t, session.Config{
		Store: testkit.HookedStore{Store: store, Before: outrun}, StoreTimeout: 20 * time.Millisecond,
	})
	d := testkit.NewDevice(t, manager)
	d.Cookies = first.Cookies
	d.Do(func(r *http.Request, s *session.Session) error {
		if err := errors.Join(report.Set(s, []byte("first")), s.Sync(r.Context())); err == nil {
			t.Error("saved among others without an end")
		}
		outruns = false
		return store.RemoveParts(r.Context(), s.ID())
	})
	d.Do(func(r *http.Request, s *session.Session) error { wantReport(t, r, s, "first"); return nil })
}
