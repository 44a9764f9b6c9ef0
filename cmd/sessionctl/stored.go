package main

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sessionkv/session"
)

// A stored value is a session, or the mark in the place of one that is over. docs/operations.md describes both.
type stored struct {
	Owner   *owner           `json:"_user"`    // of a session of a user
	Renewed *marker          `json:"_renewed"` // a renewal has left this
	Ended   *lastWord        `json:"_ended"`   // and this is left for the client of a session that somebody has ended
	Large   map[string]large `json:"_large"`   // values beside the session
	values  map[string]json.RawMessage
}

type large struct {
	Bytes int64 `json:"bytes"`
}

type owner struct {
	Name     string `json:"name"`
	Raw      []byte `json:"raw"` // a name that is not UTF-8
	SignedIn int64  `json:"at"`  // in Unix milliseconds
	Class    uint8  `json:"class"`
	Deadline int64  `json:"until"` // in Unix seconds
}

type marker struct {
	To string `json:"to"` // the ID that the session has now
}

type lastWord struct {
	Why session.Reason `json:"why"`
}

// decode returns what is stored. It is false if text is no session.
func decode(text []byte) (s stored, ok bool) {
	if json.Unmarshal(text, &s) != nil || json.Unmarshal(text, &s.values) != nil || s.values == nil {
		return stored{}, false
	}
	if len(s.values) > 2 { // a mark has no other member than _rev beside it
		s.Renewed, s.Ended = nil, nil
	}
	maps.DeleteFunc(s.values, func(key string, _ json.RawMessage) bool { return strings.HasPrefix(key, "_") })
	return s, true
}

// lives reports whether it is a session.
func (s *stored) lives() bool { return s.Renewed == nil && s.Ended == nil }

// user returns whose session it is, "" for nobody's.
func (s *stored) user() string {
	switch {
	case s.Owner == nil:
		return ""
	case s.Owner.Raw != nil:
		return string(s.Owner.Raw)
	}
	return s.Owner.Name
}

func (s *stored) keys() []string { return slices.Sorted(maps.Keys(s.values)) }

func (o *owner) signedIn() time.Time { return time.UnixMilli(o.SignedIn) }

func (o *owner) deadline() time.Time { return time.Unix(o.Deadline, 0) }
