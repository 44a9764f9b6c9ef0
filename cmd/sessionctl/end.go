package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/sessionkv/session"
)

func (a *app) endCommand() *cobra.Command {
	var user string
	var all, yes bool
	var rate int
	check := func() error {
		if all && !yes && !a.asks {
			return usagef("end --all asks first, and nobody is there to answer: give --yes")
		}
		return checkRate(rate)
	}
	command := &cobra.Command{
		Use:   "end (ID | --user NAME | --all)",
		Short: "End a session, those of a user, or all",
		Long: "End a session, all sessions of a user, or all sessions. What requests do with\n" +
			"them meanwhile is dropped. With --user and --all, no sign-in succeeds whose\n" +
			"stamp was taken before. --all asks first.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 || len(args) == 1 == (user != "" || all) || user != "" && all {
				return errors.New("end takes one ID, --user or --all")
			}
			return nil
		},
		RunE: a.run(check, func(ctx context.Context, d *deployment, args []string) error {
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
	flags.StringVarP(&user, "user", "u", "", "end the sessions of the user of this `NAME`")
	flags.BoolVar(&all, "all", false, "end all sessions")
	flags.BoolVar(&yes, "yes", false, "do not ask")
	flags.IntVar(&rate, "rate", defaultRate, "`NUMBER` of keys per second that --all goes through")
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
