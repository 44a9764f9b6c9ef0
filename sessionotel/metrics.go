package sessionotel

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/sessionkv/session"
)

// metrics are the instruments, and the options for each of the events that they can be given.
type metrics struct {
	instruments
	timings  [][][]metric.RecordOption // by kind and outcome
	loaded   []metric.RecordOption
	saved    []metric.RecordOption
	ended    map[session.Reason][]metric.AddOption
	signOut  []metric.AddOption
	destroys []metric.AddOption
	refusals map[session.Outcome][]metric.AddOption
}

var refusals = []session.Outcome{
	session.OutcomeRevoked, session.OutcomeLimit, session.OutcomeCrossSite, session.OutcomeAmbiguous,
	session.OutcomeUnproven,
}

func newMetrics(meter metric.Meter) (*metrics, error) {
	made, err := newInstruments(meter)
	if err != nil {
		return nil, err
	}
	m := &metrics{
		instruments: made,
		timings:     timings(),
		loaded:      recordOption(attribute.String("sessionkv.direction", "load")),
		saved:       recordOption(attribute.String("sessionkv.direction", "save")),
		ended:       make(map[session.Reason][]metric.AddOption),
		signOut:     reason("sign_out"),
		destroys:    reason("destroyed"),
		refusals:    make(map[session.Outcome][]metric.AddOption),
	}
	for r := session.Reason(1); r.String() != ""; r++ {
		m.ended[r] = reason(r.String())
	}
	for _, o := range refusals {
		m.refusals[o] = reason(o.String())
	}
	m.begin(context.Background())
	return m, nil
}

func timings() [][][]metric.RecordOption {
	all := make([][][]metric.RecordOption, session.EventLoad) // of no kind, which has no outcomes
	for k := session.EventLoad; k.String() != ""; k++ {
		var ofKind [][]metric.RecordOption
		for o := session.OutcomeOK; o.String() != ""; o++ {
			ofKind = append(ofKind, recordOption(
				attribute.String("sessionkv.kind", k.String()), attribute.String("sessionkv.outcome", o.String())))
		}
		all = append(all, ofKind)
	}
	return all
}

func recordOption(attrs ...attribute.KeyValue) []metric.RecordOption {
	return []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(attrs...))}
}

func reason(word string) []metric.AddOption {
	return []metric.AddOption{metric.WithAttributeSet(attribute.NewSet(attribute.String("sessionkv.reason", word)))}
}

// begin lets all counters start with 0. If a counter began with its first event, a rate would not see that event.
func (m *metrics) begin(ctx context.Context) {
	m.conflicts.Add(ctx, 0)
	m.signIns.Add(ctx, 0)
	m.repeats.Add(ctx, 0)
	m.ends.Add(ctx, 0, m.signOut...)
	m.ends.Add(ctx, 0, m.destroys...)
	for _, option := range m.ended {
		m.ends.Add(ctx, 0, option...)
	}
	for _, option := range m.refusals {
		m.refused.Add(ctx, 0, option...)
	}
}

func (m *metrics) record(ctx context.Context, e session.Event) {
	if int(e.Kind) >= len(m.timings) || int(e.Outcome) >= len(m.timings[e.Kind]) {
		return // of no release that there is
	}
	took, direction := m.saveDuration, m.saved
	if e.Kind == session.EventLoad || e.Kind == session.EventPeek {
		took, direction = m.loadDuration, m.loaded
	}
	if e.Outcome != session.OutcomeCrossSite { // which was refused before anything was done that takes time
		took.Record(ctx, e.Duration.Seconds(), m.timings[e.Kind][e.Outcome]...)
	}
	if e.Outcome == session.OutcomeOK && e.Bytes > 0 {
		m.size.Record(ctx, int64(e.Bytes), direction...)
	}
	if e.Tries > 1 {
		m.conflicts.Add(ctx, int64(e.Tries-1))
	}
	if e.Repeats > 0 {
		m.repeats.Add(ctx, int64(e.Repeats))
	}
	if option, ok := m.refusals[e.Outcome]; ok {
		m.refused.Add(ctx, 1, option...)
	}
	m.countUsers(ctx, e)
}

// countUsers counts who comes and goes.
func (m *metrics) countUsers(ctx context.Context, e session.Event) {
	switch {
	case e.Kind == session.EventEnd:
		m.ends.Add(ctx, int64(e.Count), m.ended[e.Reason]...)
	case e.Outcome != session.OutcomeOK:
	case e.Kind == session.EventSignIn:
		m.signIns.Add(ctx, 1)
	case e.Kind == session.EventDestroy && e.User != "":
		m.ends.Add(ctx, 1, m.signOut...)
	case e.Kind == session.EventDestroy:
		m.ends.Add(ctx, 1, m.destroys...)
	}
}
