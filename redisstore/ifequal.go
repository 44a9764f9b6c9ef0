package redisstore

import (
	"sync/atomic"
	"time"
)

// ifEqualMost is the length of an old value up to which it costs less to send and compare it as a whole than to run a
// script.
const ifEqualMost = 8 << 10

// ifEqualPause is for how long a server that has refused an IFEQ is not asked again. Another one may then be in its
// place, after a failover or an upgrade.
const ifEqualPause = 10 * time.Minute

// ifEqual knows whether to send SET with IFEQ, which Valkey has since 8.1, and Redis since 8.4. A server without it
// refuses the command and changes nothing, so that a try is always safe, and no version has to be known.
type ifEqual struct {
	refused atomic.Int64 // when, in nanoseconds of Unix time
}

// suits reports whether was should be replaced so.
func (e *ifEqual) suits(was []byte) bool {
	return len(was) <= ifEqualMost && time.Since(time.Unix(0, e.refused.Load())) >= ifEqualPause
}

// refuse takes note that the server has no IFEQ.
func (e *ifEqual) refuse() { e.refused.Store(time.Now().UnixNano()) }
