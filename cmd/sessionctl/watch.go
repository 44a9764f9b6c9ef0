package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

func (a *app) watchCommand() *cobra.Command {
	var s sampling
	var user string
	var every time.Duration
	check := func() error {
		if every < 100*time.Millisecond {
			return usagef("--every is %v: it must be at least 100ms", every)
		}
		return s.check()
	}
	command := &cobra.Command{
		Use:   "watch",
		Short: "Print the numbers, or what happens to the sessions of a user, until Ctrl-C",
		Long: "Print a line with the numbers of stats now and then, or with --user a line for\n" +
			"each session of the user that begins, is used, is renewed or is over, until\n" +
			"Ctrl-C.",
		Args: cobra.NoArgs,
		RunE: a.run(check, func(ctx context.Context, d *deployment, _ []string) error {
			if user != "" {
				return a.watchUser(ctx, d, user, every)
			}
			return a.watchAll(ctx, d, s, every)
		}),
	}
	s.define(command, 20_000)
	command.Flags().StringVarP(&user, "user", "u", "", "`NAME` of the user to watch")
	command.Flags().DurationVar(&every, "every", 2*time.Second, "`DURATION` of the pause between two looks")
	return command
}

// headEvery is after how many lines the names of the columns are printed again.
const headEvery = 20

func (a *app) watchAll(ctx context.Context, d *deployment, s sampling, every time.Duration) error {
	var before int64
	var at time.Time
	for line := 0; ; line++ {
		taken, err := take(ctx, d, s.keys, s.rate, nil)
		if err != nil {
			return err
		}
		now, sessions := time.Now(), taken.sessions()
		change := "-"
		if !at.IsZero() {
			change = fmt.Sprintf("%+.1f", float64(sessions-before)/now.Sub(at).Seconds())
		}
		before, at = sessions, now
		if a.json {
			err = a.writeJSON(struct {
				Time time.Time `json:"time"`
				report
			}{now, taken.report()})
		} else {
			err = a.printLine(line, now, change, taken)
		}
		if err != nil {
			return err
		}
		if err := sleep(ctx, every); err != nil {
			return err
		}
	}
}

func (a *app) printLine(line int, now time.Time, change string, s *sample) error {
	const columns = "%-8s  %11s  %9s  %11s  %11s  %8s  %8s\n"
	if line%headEvery == 0 {
		fmt.Fprintf(a.out, columns, "TIME", "SESSIONS", "PER S", "OF USERS", "VISITORS", "IN 1 MIN", "MEDIAN")
	}
	soon := int64(0)
	for _, life := range s.lives {
		if life <= time.Minute {
			soon++
		}
	}
	sign := ""
	if !s.complete {
		sign = "~"
	}
	number := func(n int64) string { return sign + count(s.scaled(n)) }
	_, err := fmt.Fprintf(a.out, columns, now.Format(time.TimeOnly), sign+count(s.sessions()), change, number(s.ofUsers),
		number(s.ofVisitors), number(soon), bytes(quantile(s.sizes, 0.5)))
	return err
}

// An event is what has happened to a session between two looks.
type event struct {
	Time time.Time `json:"time"`
	What string    `json:"what"`
	listed
	To string `json:"renewed_to,omitempty"`
}

func (a *app) watchUser(ctx context.Context, d *deployment, user string, every time.Duration) error {
	var before []listed
	for first := true; ; first = false {
		list, err := d.list(ctx, user, a.idle)
		if err != nil {
			return err
		}
		events := changes(before, list)
		for i := range events {
			if first {
				events[i].What = "living"
			}
			if err := a.printEvent(events[i]); err != nil {
				return err
			}
		}
		if first && len(events) == 0 && !a.json {
			fmt.Fprintf(a.out, "%s has no sessions.\n", printable(user))
		}
		before = list
		if err := sleep(ctx, every); err != nil {
			return err
		}
	}
}

// changes are what has happened between two lists of a user's sessions. A session that was renewed keeps the moment of its
// sign-in.
func changes(before, now []listed) (events []event) {
	at := time.Now()
	left := map[string]listed{}
	for _, l := range before {
		left[l.ID] = l
	}
	var began []listed
	for _, l := range now {
		old, ok := left[l.ID]
		delete(left, l.ID)
		if !ok {
			began = append(began, l)
		} else if l.Expires.Sub(old.Expires) > time.Second {
			events = append(events, event{Time: at, What: "used", listed: l})
		}
	}
	for _, old := range before {
		if _, gone := left[old.ID]; !gone {
			continue
		}
		e := event{Time: at, What: "over", listed: old}
		for i, l := range began {
			if l.SignedIn.Equal(old.SignedIn) {
				e.What, e.To = "renewed", l.ID
				began = append(began[:i], began[i+1:]...)
				break
			}
		}
		events = append(events, e)
	}
	for _, l := range began {
		events = append(events, event{Time: at, What: "began", listed: l})
	}
	return events
}

func (a *app) printEvent(e event) error {
	if a.json {
		return a.writeJSON(e)
	}
	more := ""
	switch {
	case e.What == "renewed":
		more = "  now " + e.To
	case e.What != "over":
		more = "  signed in " + ago(&e.SignedIn) + ", expires " + relative(time.Until(e.Expires))
	}
	_, err := fmt.Fprintf(a.out, "%s  %-7s  %s%s\n", e.Time.Format(time.TimeOnly), e.What, e.ID, more)
	return err
}
