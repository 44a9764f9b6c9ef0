package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/driver"
)

func (a *app) endCommand() *cobra.Command {
	var user string
	var all, yes bool
	var rate int
	command := &cobra.Command{
		Use:   "end (ID | --user NAME | --all)",
		Short: "End a session, those of a user, or all",
		Long: "End a session, all sessions of a user, or all sessions. What requests are doing with them meanwhile is dropped, and no\n" +
			"sign-in of the user that has begun before succeeds. --all asks first.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 || len(args) == 1 == (user != "" || all) || user != "" && all {
				return errors.New("end takes one ID, --user or --all")
			}
			return nil
		},
		RunE: a.run(func(ctx context.Context, d *deployment, args []string) error {
			switch {
			case all:
				return a.endAll(ctx, d, yes, rate)
			case user != "":
				return a.endUser(ctx, d, user)
			}
			return a.endOne(ctx, d, d.id(args[0]))
		}),
	}
	flags := command.Flags()
	flags.StringVarP(&user, "user", "u", "", "end the sessions of this user")
	flags.BoolVar(&all, "all", false, "end all sessions")
	flags.BoolVar(&yes, "yes", false, "do not ask")
	flags.IntVar(&rate, "rate", defaultRate, "keys per second that --all goes through")
	return command
}

func (a *app) endOne(ctx context.Context, d *deployment, id string) error {
	to, err := d.end(ctx, id)
	if err == nil && to != "" {
		err = notFoundf("session %s was renewed: it is %s now; end that", printable(id), printable(to))
	}
	if err != nil {
		return err
	}
	if a.json {
		return a.writeJSON(map[string]any{"ended": 1, "id": id})
	}
	_, err = fmt.Fprintf(a.out, "Ended session %s.\n", printable(id))
	return err
}

// end ends a session. If it was renewed, it does nothing and returns the ID that the session has by now.
func (d *deployment) end(ctx context.Context, id string) (to string, err error) {
	for {
		text, _, err := d.peek(ctx, id)
		if errors.Is(err, driver.ErrRemoved) {
			return d.endRemoved(id, text)
		}
		if err != nil {
			return "", err
		}
		value, ok := decode(text)
		switch {
		case ok && value.Renewed != nil:
			return value.Renewed.To, nil
		case ok && value.Ended != nil:
			return "", notFoundf("session %s has ended already", printable(id))
		case driver.UserOf(id) != "":
			return "", d.endOfUser(ctx, id, value.user())
		}
		err = d.within(ctx, func(ctx context.Context) error {
			_, err := d.store.Delete(ctx, id, text)
			return err
		})
		if err == driver.ErrConflict {
			continue // a request has saved it, or renewed it
		}
		if err == driver.ErrNotFound {
			err = notFoundf("session %s has just ended", printable(id))
		}
		return "", err
	}
}

// endRemoved is end of a session that is not one of its user's any more.
func (d *deployment) endRemoved(id string, text []byte) (to string, err error) {
	if value, ok := decode(text); ok && value.Renewed != nil {
		return value.Renewed.To, nil
	}
	return "", notFoundf("session %s has ended already", printable(id))
}

// endOfUser ends a session of a user, whose name is "" if the value does not tell it.
func (d *deployment) endOfUser(ctx context.Context, id, user string) error {
	var err error
	if user == "" {
		err = d.within(ctx, func(ctx context.Context) error { return d.store.Remove(ctx, id) })
	} else {
		err = d.sessions.End(ctx, user, id, session.ByOperator)
	}
	if errors.Is(err, session.ErrEnded) || errors.Is(err, driver.ErrRemoved) {
		err = notFoundf("session %s has just ended or was renewed: list the sessions of its user", printable(id))
	}
	return err
}

func (a *app) endUser(ctx context.Context, d *deployment, user string) error {
	list, err := d.sessions.List(ctx, user)
	if err != nil {
		return err
	}
	if err := d.sessions.EndAll(ctx, user, session.ByOperator); err != nil {
		return err
	}
	if a.json {
		return a.writeJSON(map[string]any{"ended": len(list), "user": user})
	}
	_, err = fmt.Fprintf(a.out, "Ended %s of %s.\n", counted(int64(len(list)), "session"), printable(user))
	return err
}
