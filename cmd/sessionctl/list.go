package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/sessionkv/session"
)

func (a *app) listCommand() *cobra.Command {
	var user string
	command := &cobra.Command{
		Use:   "list --user NAME",
		Short: "List the living sessions of a user, the latest sign-in first",
		Long: "List the living sessions of a user, the latest sign-in first. A session\n" +
			"expires unless it is used until then, and ends when its lifetime is over.\n" +
			"When it was last used is shown with --idle-timeout.",
		Args: cobra.NoArgs,
		RunE: a.run(fine, func(ctx context.Context, d *deployment, _ []string) error {
			return a.list(ctx, d, user)
		}),
	}
	command.Flags().StringVarP(&user, "user", "u", "", "`NAME` of the user, as Session.SignIn got it")
	_ = command.MarkFlagRequired("user")
	return command
}

// A listed session is what scripts get of a session of a user.
type listed struct {
	ID       string     `json:"id"`
	Class    uint8      `json:"class"`
	SignedIn time.Time  `json:"signed_in"`
	LastUsed *time.Time `json:"last_used,omitempty"`
	Expires  time.Time  `json:"expires"`
	Deadline time.Time  `json:"deadline"`
	Size     int        `json:"values_bytes"`
	Keys     []string   `json:"keys"`
}

func (a *app) list(ctx context.Context, d *deployment, user string) error {
	list, err := d.list(ctx, user, a.idle)
	if err != nil {
		return err
	}
	switch {
	case a.json:
		return a.writeJSON(map[string]any{"user": user, "sessions": list})
	case len(list) == 0:
		_, err = fmt.Fprintf(a.out, "%s has no sessions.\n", printable(user))
		return err
	case a.width < defaultWidth:
		return a.printList(list)
	}
	return a.printTable(list)
}

func (d *deployment) list(ctx context.Context, user string, idle idleTimeouts) ([]listed, error) {
	sessions, err := d.sessions.List(ctx, user)
	if err != nil {
		return nil, err
	}
	list := []listed{}
	for _, s := range sessions {
		list = append(list, newListed(s, idle))
	}
	return list, nil
}

func newListed(s *session.Session, idle idleTimeouts) listed {
	l := listed{
		ID: s.ID(), Class: uint8(s.Class()), SignedIn: s.SignedIn(), Expires: s.IdleDeadline(), Deadline: s.Deadline(),
		Size: len(s.JSON()), Keys: append([]string{}, s.Keys()...),
	}
	if used, ok := idle.lastUsed(l.Class, l.Expires, l.Deadline); ok {
		l.LastUsed = &used
	}
	return l
}

func (a *app) printTable(list []listed) error {
	t := table(a.out)
	fmt.Fprintln(t, "ID\tCLASS\tSIGNED IN\tLAST USED\tEXPIRES\tENDS\tVALUES")
	for _, l := range list {
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s\t%s\n", l.ID, l.Class, clock(l.SignedIn), ago(l.LastUsed),
			relative(time.Until(l.Expires)), relative(time.Until(l.Deadline)), bytes(int64(l.Size)))
	}
	return t.Flush()
}

// printList is for a narrow terminal, where the lines of a table would break.
func (a *app) printList(list []listed) error {
	for _, l := range list {
		used := ""
		if l.LastUsed != nil {
			used = ", used " + ago(l.LastUsed)
		}
		_, err := fmt.Fprintf(a.out, "%s\n  class %d, signed in %s%s,\n  expires %s, ends %s, %s of values\n",
			l.ID, l.Class, clock(l.SignedIn)+" ("+ago(&l.SignedIn)+")", used, relative(time.Until(l.Expires)), relative(time.Until(l.Deadline)), bytes(int64(l.Size)))
		if err != nil {
			return err
		}
	}
	return nil
}

// ago is a moment that has passed, or not known.
func ago(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return relative(min(time.Until(*t), -1))
}
