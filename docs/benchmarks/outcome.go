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
	saves   []saveResults
	large   struct{ floor, session []float64 } // seconds
}

type machine struct {
	goVersion, redisVersion, system, cpu string
	cpus                                 int
}

func (b *bench) machine() (machine, error) {
	c, err := b.redis.counters()
	return machine{
		goVersion:    runtime.Version(),
		redisVersion: c.version,
		system:       runtime.GOOS + "/" + runtime.GOARCH,
		cpu:          cpuModel(),
		cpus:         runtime.NumCPU(),
	}, err
}

// cpuModel is what Linux says, or "unknown".
func cpuModel() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	if m := regexp.MustCompile(`(?m)^model name\s*:\s*(.+)$`).FindSubmatch(info); m != nil {
		return string(m[1])
	}
	return "unknown"
}
