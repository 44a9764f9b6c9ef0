// Package sessionotel makes OpenTelemetry metrics and span events of what package session tells about sessions.
//
//	observe, err := sessionotel.New(nil)
//	...
//	sessions, err := session.New(session.Config{Store: store, Observe: observe})
//
// # Metrics
//
//	instrument                type       unit        attributes
//	sessionkv.load.duration   histogram  s           sessionkv.kind, sessionkv.outcome
//	sessionkv.save.duration   histogram  s           sessionkv.kind, sessionkv.outcome
//	sessionkv.value.size      histogram  By          sessionkv.direction: load or save
//	sessionkv.save.conflicts  counter    {conflict}
//	sessionkv.sign_ins        counter    {sign_in}
//	sessionkv.ended           counter    {session}   sessionkv.reason
//	sessionkv.refused         counter    {request}   sessionkv.reason
//	sessionkv.store.repeats   counter    {repeat}
//
// The attributes have the words of [session.EventKind], [session.Outcome] and [session.Reason], so that their number is
// bounded: none is of a user, a session or a path. The reason of an ended session can also be "sign_out", where a session
// that belongs to a user was destroyed, and "destroyed", where that of a visitor was. The reason of a refused request is
// "revoked", "limit", "cross_site", "ambiguous", or "unproven" for a session whose cookie came without its device.
// Counters are there with 0 from the call of New, so that a rate sees the first event, where the provider exports from
// then on. How many sessions are alive is no metric: no process is told when one expires.
//
// # Span events
//
// What is worth a look is added to the span of the request as an event, if that span is recorded: all but loads and saves
// that went well at the first try, and requests without a token. It is named after its kind, as "sessionkv.sign_in", and
// has the attributes session.id and session.previous_id, sessionkv.outcome, and sessionkv.reason, sessionkv.tries,
// sessionkv.repeats, sessionkv.count and sessionkv.error where there is one. It never has the user.
package sessionotel

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"

	"github.com/sessionkv/session"
)

const scope = "github.com/sessionkv/session/sessionotel"

// New returns a function for [session.Config.Observe], which may be that of several Managers at once. Its instruments are
// made by provider, or by the global one of package otel if that is nil. An error is that of an instrument.
func New(provider metric.MeterProvider) (func(context.Context, session.Event), error) {
	if provider == nil {
		provider = otel.GetMeterProvider()
	}
	m, err := newMetrics(provider.Meter(scope))
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, e session.Event) {
		m.record(ctx, e)
		addToSpan(ctx, e)
	}, nil
}
