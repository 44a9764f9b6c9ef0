package main

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// invented returns what a run of the plan could have found.
func invented(p plan) *outcome {
	speed := map[string]float64{nameBare: 2, nameFloor: 1, nameSession: 1.04, nameUser: 1, "scs": 0.45, "scs JSON": 0.52, "scs idle": 0.3, "gorilla": 0.35, "gorilla JSON": 0.4,
		nameLarge: 1, nameHash: 0.6, nameHGET: 1.2}
	o := &outcome{command: "go run .", started: time.Unix(1_790_000_000, 0), took: 14 * time.Minute, plan: p, budgets: make(map[budgetKey]budget)}
	o.machine = machine{"go1.25.0", "7.0.15", "linux/amd64", "CPU", 2}
	for _, c := range p.cells {
		r := &results{cell: c, samples: make(map[string][]sample)}
		for _, x := range c.contestants() {
			for round := range p.rounds {
				rate := 20_000 * speed[x.name] * (1 + 0.02*float64(round%3)) * math.Pow(float64(c.connections)/32, 0.2) * math.Pow(float64(c.size)/size4kB, -0.2)
				r.samples[x.name] = append(r.samples[x.name], sample{rate, 0, time.Millisecond, 3 * time.Millisecond, 50 * time.Microsecond, 9 * time.Microsecond})
			}
		}
		o.cells = append(o.cells, r)
	}
	for _, x := range contestants {
		for _, w := range budgetWorks {
			for _, size := range budgetSizes {
				o.budgets[budgetKey{x.name, w, size}] = budget{commands: []string{"GETEX"}, roundTrips: 1, allocs: 20 * speed[x.name]}
			}
		}
	}
	for _, size := range saveSizes {
		s := saveResults{size: size, cpu: make(map[string][]float64), executed: make(map[string][]float64)}
		for i, way := range saveWays {
			cost := 5e-6 + float64(size)*float64(i*i)*1e-9
			s.cpu[way], s.executed[way] = []float64{cost, cost, cost}, []float64{cost / 2}
		}
		o.saves = append(o.saves, s)
	}
	o.large.floor, o.large.session = []float64{0.01, 0.011}, []float64{0.012, 0.0121}
	return o
}

func TestWriteMakesAReportThatRefersToItsCharts(t *testing.T) {
	for name, p := range map[string]plan{"full": fullPlan(), "short": shortPlan()} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			if err := invented(p).write(folder); err != nil {
				t.Fatal(err)
			}
			report, err := os.ReadFile(filepath.Join(folder, "report.md"))
			if err != nil {
				t.Fatal(err)
			}
			charts, err := filepath.Glob(filepath.Join(folder, "*.svg"))
			if err != nil {
				t.Fatal(err)
			}
			if len(charts) < 2 {
				t.Errorf("%d charts", len(charts))
			}
			for _, chart := range charts {
				if !strings.Contains(string(report), "("+filepath.Base(chart)+")") {
					t.Errorf("the report does not show %s", filepath.Base(chart))
				}
				checkXML(t, chart)
			}
			for _, never := range []string{"NaN", "%!", os.TempDir(), folder} {
				if strings.Contains(string(report), never) {
					t.Errorf("the report contains %q", never)
				}
			}
			for _, c := range slices.Concat(contestants, largeContestants) {
				if !strings.Contains(string(report), "**"+c.name+"**") {
					t.Errorf("the report does not describe %s", c.name)
				}
			}
		})
	}
}

func TestTheReportTellsOfFailedRequests(t *testing.T) {
	o := invented(shortPlan())
	o.cells[1].samples["scs"][2].failed = 7
	var b strings.Builder
	o.report(&b, nil)
	if !strings.Contains(b.String(), "7 requests of scs failed") {
		t.Error("it does not")
	}
}

func checkXML(t *testing.T, file string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for d := xml.NewDecoder(f); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("%s: %v", filepath.Base(file), err)
		}
	}
}

func TestTargetsTellWhatIsMetFromWhatIsNot(t *testing.T) {
	p := plan{rounds: 3, cells: []cell{{read, size4kB, 32, "unix"}, {beside, size4kB, 1, "unix"}, {readLarge, size4kB, 1, "unix"}}}
	verdicts := func(o *outcome) map[string]string {
		found := make(map[string]string)
		for _, x := range o.targets() {
			found[x.what] = x.verdict()
		}
		return found
	}
	full := verdicts(invented(p)) // session is at 1.04 of the floor, and at twice the best rival
	for what, want := range map[string]string{
		"read, 4 kB, 32 connections, unix, against floor":                                                         "met",
		"read, 4 kB, 32 connections, unix, against the best rival, scs JSON":                                      "**not met**",
		"session of 10 MB, one small value read: time against a GETEX of it":                                      "met",
		"read and write beside ten values of 1 MB, 4 kB, 1 connection, unix: time against a session without":      "met",
		"read and write beside ten values of 1 MB, 4 kB, 1 connection, unix: Redis CPU against a session without": "met",
		"read of one of ten values of 1 MB, 4 kB, 1 connection, unix: time against a bare HGET":                   "**not met**",
		"read: commands, and round trips":                                                                         "met",
		"read and write: commands, and round trips":                                                               "**not met**",
		"save of 1 MB: Redis CPU above a plain SET":                                                               "**not met**",
		"untouched route, 4 kB, 40 values: allocations over bare":                                                 "met",
	} {
		if full[what] != want {
			t.Errorf("%s: %q, want %q", what, full[what], want)
		}
	}
	for what, got := range verdicts(&outcome{}) {
		if got != "not measured" {
			t.Errorf("nothing was measured, but %s: %q", what, got)
		}
	}
}

func TestCountHasThreeDigits(t *testing.T) {
	for x, want := range map[float64]string{0: "0", 17.4: "17", 999: "999", 1234: "1,230", 59_649: "59,600", 1_234_567: "1,230,000"} {
		if got := count(x); got != want {
			t.Errorf("%g: %q, want %q", x, got, want)
		}
	}
}
