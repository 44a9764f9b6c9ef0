package main

import (
	"cmp"
	"context"
	"fmt"
	"runtime/debug"

	"github.com/spf13/cobra"
)

const long = `sessionctl shows and ends the sessions that a deployment of
github.com/sessionkv/session keeps in Redis.

Passwords come from the environment or from a file. IDs are no credentials:
nobody can make a cookie of them. When a session was last used follows from the
application's IdleTimeout, which Redis does not know: give --idle-timeout.

Exit codes: 0 done, 1 failure, 2 wrong use, 3 no such session, 130 interrupted.`

const examples = `  sessionctl list --user alice --redis rediss://redis.example:6379 --username ops
  sessionctl end --user alice --sentinel s1:26379,s2:26379 --master mymaster
  sessionctl stats --json --cluster n1:6379,n2:6379`

// main runs one command and returns the exit code.
func (a *app) main(ctx context.Context, args []string) int {
	out := &checked{Writer: a.out}
	a.out = out
	root := a.command()
	root.SetArgs(args)
	err := cmp.Or(root.ExecuteContext(ctx), out.err)
	if err != nil && err != out.err && !a.started {
		err = usageError{err}
	}
	code := exitCode(ctx, err)
	if err == nil || code == exitInterrupted {
		return code
	}
	text := "sessionctl: " + message(err)
	if code == exitUsage {
		text += "; see sessionctl --help"
	}
	fmt.Fprintln(a.err, text)
	return code
}

func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use: "sessionctl", Short: "Show and end sessions", Long: long, Example: examples, Version: version(),
		SilenceErrors: true, SilenceUsage: true,
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	flags := root.PersistentFlags()
	flags.SortFlags, root.Flags().SortFlags = false, false
	a.connection.define(flags)
	flags.StringSliceVar(&a.idleFlags, "idle-timeout", nil, "`DURATIONS` of the application's IdleTimeout: 30m, or\n30m,1=720h with that of class 1")
	flags.BoolVar(&a.json, "json", false, "print JSON for scripts")
	root.MarkFlagsMutuallyExclusive("redis", "sentinel", "cluster")
	commands := []*cobra.Command{a.listCommand(), a.showCommand(), a.endCommand(), a.statsCommand(), a.watchCommand()}
	for _, command := range commands {
		command.Flags().SortFlags = false
	}
	root.AddCommand(commands...)
	return root
}

// version is that of the module, or of the commit that it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "unknown"
	}
	return info.Main.Version
}
