package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// An app is one run of the program: where it reads and writes, and what all commands have.
type app struct {
	in       io.Reader
	out, err io.Writer
	asks     bool // somebody is there to answer
	progress bool // and to look at a bar
	width    int  // of the output, in columns

	connection connection
	json       bool
	idleFlags  []string
	idle       idleTimeouts

	started bool // a command of the program was called, and has its flags
}

// defaultWidth is for an output that is no terminal. A table of sessions fits.
const defaultWidth = 132

// width returns how many columns there are. COLUMNS in the environment says otherwise.
func width(out *os.File) int {
	if columns, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && columns > 0 {
		return columns
	}
	if columns, _, err := term.GetSize(int(out.Fd())); err == nil && columns > 0 {
		return columns
	}
	return defaultWidth
}

// A checked Writer keeps the first error, so that the program reports a table that did not fit on a full disk.
type checked struct {
	io.Writer
	err error
}

func (c *checked) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	c.err = cmp.Or(c.err, err)
	return n, err
}

// writeJSON writes one line for scripts.
func (a *app) writeJSON(v any) error {
	encoder := json.NewEncoder(a.out)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(v)
}

// run makes a function for cobra of f. It calls check first, which looks at the flags of the command.
func (a *app) run(check func() error, f func(ctx context.Context, d *deployment, args []string) error) func(*cobra.Command, []string) error {
	return func(command *cobra.Command, args []string) (err error) {
		a.started = true
		if err := check(); err != nil {
			return err
		}
		if a.idle, err = parseIdle(a.idleFlags); err != nil {
			return err
		}
		return a.connected(command.Context(), func(ctx context.Context, d *deployment) error { return f(ctx, d, args) })
	}
}

// fine is the check of a command whose flags cannot be wrong.
func fine() error { return nil }

// connected calls f with the deployment that the flags name.
func (a *app) connected(ctx context.Context, f func(ctx context.Context, d *deployment) error) error {
	d, err := a.connection.open(a.err)
	if err != nil {
		return err
	}
	defer d.close()
	if err := d.within(ctx, d.store.Ping); err != nil {
		return fmt.Errorf("%s: %w", d.name, err)
	}
	return f(ctx, d)
}

// sleep waits, or returns the error of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}
