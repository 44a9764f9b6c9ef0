package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/sessionkv/session/driver"
)

func (a *app) showCommand() *cobra.Command {
	var values bool
	command := &cobra.Command{
		Use:   "show ID",
		Short: "Show what is stored of a session, without giving it more time to live",
		Long: "Show what is stored of a session, without giving it more time to live. The\n" +
			"keys of its values are shown, the values themselves only with --values. The ID\n" +
			"is that of logs and of Session.ID, or a key of Redis.",
		Args: cobra.ExactArgs(1),
		RunE: a.run(fine, func(ctx context.Context, d *deployment, args []string) error {
			return a.show(ctx, d, d.id(args[0]), values)
		}),
	}
	command.Flags().BoolVar(&values, "values", false, "show the values too")
	return command
}

// id returns an ID that may have been given as the key of Redis.
func (d *deployment) id(text string) string {
	text = strings.TrimPrefix(text, d.prefix)
	return strings.NewReplacer("{", "", "}", "").Replace(text)
}

// What is stored under an ID.
const (
	living     = "living"
	renewed    = "renewed"
	ended      = "ended"
	removed    = "removed"
	unreadable = "unreadable"
)

var meanings = map[string]string{
	living:  "living",
	renewed: "renewed: a sign-in or a renewal has given the session another ID",
	ended:   "ended: somebody has ended the session; this is left to tell its client why",
	removed: "removed: the session has ended, or its user's list was lost; this is left of it until it expires",
	unreadable: "unreadable: what is stored is not a JSON object; it was edited by hand, or another program uses the prefix. " +
		"Its client has no session",
}

// A shown session is what scripts get of an ID.
type shown struct {
	ID       string                     `json:"id"`
	State    string                     `json:"state"`
	User     string                     `json:"user,omitempty"`
	Class    *uint8                     `json:"class,omitempty"`
	SignedIn *time.Time                 `json:"signed_in,omitempty"`
	LastUsed *time.Time                 `json:"last_used,omitempty"`
	Expires  *time.Time                 `json:"expires,omitempty"` // none: it lives without an end
	Deadline *time.Time                 `json:"deadline,omitempty"`
	Size     int                        `json:"bytes"`
	To       string                     `json:"renewed_to,omitempty"`
	Why      string                     `json:"why,omitempty"`
	Keys     []string                   `json:"keys"`
	Values   map[string]json.RawMessage `json:"values,omitempty"`
	Large    map[string]large           `json:"large,omitempty"`
}

func (a *app) show(ctx context.Context, d *deployment, id string, values bool) error {
	text, ttl, err := d.peek(ctx, id)
	if err != nil && (!errors.Is(err, driver.ErrRemoved) || text == nil) {
		return err
	}
	s := newShown(id, text, errors.Is(err, driver.ErrRemoved))
	if endless := time.Duration(1<<63 - 1); ttl != endless {
		expires := time.Now().Add(ttl)
		s.Expires = &expires
	}
	s.setLastUsed(a.idle)
	if !values {
		s.Values = nil
	}
	if a.json {
		return a.writeJSON(s)
	}
	return a.printShown(s)
}

// setLastUsed says when a request last used the session. The deadline of a visitor's is in its token alone.
func (s *shown) setLastUsed(idle idleTimeouts) {
	if s.State != living || s.Expires == nil {
		return
	}
	class, deadline := uint8(0), time.Time{}
	if s.Class != nil {
		class, deadline = *s.Class, *s.Deadline
	}
	if used, ok := idle.lastUsed(class, *s.Expires, deadline); ok {
		s.LastUsed = &used
	}
}

// peek returns what is stored under an ID. If nothing is stored, the error is a notFoundError. If the ID is not its
// user's any more, the error is driver.ErrRemoved, and the value comes with it if there is one.
func (d *deployment) peek(ctx context.Context, id string) (value []byte, ttl time.Duration, err error) {
	err = d.within(ctx, func(ctx context.Context) error {
		value, ttl, err = d.store.Peek(ctx, id)
		return err
	})
	if err == driver.ErrNotFound || err == driver.ErrRemoved && value == nil {
		return nil, 0, notFoundf("no session %s: it has ended or expired, or there never was one", printable(id))
	}
	return value, ttl, err
}

func newShown(id string, text []byte, isRemoved bool) shown {
	s := shown{ID: id, State: living, Size: len(text), Keys: []string{}}
	value, ok := decode(text)
	switch {
	case !ok:
		s.State = unreadable
		return s
	case value.Renewed != nil:
		s.State, s.To = renewed, value.Renewed.To
	case value.Ended != nil:
		s.State, s.Why = ended, value.Ended.Why.String()
	case isRemoved:
		s.State = removed
	}
	if o := value.Owner; o != nil {
		signedIn, deadline := o.signedIn(), o.deadline()
		s.User, s.Class, s.SignedIn, s.Deadline = value.user(), &o.Class, &signedIn, &deadline
	}
	if s.State != renewed && s.State != ended {
		s.Keys, s.Values, s.Large = append(s.Keys, value.keys()...), value.values, value.Large
	}
	return s
}

func (a *app) printShown(s shown) error {
	t := table(a.out)
	line := func(name, value string) { fmt.Fprintf(t, "%s\t%s\n", name, value) }
	line("id", printable(s.ID))
	line("state", meanings[s.State])
	if s.To != "" {
		line("now", printable(s.To))
	}
	if s.Why != "" {
		line("why", s.Why)
	}
	if s.SignedIn != nil {
		line("user", printable(s.User))
		line("class", fmt.Sprint(*s.Class))
		line("signed in", around(*s.SignedIn))
	} else if s.State == living {
		line("user", "nobody")
	}
	if s.LastUsed != nil {
		line("last used", around(*s.LastUsed))
	}
	switch {
	case s.Expires == nil:
		line("expires", "never, as after PERSIST")
	case s.State == living:
		line("expires", around(*s.Expires)+" unless it is used")
	default:
		line("expires", around(*s.Expires))
	}
	if s.Deadline != nil {
		line("ends", around(*s.Deadline)+" at the latest")
	}
	line("size", bytes(int64(s.Size)))
	for i, key := range s.Keys {
		name := ""
		if i == 0 {
			name = "keys"
		}
		value := ""
		if s.Values != nil {
			value = "  " + printableJSON(s.Values[key])
		}
		line(name, printable(key)+value)
	}
	for _, name := range slices.Sorted(maps.Keys(s.Large)) {
		line("large", printable(name)+"  "+bytes(s.Large[name].Bytes))
	}
	return t.Flush()
}
