package session

import (
	"log/slog"
	"time"
)

// An Event says what was done with a session, and what the outcome was; see Config.Observe. Fields that do not apply
// are zero.
type Event struct {
	Kind       EventKind
	Outcome    Outcome
	Reason     Reason        // why somebody has ended the session: of EventEnd, and of OutcomeEnded
	ID         string        // of the session
	PreviousID string        // the ID that the session had before EventRenew or EventSignIn
	User       string        // who is signed in, or signing in; it is personal data, and LogValue leaves it out
	Class      Class         // of the session
	Count      int           // how many sessions EventEnd has ended
	Bytes      int           // size of the value that was loaded or saved
	Tries      int           // of EventUpdate: one more than the conflicts with other requests
	Repeats    int           // how often the store has sent something again, because a connection broke
	Duration   time.Duration // how long it took, for the most part in the store
	Err        error         // of OutcomeError
}

// An EventKind says what was done.
type EventKind uint8

const (
	EventLoad     EventKind = iota + 1 // Load
	EventPeek                          // Peek
	EventTouch                         // Sync of a session that was not changed, and Load behind Peek
	EventCreate                        // the first save of a visitor's session
	EventUpdate                        // a later save
	EventRenew                         // Renew
	EventSignIn                        // SignIn
	EventDestroy                       // Destroy, and the end of sessions whose cookies came together
	EventEnd                           // End, EndAll, EndOthers, and the end of sessions over Config.SessionsPerUser
	EventRegister                      // a device registers its key; see Config.DeviceBound
	EventRefresh                       // a device proves its key
)

var kinds = [...]string{
	EventLoad: "load", EventPeek: "peek", EventTouch: "touch", EventCreate: "create", EventUpdate: "update",
	EventRenew: "renew", EventSignIn: "sign_in", EventDestroy: "destroy", EventEnd: "end",
	EventRegister: "register", EventRefresh: "refresh",
}

// String returns a word for metrics, such as "sign_in".
func (k EventKind) String() string { return word(kinds[:], uint8(k)) }

// An Outcome says what came of an [Event].
type Outcome uint8

const (
	OutcomeOK        Outcome = iota // it was found, saved or ended
	OutcomeNone                     // the request has no token
	OutcomeGone                     // there is no session, and nothing tells why: it has expired, was destroyed, or there never was one
	OutcomeEnded                    // somebody has ended it; see Reason
	OutcomeRenewed                  // ErrRenewed; or the load of a visitor's session that was renewed
	OutcomeAmbiguous                // there were tokens of several living sessions, and none was used
	OutcomeInvalid                  // what is stored is no session
	OutcomeUnproven                 // ErrUnproven; or a token without its device, which may be stolen
	OutcomeRevoked                  // ErrRevoked
	OutcomeLimit                    // ErrLimit
	OutcomeCrossSite                // ErrCrossSite
	OutcomeError                    // any other error
)

var outcomes = [...]string{
	"ok", "none", "gone", "ended", "renewed", "ambiguous", "invalid", "unproven", "revoked", "limit", "cross_site", "error",
}

// String returns a word for metrics, such as "gone".
func (o Outcome) String() string { return word(outcomes[:], uint8(o)) }

func word(words []string, i uint8) string {
	if int(i) < len(words) {
		return words[i]
	}
	return ""
}

// LogValue returns the fields that are set, without the user.
func (e Event) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("kind", e.Kind.String()), slog.String("outcome", e.Outcome.String())}
	add := func(set bool, attr slog.Attr) {
		if set {
			attrs = append(attrs, attr)
		}
	}
	add(e.Reason != 0, slog.String("reason", e.Reason.String()))
	add(e.ID != "", slog.String("id", e.ID))
	add(e.PreviousID != "", slog.String("previous_id", e.PreviousID))
	add(e.Class != 0, slog.Int("class", int(e.Class)))
	add(e.Count != 0, slog.Int("count", e.Count))
	add(e.Bytes != 0, slog.Int("bytes", e.Bytes))
	add(e.Tries != 0, slog.Int("tries", e.Tries))
	add(e.Repeats != 0, slog.Int("repeats", e.Repeats))
	add(e.Duration != 0, slog.Duration("duration", e.Duration))
	add(e.Err != nil, slog.Any("error", e.Err))
	return slog.GroupValue(attrs...)
}
