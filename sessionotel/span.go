package sessionotel

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/sessionkv/session"
)

// addToSpan adds what may be of interest to the span of the request.
func addToSpan(ctx context.Context, e session.Event) {
	if isRoutine(e) {
		return
	}
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	span.AddEvent("sessionkv."+e.Kind.String(), trace.WithAttributes(attributes(e)...))
}

func isRoutine(e session.Event) bool {
	switch e.Kind {
	case session.EventLoad, session.EventPeek, session.EventTouch, session.EventCreate, session.EventUpdate,
		session.EventRefresh:
		return e.Outcome == session.OutcomeNone || e.Outcome == session.OutcomeOK && e.Tries <= 1 && e.Repeats == 0
	}
	return false
}

// attributes are the fields of e that are set, without the user.
func attributes(e session.Event) []attribute.KeyValue {
	attrs := make([]attribute.KeyValue, 1, 8)
	attrs[0] = attribute.String("sessionkv.outcome", e.Outcome.String())
	text := func(key, value string) {
		if value != "" {
			attrs = append(attrs, attribute.String(key, value))
		}
	}
	number := func(key string, value int) {
		if value != 0 {
			attrs = append(attrs, attribute.Int(key, value))
		}
	}
	text("session.id", e.ID)
	text("session.previous_id", e.PreviousID)
	text("sessionkv.reason", e.Reason.String())
	number("sessionkv.tries", e.Tries)
	number("sessionkv.repeats", e.Repeats)
	number("sessionkv.count", e.Count)
	if e.Err != nil {
		text("sessionkv.error", e.Err.Error())
	}
	return attrs
}
