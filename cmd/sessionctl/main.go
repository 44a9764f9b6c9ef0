// Command sessionctl shows and ends the sessions that a deployment of package session keeps in Redis. See README.md.
package main

import (
	"context"
	"os"
	"os/signal"

	"github.com/redis/go-redis/v9"
	"golang.org/x/term"
)

func main() {
	redis.SetLogger(silent{})
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	a := &app{
		in: os.Stdin, out: os.Stdout, err: os.Stderr,
		asks:     term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stderr.Fd())),
		progress: term.IsTerminal(int(os.Stderr.Fd())),
		width:    width(os.Stdout),
	}
	os.Exit(a.main(ctx, os.Args[1:]))
}

// silent keeps go-redis from writing to stderr. A command reports each failure as an error.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}
