package sessionotel_test

import (
	"testing"
	"time"

	"github.com/sessionkv/session"
)

func BenchmarkObserve(b *testing.B) {
	for name, event := range map[string]session.Event{
		"load":     {Kind: session.EventLoad, ID: "1", Bytes: 400, Duration: 200 * time.Microsecond},
		"none":     {Kind: session.EventLoad, Outcome: session.OutcomeNone},
		"update":   {Kind: session.EventUpdate, ID: "1", Bytes: 400, Tries: 1, Duration: 400 * time.Microsecond},
		"conflict": {Kind: session.EventUpdate, ID: "1", Bytes: 400, Tries: 3, Duration: 400 * time.Microsecond},
		"sign_in":  {Kind: session.EventSignIn, ID: "2", PreviousID: "1", Bytes: 400, Duration: time.Millisecond},
	} {
		b.Run(name, func(b *testing.B) {
			_, observe := newReader(b)
			b.ReportAllocs()
			for b.Loop() {
				observe(b.Context(), event)
			}
		})
	}
}
