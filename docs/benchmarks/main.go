// Command benchmarks compares session with what a user would write by hand and with other libraries, in one run on one
// machine, and writes a report. README.md tells how to read it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
)

func main() {
	if role := os.Getenv(roleVariable); role != "" {
		exit(actAs(role))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	exit(err)
}

func exit(err error) {
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "benchmarks:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// options are what the flags say.
type options struct {
	short    bool
	folder   string
	only     *regexp.Regexp
	programs []string
	profile  string
}

func parse(args []string) (o options, err error) {
	flags := flag.NewFlagSet("benchmarks", flag.ContinueOnError)
	flags.BoolVar(&o.short, "short", false, "take about a minute, not fifteen: fewer cells and rounds")
	flags.StringVar(&o.folder, "o", "", "write the report to this `folder`; default report, or report-part with -short or -run")
	only := flags.String("run", "", "measure only that whose name matches this `regexp`, as in '^read, 4 kB, 32 connections, unix|saves'")
	flags.Func("server", "measure on this `program` of Redis or Valkey; given again, on one more; default redis-server", func(program string) error {
		o.programs = append(o.programs, program)
		return nil
	})
	flags.StringVar(&o.profile, "cpuprofile", "", "write a CPU profile of session's server to this `file`; best with -run")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if o.programs == nil {
		o.programs = []string{"redis-server"}
	}
	if o.folder == "" {
		o.folder = "report"
		if o.short || *only != "" {
			o.folder = "report-part"
		}
	}
	o.only, err = regexp.Compile(*only)
	return o, err
}

func (o options) plan() (plan, error) {
	databases, err := newDatabases(o.programs)
	if err != nil {
		return plan{}, err
	}
	p := fullPlan(databases)
	if o.short {
		p = shortPlan(databases)
	}
	if p.only(o.only); p.empty() {
		return p, fmt.Errorf("-run %q matches nothing", o.only)
	}
	return p, nil
}

// command is what repeats the run: without the flags that name files, and without the folders of the servers.
func (o options) command() string {
	line := "go run ."
	if o.short {
		line += " -short"
	}
	if o.only.String() != "" {
		line += fmt.Sprintf(" -run %q", o.only)
	}
	for _, program := range o.programs {
		line += " -server " + filepath.Base(program)
	}
	return line
}

func run(ctx context.Context, args []string) error {
	options, err := parse(args)
	if err != nil {
		return err
	}
	p, err := options.plan()
	if err != nil {
		return err
	}
	progress := newProgress(os.Stderr, p)
	b, err := startBench(ctx, p, progress)
	if err != nil {
		return err
	}
	b.profile = options.profile
	o, err := b.run()
	progress.done()
	if err := errors.Join(err, b.stop()); err != nil {
		return err
	}
	o.command = options.command()
	if err := o.write(options.folder); err != nil {
		return err
	}
	o.summary(os.Stdout)
	fmt.Printf("\nThe report is %s/report.md.\n", options.folder)
	return nil
}
