package record_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/record"
	"github.com/sessionkv/session/internal/testkit"
	"github.com/sessionkv/session/internal/token"
	"github.com/sessionkv/session/internal/value"
)

func newKeeper(store driver.Store) *record.Keeper {
	return &record.Keeper{
		Store: store, Classes: map[uint8]record.Lifetimes{0: {IdleTimeout: time.Hour, Lifetime: time.Hour}}, MaxBytes: 200, Logger: slog.New(slog.DiscardHandler),
	}
}

// begin stores a session with {"n":1}.
func begin(t *testing.T, k *record.Keeper) token.Reference {
	t.Helper()
	var r record.Record
	r.Init(k)
	if err := errors.Join(r.Set("n", []byte("1")), r.Save(t.Context(), nil)); err != nil {
		t.Fatal(err)
	}
	return r.Reference()
}

// find returns the session as another request knows it.
func find(t *testing.T, k *record.Keeper, ref token.Reference) *record.Record {
	t.Helper()
	r := new(record.Record)
	r.Init(k)
	if err := r.Find(t.Context(), []token.Reference{ref}); err != nil {
		t.Fatal(err)
	}
	if !r.IsStored() {
		t.Fatal("there is no session")
	}
	return r
}

// values returns what the store has.
func values(t *testing.T, k *record.Keeper, ref token.Reference) string {
	t.Helper()
	visible := find(t, k, ref).Visible()
	return string(visible.AppendTo(nil))
}

// meddle lets another request set a key.
func meddle(t *testing.T, k *record.Keeper, ref token.Reference, key, raw string) {
	t.Helper()
	other := find(t, k, ref)
	if err := errors.Join(other.Set(key, []byte(raw)), other.Save(t.Context(), nil)); err != nil {
		t.Error(err)
	}
}

// as returns the context of a request that a ContextStore recognises by isOf.
func as(ctx context.Context, request string) context.Context {
	return context.WithValue(ctx, requestKey{}, request)
}

func isOf(ctx context.Context, request string) bool { return ctx.Value(requestKey{}) == request }

type requestKey struct{}

// increment is an Update that refuses what is no number.
func increment(raw []byte, _ bool) ([]byte, error) {
	var n int
	if _, err := fmt.Sscanf(string(raw), "%d", &n); err != nil {
		return nil, errors.New("not a number")
	}
	return fmt.Append(nil, n+1), nil
}

func TestSaveThatIsAlwaysOutrunEndsWithItsContext(t *testing.T) {
	memory := testkit.NewMemory()
	direct := newKeeper(memory)
	ref := begin(t, direct)
	ctx, cancel := context.WithCancel(as(t.Context(), "slow"))
	defer cancel()
	tries := 0
	k := newKeeper(testkit.ContextStore{Store: memory, Given: func(ctx context.Context) {
		if !isOf(ctx, "slow") {
			return
		}
		if tries++; tries == 5 {
			cancel()
		}
		meddle(t, direct, ref, "other", fmt.Sprint(tries))
	}})
	r := find(t, k, ref)
	if err := r.Update("n", increment); err != nil {
		t.Fatal(err)
	}
	err := r.Save(ctx, nil)
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "other requests kept changing it") {
		t.Errorf("got %v", err)
	}
	if got, want := values(t, direct, ref), fmt.Sprintf(`{"n":1,"other":%d}`, tries); got != want {
		t.Errorf("stored %s, want %s", got, want)
	}
	if err := r.Save(t.Context(), nil); err != nil {
		t.Errorf("the next save: %v", err)
	}
	if got, want := values(t, direct, ref), fmt.Sprintf(`{"n":2,"other":%d}`, tries); got != want {
		t.Errorf("stored %s, want %s", got, want)
	}
}

// A queueing is two requests of one session that have both loaded it: the first has met a conflict, has the turn and is
// in the store; the second has not saved yet.
type queueing struct {
	k             *record.Keeper
	ref           token.Reference
	first, second *record.Record
	tries         map[string]int // calls of the store, by request
	onConflict    func()         // when the second meets its conflict
	open          chan struct{}  // lets the first go on
	done          chan error     // what the first's save returns
}

