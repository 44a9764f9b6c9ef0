package main

import (
	"math"
	"slices"
)

// A spread is the median of some values, and the middle half of them.
type spread struct {
	low, median, high float64 // the first, second and third quartile
}

// spreadOf returns NaNs if there are no values.
func spreadOf(values []float64) spread {
	sorted := slices.Sorted(slices.Values(values))
	return spread{quantile(sorted, 0.25), quantile(sorted, 0.5), quantile(sorted, 0.75)}
}

// quantile interpolates between the two nearest values.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	at := q * float64(len(sorted)-1)
	below := int(at)
	above := min(below+1, len(sorted)-1)
	part := at - float64(below)
	return sorted[below]*(1-part) + sorted[above]*part
}

func median(values []float64) float64 { return spreadOf(values).median }

// ratios divides what two contestants did in the same round, so that what slowed the machine down for a while falls out.
func ratios(a, b []float64) []float64 {
	var quotients []float64
	for i := range min(len(a), len(b)) {
		quotients = append(quotients, a[i]/b[i])
	}
	return quotients
}
