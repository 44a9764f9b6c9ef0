//go:build !unix

package redistest

import "syscall"

// There is nothing to send these signals to where onUnix is false.
const (
	sigStop = syscall.SIGKILL
	sigCont = syscall.SIGKILL
	onUnix  = false
)
