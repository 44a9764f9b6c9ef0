package main

import (
	"math"
	"slices"
	"testing"
)

func TestSpread(t *testing.T) {
	for _, x := range []struct {
		name   string
		values []float64
		want   spread
	}{
		{"one value is all three", []float64{7}, spread{7, 7, 7}},
		{"two are interpolated", []float64{20, 10}, spread{12.5, 15, 17.5}},
		{"an odd number has one in the middle", []float64{5, 1, 4, 2, 3}, spread{2, 3, 4}},
		{"an outlier moves nothing", []float64{1, 2, 3, 4, 1e9}, spread{2, 3, 4}},
	} {
		if got := spreadOf(x.values); got != x.want {
			t.Errorf("%s: %v, want %v", x.name, got, x.want)
		}
	}
	if got := median(nil); !math.IsNaN(got) {
		t.Errorf("the median of nothing is %v, want NaN", got)
	}
}

func TestSpreadLeavesTheValuesAlone(t *testing.T) {
	values := []float64{3, 1, 2}
	spreadOf(values)
	if !slices.Equal(values, []float64{3, 1, 2}) {
		t.Errorf("now %v", values)
	}
}

func TestRatiosAreThoseWithinARound(t *testing.T) {
	// The machine was half as fast in the second round.
	got := spreadOf(ratios([]float64{200, 100, 210}, []float64{100, 50, 105}))
	if got != (spread{2, 2, 2}) {
		t.Errorf("%v", got)
	}
}

func TestTheBestIsOneOfItsKind(t *testing.T) {
	r := invented(plan{rounds: 3, cells: []cell{{read, size4kB, 32, "unix", someRedis.name}}}).cells[0]
	for k, want := range map[kind]string{floor: nameRueidis, own: nameSession, rival: "scs JSON", bare: ""} {
		if got := r.best(k); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
