//go:build !race

package testkit

// RaceEnabled says that the race detector is on: everything takes longer, and allocates.
const RaceEnabled = false
