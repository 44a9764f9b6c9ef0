// Package sessionotel turns the events of package session into OpenTelemetry metrics and span events.
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
// The attributes have the words of [session.EventKind], [session.Outcome] and [session.Reason]. No attribute names a
// user, a session or a path, so that the number of values is bounded. The reason of an ended session can also be "sign_out", if
// the session of a user was destroyed, or "destroyed", if that of a visitor was. The reason of a refused request is
// "revoked", "limit", "cross_site", "ambiguous", or "unproven" for a session whose cookie came without its device.
// Counters are 0 from the call of New. If the provider exports from then on, a rate sees the first event. There is no
// metric of how many sessions live, because no process is told when one expires.
//
// # Span events
//
// If the span of the request is recorded, events are added to it. There is an event for everything except loads and saves
// that went well at the first try, and requests without a token. It is named after its kind, such as "sessionkv.sign_in".
// It has the attributes session.id, session.previous_id and sessionkv.outcome. It has sessionkv.reason, sessionkv.tries,
// sessionkv.repeats, sessionkv.count and sessionkv.error if they apply. It never has the user.
package sessionotel

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"

	"github.com/sessionkv/session"
)

const scope = "github.com/sessionkv/session/sessionotel"

// New returns a function for session.Config.Observe. Several Managers may use it at once. provider makes its
// instruments, or the global one of package otel does if provider is nil. An error comes from the making of an
// instrument.
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
