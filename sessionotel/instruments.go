package sessionotel

import (
	"errors"

	"go.opentelemetry.io/otel/metric"
)

var (
	// seconds are from a round trip on one machine to the longest StoreTimeout.
	seconds = []float64{
		0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
	}

	// sizes are from that of an empty session to what no session should have.
	sizes = []float64{
		100, 250, 500, 1e3, 2.5e3, 5e3, 10e3, 25e3, 50e3, 100e3, 250e3, 500e3, 1e6, 2.5e6, 5e6, 10e6,
	}
)

type instruments struct {
	loadDuration, saveDuration                 metric.Float64Histogram
	size                                       metric.Int64Histogram
	conflicts, signIns, ends, refused, repeats metric.Int64Counter
}

func newInstruments(meter metric.Meter) (i instruments, err error) {
	duration := func(name, description string) metric.Float64Histogram {
		made, fault := meter.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(description),
			metric.WithExplicitBucketBoundaries(seconds...))
		err = errors.Join(err, fault)
		return made
	}
	counter := func(name, unit, description string) metric.Int64Counter {
		made, fault := meter.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(description))
		err = errors.Join(err, fault)
		return made
	}
	size, fault := meter.Int64Histogram("sessionkv.value.size", metric.WithUnit("By"),
		metric.WithDescription("Size of the values of sessions that were loaded or saved."),
		metric.WithExplicitBucketBoundaries(sizes...))
	return instruments{
		loadDuration: duration("sessionkv.load.duration", "Duration of loads of sessions."),
		saveDuration: duration("sessionkv.save.duration", "Duration of saves and ends of sessions."),
		size:         size,
		conflicts:    counter("sessionkv.save.conflicts", "{conflict}", "Saves that found that another request had been faster, and were tried again."),
		signIns:      counter("sessionkv.sign_ins", "{sign_in}", "Users who have signed in."),
		ends:         counter("sessionkv.ended", "{session}", "Sessions that were ended, other than by expiring."),
		refused:      counter("sessionkv.refused", "{request}", "Requests that were refused a session or a sign-in."),
		repeats:      counter("sessionkv.store.repeats", "{repeat}", "Commands that were sent again after their connection broke."),
	}, errors.Join(err, fault)
}
