package boltstore

import (
	"math"
	"sync/atomic"
	"time"
)

// A clock tells the time of day, since what is stored has to outlast the process.
type clock struct{ advanced atomic.Int64 }

// now is in nanoseconds since 1970.
func (c *clock) now() int64 { return time.Now().UnixNano() + c.advanced.Load() }

// after returns when d will have passed since now, at most the last moment that there is.
func after(now int64, d time.Duration) int64 {
	if d > 0 && now > math.MaxInt64-int64(d) {
		return math.MaxInt64
	}
	return now + int64(d)
}
