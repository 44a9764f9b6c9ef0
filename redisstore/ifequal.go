package redisstore

import (
	"sync/atomic"
	"time"
)

// ifEqualMost is the largest length of an old value with which an IFEQ costs less than a script. An IFEQ sends and
// compares the whole old value.
const ifEqualMost = 8 << 10

// ifEqualPause is how long a server that has refused an IFEQ is not asked again. After a failover or an upgrade another
// one may be in its place.
const ifEqualPause = 10 * time.Minute

// ifEqual knows whether to send SET with IFEQ, which Valkey has since 8.1, and Redis since 8.4. A server without it
// refuses the command and changes nothing. Therefore a try is always safe, and nobody has to know a version.
type ifEqual struct {
	refused atomic.Int64 // when, in nanoseconds of Unix time
}

// suits reports whether was should be replaced so.
func (e *ifEqual) suits(was []byte) bool {
	return len(was) <= ifEqualMost && time.Since(time.Unix(0, e.refused.Load())) >= ifEqualPause
}

// refuse takes note that the server has no IFEQ.
func (e *ifEqual) refuse() { e.refused.Store(time.Now().UnixNano()) }
