package sessionotel_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/metric/noop"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/internal/testkit"
	"github.com/sessionkv/session/memstore"
	"github.com/sessionkv/session/sessionotel"
)

type observe = func(context.Context, session.Event)

// spanEvents returns what f adds to the span of its context.
func spanEvents(t *testing.T, f func(ctx context.Context)) []sdktrace.Event {
	t.Helper()
	recorder := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
	ctx, span := provider.Tracer("test").Start(t.Context(), "request")
	f(ctx)
	span.End()
	return recorder.Ended()[0].Events()
}

func newObserve(t testing.TB) observe {
	t.Helper()
	observe, err := sessionotel.New(noop.NewMeterProvider())
	if err != nil {
		t.Fatal(err)
	}
	return observe
}

func TestSpanHasWhatIsWorthALook(t *testing.T) {
	observe := newObserve(t)
	for _, c := range []struct {
		event session.Event
		want  string
	}{
		{session.Event{Kind: session.EventLoad, ID: "1"}, ""},
		{session.Event{Kind: session.EventLoad, Outcome: session.OutcomeNone}, ""},
		{session.Event{Kind: session.EventPeek, ID: "1"}, ""},
		{session.Event{Kind: session.EventTouch, ID: "1"}, ""},
		{session.Event{Kind: session.EventCreate, ID: "1"}, ""},
		{session.Event{Kind: session.EventUpdate, ID: "1", Tries: 1}, ""},
		{session.Event{Kind: session.EventUpdate, ID: "1", Tries: 3}, "sessionkv.update sessionkv.outcome=ok session.id=1 sessionkv.tries=3"},
		{session.Event{Kind: session.EventLoad, ID: "1", Repeats: 1}, "sessionkv.load sessionkv.outcome=ok session.id=1 sessionkv.repeats=1"},
		{session.Event{Kind: session.EventLoad, Outcome: session.OutcomeGone}, "sessionkv.load sessionkv.outcome=gone"},
		{session.Event{Kind: session.EventLoad, Outcome: session.OutcomeEnded, Reason: session.ByUser}, "sessionkv.load sessionkv.outcome=ended sessionkv.reason=by_user"},
		{session.Event{Kind: session.EventLoad, Outcome: session.OutcomeError, Err: errors.New("refused")}, "sessionkv.load sessionkv.outcome=error sessionkv.error=refused"},
		{session.Event{Kind: session.EventRenew, ID: "2", PreviousID: "1"}, "sessionkv.renew sessionkv.outcome=ok session.id=2 session.previous_id=1"},
		{session.Event{Kind: session.EventSignIn, ID: "2", User: "alice"}, "sessionkv.sign_in sessionkv.outcome=ok session.id=2"},
		{session.Event{Kind: session.EventDestroy, ID: "2", User: "alice"}, "sessionkv.destroy sessionkv.outcome=ok session.id=2"},
		{session.Event{Kind: session.EventEnd, Reason: session.OverLimit, Count: 2, User: "alice"}, "sessionkv.end sessionkv.outcome=ok sessionkv.reason=over_limit sessionkv.count=2"},
	} {
		got := text(spanEvents(t, func(ctx context.Context) { observe(ctx, c.event) }))
		if got != c.want {
			t.Errorf("%+v: got %q, want %q", c.event, got, c.want)
		}
	}
}

func text(events []sdktrace.Event) string {
	var words []string
	for _, e := range events {
		words = append(words, e.Name)
		for _, a := range e.Attributes {
			words = append(words, fmt.Sprintf("%s=%v", a.Key, a.Value.AsInterface()))
		}
	}
	return strings.Join(words, " ")
}

// The span is that of the request, although the observer gets a context of the library's own.
func TestSpanOfTheRequest(t *testing.T) {
	manager := testkit.NewManager(t, session.Config{Store: new(memstore.Store), Observe: newObserve(t)})
	handler := manager.HandlerFunc(func(_ http.ResponseWriter, _ *http.Request, s *session.Session) {
		if err := s.SignIn(session.SignIn{User: "alice"}); err != nil {
			t.Error(err)
		}
	})
	got := text(spanEvents(t, func(ctx context.Context) {
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodPost, "https://example.com/", nil))
	}))
	if !strings.HasPrefix(got, "sessionkv.sign_in sessionkv.outcome=ok session.id=") || strings.Contains(got, "alice") {
		t.Errorf("%s", got)
	}
}

func TestNoSpanNoAllocation(t *testing.T) {
	observe := newObserve(t)
	event := session.Event{Kind: session.EventSignIn, Outcome: session.OutcomeError, Err: errors.New("refused")}
	if n := testing.AllocsPerRun(100, func() { observe(t.Context(), event) }); n > 0 {
		t.Errorf("%v allocations for a span that is not recorded", n)
	}
}