func (q *queueing) given(ctx context.Context) {
	for _, name := range []string{"first", "second"} {
		if isOf(ctx, name) {
			q.tries[name]++
		}
	}
	switch {
	case isOf(ctx, "first") && q.tries["first"] == 2:
		<-q.open
	case isOf(ctx, "second") && q.tries["second"] == 1 && q.onConflict != nil:
		q.onConflict()
	}
}

// newQueueing starts the first's save, which sets the key n to raw, and returns when it is in the store, in its turn.
func newQueueing(t *testing.T, raw string) *queueing {
	t.Helper()
	q := &queueing{open: make(chan struct{}), done: make(chan error, 1), tries: make(map[string]int)}
	q.k = newKeeper(testkit.ContextStore{Store: testkit.NewMemory(), Given: q.given})
	q.ref = begin(t, q.k)
	q.first, q.second = find(t, q.k, q.ref), find(t, q.k, q.ref)
	if err := errors.Join(q.first.Set("n", []byte(raw)), q.second.Update("n", increment)); err != nil {
		t.Fatal(err)
	}
	meddle(t, q.k, q.ref, "other", "1")
	go func() { q.done <- q.first.Save(as(t.Context(), "first"), nil) }()
	synctest.Wait()
	return q
}

// finish lets the first's save go on, which must succeed.
func (q *queueing) finish(t *testing.T) {
	t.Helper()
	close(q.open)
	if err := <-q.done; err != nil {
		t.Errorf("the first: %v", err)
	}
}

func TestTurnThatDoesNotComeInTimeFailsTheSave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueueing(t, "5")
		ctx, cancel := context.WithCancel(as(t.Context(), "second"))
		q.onConflict = cancel
		err := q.second.Save(ctx, nil)
		if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "other requests kept changing it") {
			t.Errorf("got %v", err)
		}
		q.finish(t)
		if err := q.second.Save(t.Context(), nil); err != nil {
			t.Errorf("the next save: %v", err)
		}
		if got := values(t, q.k, q.ref); got != `{"n":6,"other":1}` {
			t.Errorf("stored %s", got)
		}
	})
}

func TestUpdateThatRefusesTheValueOfTheTurnBeforeFailsTheSave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueueing(t, `"text"`)
		second := make(chan error, 1)
		go func() { second <- q.second.Save(as(t.Context(), "second"), nil) }()
		synctest.Wait() // until the second waits for its turn
		q.finish(t)
		if err := <-second; err == nil || !strings.Contains(err.Error(), "not a number") {
			t.Errorf("the second: %v", err)
		}
		if q.tries["second"] != 1 {
			t.Errorf("the second has saved %d times", q.tries["second"])
		}
		if got := values(t, q.k, q.ref); got != `{"n":"text","other":1}` {
			t.Errorf("stored %s", got)
		}
		meddle(t, q.k, q.ref, "n", "7")
	})
}

func TestSaveThatFailsInItsTurnGivesTheTurnBack(t *testing.T) {
	lost := errors.New("reply lost")
	store := &testkit.FaultyStore{Store: testkit.NewMemory()}
	k := newKeeper(store)
	ref := begin(t, k)
	r := find(t, k, ref)
	if err := r.Update("n", increment); err != nil {
		t.Fatal(err)
	}
	meddle(t, k, ref, "other", "1")
	tries := 0
	store.AfterSave = func() error {
		if tries++; tries == 2 {
			return lost // although it took place
		}
		return nil
	}
	if err := r.Save(t.Context(), nil); !errors.Is(err, lost) {
		t.Errorf("got %v", err)
	}
	store.AfterSave = nil
	if err := errors.Join(r.Update("n", increment), r.Save(t.Context(), nil)); err != nil {
		t.Errorf("the next save: %v", err)
	}
	if got := values(t, k, ref); got != `{"n":3,"other":1}` {
		t.Errorf("stored %s", got)
	}
}

