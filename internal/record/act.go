package record

import (
	"errors"
	"time"
)

// An Act is what was done with a session, for who observes it.
type Act struct {
	Kind       Kind
	Outcome    Outcome
	Reason     uint8  // of an End, and of what has Ended
	ID         string // "" if there is none
	PreviousID string // of a Renew or SignIn
	User       string // "" for nobody
	Class      uint8
	Count      int // how many sessions an End has ended
	Bytes      int // of the value that was read or stored
	Tries      int // of an Update
	Repeats    int // of what the store has sent
	Duration   time.Duration
	Err        error // of Failed
}

// A Kind says what was done. Package session has the same list.
type Kind uint8

// The Kinds.
const (
	Load Kind = iota + 1
	Peek
	Touch
	Create
	Update
	Renew
	SigningIn
	Destroy
	End
	Register
	Refresh
)

// An Outcome says what came of it. Package session has the same list.
type Outcome uint8

// The Outcomes.
const (
	OK        Outcome = iota
	None              // there was no token
	Gone              // it leads to nothing
	Ended             // somebody has ended the session
	Renewed           // ErrRenewed
	Ambiguous         // there were tokens of several sessions
	Invalid           // what is stored is no session
	Unproven          // ErrUnproven; or what does not come from the device of the session
	Revoked           // ErrRevoked
	Limit             // ErrLimit
	CrossSite         // refused by package session
	Failed            // any other error
)

func outcomeOf(err error) Outcome {
	switch {
	case errors.Is(err, ErrEnded):
		return Gone
	case errors.Is(err, ErrRenewed):
		return Renewed
	case errors.Is(err, ErrUnproven):
		return Unproven
	case errors.Is(err, ErrRevoked):
		return Revoked
	case errors.Is(err, ErrLimit):
		return Limit
	}
	return Failed
}
