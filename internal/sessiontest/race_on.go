//go:build race

package sessiontest

// RaceEnabled says that the race detector is on: everything takes longer, and allocates.
const RaceEnabled = true
