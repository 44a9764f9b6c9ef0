package main

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var (
	someRedis  = database{"redis-server", "Redis 7.0", "Redis 7.0.15"}
	someValkey = database{"valkey-server", "Valkey 9.1", "Valkey 9.1.2"}
)

// invented returns what a run of the plan could have found.
func invented(p plan) *outcome {
	speed := map[string]float64{nameBare: 2, nameRedigo: 1, nameRueidis: 1.3, nameGoRedis: 0.9, nameSession: 1.04, nameUser: 1, "scs": 0.45, "scs JSON": 0.52, "scs idle": 0.3, "gorilla": 0.35, "gorilla JSON": 0.4,
		nameLarge: 1, nameHash: 0.6, nameHGET: 1.2}
	o := &outcome{command: "go run .", started: time.Unix(1_790_000_000, 0), took: 14 * time.Minute, plan: p, budgets: make(map[budgetKey]budget)}
	o.machine = machine{"go1.25.0", "linux/amd64", "CPU", 2}
	o.ifEqual = map[string]bool{"Valkey 9.1": true}
	for _, c := range p.cells {
		r := &results{cell: c, samples: make(map[string][]sample)}
		for _, x := range c.contestants() {
			for round := range p.rounds {
				rate := 20_000 * speed[x.name] * (1 + 0.02*float64(round%3)) * math.Pow(float64(c.connections)/32, 0.2) * math.Pow(float64(c.size)/size4kB, -0.2)
				r.samples[x.name] = append(r.samples[x.name], sample{rate, 0, time.Millisecond, 3 * time.Millisecond, 50 * time.Microsecond, 9 * time.Microsecond, 12 * time.Microsecond})
			}
		}
		o.cells = append(o.cells, r)
	}
	for _, d := range p.databases {
		for _, x := range contestants {
			for _, w := range budgetWorks {
				for _, size := range budgetSizes {
					o.budgets[budgetKey{d.name, x.name, w, size}] = budget{commands: []string{"GETEX"}, roundTrips: 1, allocs: 20 * speed[x.name]}
				}
			}
		}
		for _, size := range saveSizes {
			s := saveResults{database: d.name, size: size, cpu: make(map[string][]float64), executed: make(map[string][]float64)}
			for i, way := range saveWays {
				cost := 5e-6 + float64(size)*float64(i*i)*1e-9
				s.cpu[way], s.executed[way] = []float64{cost, cost, cost}, []float64{cost / 2}
			}
			o.saves = append(o.saves, s)
		}
	}
	o.large.floor, o.large.session = []float64{0.01, 0.011}, []float64{0.012, 0.0121}
	return o
}

func TestWriteMakesAReportThatRefersToItsCharts(t *testing.T) {
	for name, p := range map[string]plan{
		"full": fullPlan([]database{someRedis, someValkey}), "short": shortPlan([]database{someRedis}),
	} {
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
			for _, c := range contestants {
				if !strings.Contains(string(report), "**"+c.name+"**") {
					t.Errorf("the report does not describe %s", c.name)
				}
			}
		})
	}
}

func TestTheReportTellsOfFailedRequests(t *testing.T) {
	o := invented(shortPlan([]database{someRedis}))
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
	p := plan{rounds: 3, databases: []database{someRedis, someValkey}}
	for _, d := range p.databases {
		p.add(d, "unix", read, []int{size4kB}, 1, 32)
		p.add(d, "unix", write, []int{size4kB}, 32)
	}
	p.add(someRedis, "unix", beside, []int{size4kB}, 1)
	p.add(someRedis, "unix", readLarge, []int{size4kB}, 1)
	verdicts := func(o *outcome) map[string]string {
		found := make(map[string]string)
		for _, x := range o.targets() {
			found[x.what] = x.verdict()
		}
		return found
	}
	full := verdicts(invented(p)) // session is at 1.04 of the redigo floor, 0.8 of the rueidis floor, and twice the best rival
	for what, want := range map[string]string{
		"read, 4 kB, 32 connections, unix, Redis 7.0, against redigo floor":                                           "met",
		"read, 4 kB, 32 connections, unix, Redis 7.0, against rueidis floor":                                          "**not met**",
		"read, 4 kB, 32 connections, unix, Redis 7.0, against the best rival, scs JSON":                               "**not met**",
		"read, 4 kB, 32 connections, unix, Valkey 9.1, of a user, against session":                                    "met",
		"read, 4 kB, 1 connection, unix, Redis 7.0, against the best floor, rueidis floor":                            "**not met**",
		"read and write, 4 kB, 32 connections, unix, Redis 7.0, against rueidis floor":                                "met",
		"read and write, 4 kB, 32 connections, unix, Valkey 9.1, against rueidis floor":                               "**not met**",
		"session of 10 MB, one small value read: time against a GETEX of it":                                          "met",
		"read, Redis 7.0: commands, and round trips":                                                                  "met",
		"read and write, Redis 7.0: commands, and round trips":                                                        "**not met**",
		"read and write beside ten values of 1 MB, 4 kB, 1 connection, unix, Redis 7.0, time against session":         "met",
		"read and write beside ten values of 1 MB, 4 kB, 1 connection, unix, Redis 7.0, database CPU against session": "met",
		"read of one of ten values of 1 MB, 4 kB, 1 connection, unix, Redis 7.0, time against HGET":                   "**not met**",
		"save of 1 MB, Valkey 9.1: its CPU above a plain SET":                                                         "**not met**",
	} {
		if full[what] != want {
			t.Errorf("%s: %q, want %q", what, full[what], want)
		}
	}
	for what, got := range verdicts(&outcome{plan: p}) {
		if got != "not measured" {
			t.Errorf("nothing was measured, but %s: %q", what, got)
		}
	}
}

// A database without IFEQ takes a save in two commands, another in one.
func TestTheTargetOfASaveDependsOnIfEqual(t *testing.T) {
	wanted := func(d database, what string) string {
		for _, x := range invented(plan{databases: []database{d}}).commandTargets(d) {
			if strings.HasPrefix(x.what, what) {
				return x.want
			}
		}
		return ""
	}
	for _, x := range []struct {
		database database
		want     string
	}{
		{someRedis, "GETEX SET EVALSHA; 2"},
		{someValkey, "GETEX SET; 2"},
	} {
		if got := wanted(x.database, write.String()); got != x.want {
			t.Errorf("%s: %q, want %q", x.database.name, got, x.want)
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
