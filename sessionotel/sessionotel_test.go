package sessionotel_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/internal/testkit"
	"github.com/sessionkv/session/memstore"
	"github.com/sessionkv/session/sessionotel"
)

// newReader returns a reader of what observe records.
func newReader(t testing.TB) (*sdkmetric.ManualReader, observe) {
	t.Helper()
	reader := sdkmetric.NewManualReader()
	observe, err := sessionotel.New(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))
	if err != nil {
		t.Fatal(err)
	}
	return reader, observe
}

// collect returns the metrics by their names.
func collect(t *testing.T, reader *sdkmetric.ManualReader) map[string]metricdata.Metrics {
	t.Helper()
	var all metricdata.ResourceMetrics
	if err := reader.Collect(t.Context(), &all); err != nil {
		t.Fatal(err)
	}
	byName := make(map[string]metricdata.Metrics)
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			byName[m.Name] = m
		}
	}
	return byName
}

// A series is one line of a metric: how often, how much, and what the attributes say.
type series struct {
	attributes attribute.Set
	count      uint64
	sum        float64
}

func seriesOf(m metricdata.Metrics) (all []series) {
	switch data := m.Data.(type) {
	case metricdata.Histogram[float64]:
		for _, p := range data.DataPoints {
			all = append(all, series{p.Attributes, p.Count, p.Sum})
		}
	case metricdata.Histogram[int64]:
		for _, p := range data.DataPoints {
			all = append(all, series{p.Attributes, p.Count, float64(p.Sum)})
		}
	case metricdata.Sum[int64]:
		for _, p := range data.DataPoints {
			all = append(all, series{p.Attributes, uint64(p.Value), float64(p.Value)})
		}
	}
	return all
}

// counts returns how much each series that is not 0 has, by its name and the words of its attributes.
func counts(t *testing.T, reader *sdkmetric.ManualReader) map[string]uint64 {
	t.Helper()
	found := make(map[string]uint64)
	for name, m := range collect(t, reader) {
		for _, s := range seriesOf(m) {
			words := []string{name}
			for _, a := range s.attributes.ToSlice() {
				words = append(words, a.Value.AsString())
			}
			if s.count > 0 {
				found[strings.Join(words, " ")] = s.count
			}
		}
	}
	return found
}

func TestMetricsOfOneUsersDay(t *testing.T) {
	reader, observe := newReader(t)
	manager := testkit.NewManager(t, session.Config{Store: new(memstore.Store), Observe: observe, SessionsPerUser: 1})
	d, other := testkit.NewDevice(t, manager), testkit.NewDevice(t, manager)
	set := func(value int) func(*http.Request, *session.Session) error {
		return func(_ *http.Request, s *session.Session) error { return s.Set("n", value) }
	}
	d.Do(set(1))
	d.SignIn("alice")
	other.SignIn("alice")                                      // ends the session of d
	d.View()                                                   // and d is told so
	other.Do(func(_ *http.Request, s *session.Session) error { // meets a conflict
		other.Twin().Do(func(_ *http.Request, s *session.Session) error { return s.Set("twin", 1) })
		return s.Set("n", 2)
	})
	other.Do(func(_ *http.Request, s *session.Session) error { s.Destroy(); return nil })
	visitor := testkit.NewDevice(t, manager)
	visitor.Do(set(1))
	visitor.Do(func(_ *http.Request, s *session.Session) error { s.Destroy(); return nil })
	want := map[string]uint64{
		"sessionkv.load.duration load none":  3,
		"sessionkv.load.duration load ok":    5,
		"sessionkv.load.duration load ended": 1,
		"sessionkv.save.duration create ok":  2,
		"sessionkv.save.duration sign_in ok": 2,
		"sessionkv.save.duration end ok":     1,
		"sessionkv.save.duration update ok":  2,
		"sessionkv.save.duration destroy ok": 2,
		"sessionkv.value.size load":          5,
		"sessionkv.value.size save":          6,
		"sessionkv.save.conflicts":           1,
		"sessionkv.sign_ins":                 2,
		"sessionkv.ended over_limit":         1,
		"sessionkv.ended sign_out":           1,
		"sessionkv.ended destroyed":          1,
	}
	if got := counts(t, reader); !maps.Equal(got, want) {
		t.Errorf("got\n%v\nwant\n%v", got, want)
	}
}

