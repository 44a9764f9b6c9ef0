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
	"strings"
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

func run(ctx context.Context, args []string) (err error) {
	flags := flag.NewFlagSet("benchmarks", flag.ContinueOnError)
	short := flags.Bool("short", false, "take about a minute, not fifteen: fewer cells and rounds")
	folder := flags.String("o", "", "write the report to this `folder`; default report, or report-part with -short or -run")
	only := flags.String("run", "", "measure only that whose name matches this `regexp`, as in '^read, 4 kB, 32 connections, unix|saves'")
	var programs []string
	flags.Func("server", "measure on this `program` of Redis or Valkey; given again, on another one too; default redis-server", func(program string) error {
		programs = append(programs, program)
		return nil
	})
	profile := flags.String("cpuprofile", "", "write a CPU profile of session's server to this `file`; best with -run")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	pattern, err := regexp.Compile(*only)
	if err != nil {
		return err
	}
	if programs == nil {
		programs = []string{"redis-server"}
	}
	databases, err := newDatabases(programs)
	if err != nil {
		return err
	}
	p := fullPlan(databases)
	if *short {
		p = shortPlan(databases)
	}
	if p.only(pattern); p.empty() {
		return fmt.Errorf("-run %q matches nothing", *only)
	}
	if *folder == "" {
		*folder = "report"
		if *short || *only != "" {
			*folder = "report-part"
		}
	}
	progress := newProgress(os.Stderr, p)
	b, err := startBench(ctx, p, progress)
	if err != nil {
		return err
	}
	b.profile = *profile
	o, err := b.run()
	progress.done()
	if err := errors.Join(err, b.stop()); err != nil {
		return err
	}
	o.command = command(flags, databases)
	if err := o.write(*folder); err != nil {
		return err
	}
	o.summary(os.Stdout)
	fmt.Printf("\nThe report is %s/report.md.\n", *folder)
	return nil
}

// command is what repeats the run: without the flags that name files, and without the folders of the servers.
func command(flags *flag.FlagSet, databases []database) string {
	line := "go run ."
	flags.Visit(func(f *flag.Flag) {
		switch f.Name {
		case "short":
			line += " -short=" + f.Value.String()
		case "run":
			line += fmt.Sprintf(" -run %q", f.Value)
		case "server":
			for _, d := range databases {
				line += " -server " + filepath.Base(d.program)
			}
		}
	})
	return strings.Replace(line, "-short=true", "-short", 1)
}