// A renewal that fails before its marker stands leaves the old session as it was.
func TestRenewThatCannotTakeTheLastValueLeavesTheSession(t *testing.T) {
	long := []byte(`"` + strings.Repeat("x", 100) + `"`)
	for name, c := range map[string]struct {
		do    func(r *record.Record) error
		other string // what another request makes of the key other meanwhile
		want  error
	}{
		"too large": {func(r *record.Record) error { return r.Set("mine", long) }, string(long), value.ErrTooLarge},
		"an update that refuses it": {
			func(r *record.Record) error {
				return r.Update("other", func(raw []byte, ok bool) ([]byte, error) {
					if ok {
						return nil, errRefused
					}
					return []byte("1"), nil
				})
			}, "2", errRefused,
		},
	} {
		t.Run(name, func(t *testing.T) {
			memory := testkit.NewMemory()
			k := newKeeper(memory)
			ref := begin(t, k)
			r := find(t, k, ref)
			r.Renew()
			if err := c.do(r); err != nil {
				t.Fatal(err)
			}
			meddle(t, k, ref, "other", c.other)
			if err := r.Save(t.Context(), nil); !errors.Is(err, c.want) {
				t.Errorf("got %v", err)
			}
			if stored := memory.Stored(); len(stored) != 1 || r.Issued() != nil {
				t.Errorf("%d sessions are stored, a token is issued: %v", len(stored), r.Issued() != nil)
			}
			if got, want := values(t, k, ref), fmt.Sprintf(`{"n":1,"other":%s}`, c.other); got != want {
				t.Errorf("stored %s, want %s", got, want)
			}
		})
	}
}

var errRefused = errors.New("refused")

func TestRenewThatIsNotMergedForTheStoreFails(t *testing.T) {
	memory := testkit.NewMemory()
	store := &testkit.FaultyStore{Store: memory}
	k, direct := newKeeper(store), newKeeper(memory)
	ref := begin(t, k)
	r := find(t, k, ref)
	r.Renew()
	meddle(t, direct, ref, "other", "1")
	down, saves := errors.New("down"), 0
	store.BeforeSave = func() error {
		if saves++; saves == 3 { // the first is that of the new session, the second that of the marker
			return down
		}
		return nil
	}
	if err := r.Save(t.Context(), nil); !errors.Is(err, down) || !strings.Contains(err.Error(), "not merged") {
		t.Errorf("got %v", err)
	}
	if stored := memory.Stored(); len(stored) != 1 || r.Issued() != nil {
		t.Errorf("%d sessions are stored, a token is issued: %v", len(stored), r.Issued() != nil)
	}
}

// A refusingStore has something under every new ID.
type refusingStore struct{ driver.Store }

func (refusingStore) Save(context.Context, string, []byte, []byte, time.Duration) ([]byte, error) {
	return []byte(`{"secret":1}`), driver.ErrConflict
}

func TestNewIDThatTheStoreRefusesIsAnError(t *testing.T) {
	var r record.Record
	r.Init(newKeeper(refusingStore{testkit.NewMemory()}))
	err := errors.Join(r.Set("n", []byte("1")), r.Save(t.Context(), nil))
	if err == nil || !strings.Contains(err.Error(), "refused the new ID") || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
	if errors.Is(err, driver.ErrConflict) || r.IsStored() || r.Issued() != nil {
		t.Errorf("%v; stored: %v", err, r.IsStored())
	}
}

func TestTouchThatFailsKeepsTheSession(t *testing.T) {
	store := &testkit.FaultyStore{Store: testkit.NewMemory()}
	k := newKeeper(store)
	r := find(t, k, begin(t, k))
	down := errors.New("down")
	store.OnLoad = func() error { return down }
	if err := r.Touch(t.Context()); !errors.Is(err, down) || !r.IsStored() {
		t.Errorf("%v; stored: %v", err, r.IsStored())
	}
	store.OnLoad = nil
	if err := r.Touch(t.Context()); err != nil {
		t.Error(err)
	}
	store.OnLoad = func() error { return driver.ErrNotFound }
	if err := r.Touch(t.Context()); err != record.ErrEnded || r.Over() != record.ErrEnded {
		t.Errorf("of a session that is gone: %v", err)
	}
}