func TestMetricOfEachEvent(t *testing.T) {
	for name, c := range map[string]struct {
		event session.Event
		want  map[string]uint64
	}{
		"a refused stamp": {
			session.Event{Kind: session.EventSignIn, Outcome: session.OutcomeRevoked, User: "alice"},
			map[string]uint64{"sessionkv.save.duration sign_in revoked": 1, "sessionkv.refused revoked": 1},
		},
		"a limit": {
			session.Event{Kind: session.EventSignIn, Outcome: session.OutcomeLimit},
			map[string]uint64{"sessionkv.save.duration sign_in limit": 1, "sessionkv.refused limit": 1},
		},
		"another site, which takes no time": {
			session.Event{Kind: session.EventCreate, Outcome: session.OutcomeCrossSite},
			map[string]uint64{"sessionkv.refused cross_site": 1},
		},
		"two sessions": {
			session.Event{Kind: session.EventLoad, Outcome: session.OutcomeAmbiguous},
			map[string]uint64{"sessionkv.load.duration load ambiguous": 1, "sessionkv.refused ambiguous": 1},
		},
		"several ended": {
			session.Event{Kind: session.EventEnd, Reason: session.CredentialChanged, Count: 7},
			map[string]uint64{"sessionkv.save.duration end ok": 1, "sessionkv.ended credential_changed": 7},
		},
		"a failed save of a value, after repeats and conflicts": {
			session.Event{Kind: session.EventUpdate, Outcome: session.OutcomeError, Bytes: 100, Tries: 4, Repeats: 2},
			map[string]uint64{"sessionkv.save.duration update error": 1, "sessionkv.save.conflicts": 3, "sessionkv.store.repeats": 2},
		},
		"a destroy that met the end": {
			session.Event{Kind: session.EventDestroy, Outcome: session.OutcomeGone, User: "alice"},
			map[string]uint64{"sessionkv.save.duration destroy gone": 1},
		},
		"a peek": {
			session.Event{Kind: session.EventPeek, Bytes: 100},
			map[string]uint64{"sessionkv.load.duration peek ok": 1, "sessionkv.value.size load": 1},
		},
		"no kind": {session.Event{}, map[string]uint64{}},
	} {
		reader, observe := newReader(t)
		observe(t.Context(), c.event)
		if got := counts(t, reader); !maps.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

func TestNamesAndUnits(t *testing.T) {
	reader, observe := newReader(t)
	observe(t.Context(), session.Event{Kind: session.EventLoad, Bytes: 1, Duration: 3 * time.Millisecond})
	observe(t.Context(), session.Event{Kind: session.EventUpdate, Bytes: 1})
	var got []string
	for name, m := range collect(t, reader) {
		got = append(got, name+" "+m.Unit)
		if m.Description == "" {
			t.Errorf("%s has no description", name)
		}
	}
	slices.Sort(got)
	want := []string{
		"sessionkv.ended {session}", "sessionkv.load.duration s", "sessionkv.refused {request}",
		"sessionkv.save.conflicts {conflict}", "sessionkv.save.duration s", "sessionkv.sign_ins {sign_in}",
		"sessionkv.store.repeats {repeat}", "sessionkv.value.size By",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if loads := seriesOf(collect(t, reader)["sessionkv.load.duration"]); len(loads) != 1 || loads[0].sum != 0.003 {
		t.Errorf("loads: %v", loads)
	}
}

// A rate sees no step from nothing to one.
func TestCountersBeginWithZero(t *testing.T) {
	reader, _ := newReader(t)
	all := collect(t, reader)
	for name, want := range map[string]int{
		"sessionkv.sign_ins": 1, "sessionkv.save.conflicts": 1, "sessionkv.store.repeats": 1,
		"sessionkv.ended": 6, "sessionkv.refused": 5,
	} {
		found := seriesOf(all[name])
		if len(found) != want || slices.ContainsFunc(found, func(s series) bool { return s.count != 0 }) {
			t.Errorf("%s: %v, want %d of 0", name, found, want)
		}
	}
}

// Whatever clients and users do, the number of series stays, and none names any of them.
func TestAttributesAreBounded(t *testing.T) {
	reader, observe := newReader(t)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 20_000 {
		secret := fmt.Sprintf("secret-%d", i)
		observe(t.Context(), session.Event{
			Kind:    session.EventKind(random.Uint32()),
			Outcome: session.Outcome(random.Uint32()),
			Reason:  session.Reason(random.Uint32()),
			ID:      secret, PreviousID: secret, User: secret,
			Class: session.Class(random.Uint32()),
			Count: random.IntN(9), Bytes: random.IntN(1 << 25), Tries: random.IntN(9), Repeats: random.IntN(3),
			Duration: time.Duration(random.Int64N(int64(time.Hour))),
			Err:      errors.New(secret),
		})
	}
	number := 0
	for name, m := range collect(t, reader) {
		for _, s := range seriesOf(m) {
			number++
			for _, a := range s.attributes.ToSlice() {
				if strings.Contains(a.Value.AsString(), "secret") {
					t.Errorf("%s: %s = %s", name, a.Key, a.Value.AsString())
				}
			}
		}
	}
	if number > 120 { // 9 kinds with 10 outcomes that take time, 1 + 1 + 1 + 7 + 4 counters, 2 sizes
		t.Errorf("%d series", number)
	}
}
