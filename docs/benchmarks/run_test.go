package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// tinyPlan goes through everything once.
func tinyPlan(d database) plan {
	return plan{
		databases: []database{d},
		cells: []cell{{untouched, size200B, 2, "unix", d.name}, {write, size200B, 2, "tcp", d.name}, {end, size200B, 2, "unix", d.name},
			{beside, size200B, 1, "unix", d.name}, {readLarge, size200B, 1, "unix", d.name}},
		rounds: 1, slice: 5 * time.Millisecond, saves: 1, large: 1, largeSize: size64kB, inspected: 3, inspectedSizes: []int{size200B},
	}
}

func silent(t *testing.T, p plan) *progress {
	t.Helper()
	out, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { out.Close() })
	return newProgress(out, p)
}

func TestRunGoesThroughItsPlan(t *testing.T) {
	t.Parallel()
	p := tinyPlan(testDatabase(t))
	b, err := startBench(context.Background(), p, silent(t, p))
	if err != nil {
		t.Fatal(err)
	}
	profile := filepath.Join(t.TempDir(), "cpu.out")
	b.profile = profile
	o, err := b.run()
	if err != nil {
		t.Error(err)
	}
	if err := b.stop(); err != nil {
		t.Error(err)
	}
	if o == nil {
		return
	}
	for _, r := range o.cells {
		for _, c := range r.cell.contestants() {
			if n := len(r.samples[c.name]); n != p.rounds {
				t.Errorf("%s: %s has %d samples", r.cell, c.name, n)
			}
			for _, s := range r.samples[c.name] {
				if s.failed > 0 {
					t.Errorf("%s: %d requests of %s failed", r.cell, s.failed, c.name)
				}
			}
		}
	}
	for _, x := range o.commandTargets(p.databases[0]) {
		if !x.met {
			t.Errorf("%s: %s, want %s", x.what, x.got, x.want)
		}
	}
	if info, err := os.Stat(profile); err != nil || info.Size() == 0 {
		t.Errorf("no profile: %v", err)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	p := fullPlan([]database{testDatabase(t)})
	b, err := startBench(ctx, p, silent(t, p))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := b.run(); err == nil {
		t.Error("no error")
	}
	if err := b.stop(); err != nil {
		t.Error(err)
	}
	for _, redis := range b.redis {
		if _, err := os.Stat(redis.dir); !os.IsNotExist(err) {
			t.Errorf("%s has left its folder: %v", redis.name, err)
		}
	}
}
