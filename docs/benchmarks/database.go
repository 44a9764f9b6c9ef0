package main

import (
	"fmt"
	"os/exec"
	"regexp"
)

// A database is a server that keeps the sessions: of Redis, of Valkey, or another that tells its version as they do.
type database struct {
	program string // a path, or a name to be looked for in the PATH
	name    string // as in "Valkey 9.1": distinct within a run, and part of the names of the cells
	version string // as in "Valkey 9.1.2"
}

var versionPattern = regexp.MustCompile(`^(\w+) server v=((\d+\.\d+)\S*)`)

// newDatabase asks a program for its version.
func newDatabase(program string) (database, error) {
	out, err := exec.Command(program, "--version").Output()
	if err != nil {
		return database{}, fmt.Errorf("%s --version: %w", program, err)
	}
	m := versionPattern.FindSubmatch(out)
	if m == nil {
		return database{}, fmt.Errorf("%s is no server that is known: its --version is %q", program, out)
	}
	return database{
		program: program,
		name:    fmt.Sprintf("%s %s", m[1], m[3]),
		version: fmt.Sprintf("%s %s", m[1], m[2]),
	}, nil
}

// newDatabases asks several, which have to differ by name.
func newDatabases(programs []string) ([]database, error) {
	var all []database
	known := make(map[string]bool)
	for _, program := range programs {
		d, err := newDatabase(program)
		if err != nil {
			return nil, err
		}
		if known[d.name] {
			return nil, fmt.Errorf("two of the servers are %s", d.name)
		}
		known[d.name] = true
		all = append(all, d)
	}
	return all, nil
}
