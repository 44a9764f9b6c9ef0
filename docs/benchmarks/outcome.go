package main

import (
	"os"
	"regexp"
	"runtime"
	"time"
)

// An outcome is all that was found.
type outcome struct {
	command string
	started time.Time
	took    time.Duration
	machine machine
	plan    plan
	cells   []*results
	budgets map[budgetKey]budget
	ifEqual map[string]bool // the databases that have SET with IFEQ
	saves   []saveResults
	large   struct{ floor, session []float64 } // seconds
}

func newOutcome(p plan) *outcome {
	return &outcome{started: time.Now(), machine: thisMachine(), plan: p, ifEqual: make(map[string]bool)}
}

type machine struct {
	goVersion, system, cpu string
	cpus                   int
}

func thisMachine() machine {
	return machine{
		goVersion: runtime.Version(),
		system:    runtime.GOOS + "/" + runtime.GOARCH,
		cpu:       cpuModel(),
		cpus:      runtime.NumCPU(),
	}
}

// cpuModel is what Linux says, or "unknown".
func cpuModel() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	if m := regexp.MustCompile(`(?m)^model name\s*:\s*(.+)$`).FindSubmatch(info); m != nil {
		return string(m[1])
	}
	return "unknown"
}
