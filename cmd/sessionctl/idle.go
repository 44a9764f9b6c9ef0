package main

import (
	"strconv"
	"strings"
	"time"
)

// idleTimeouts are those of the application, by the class of session. When a session was last used follows from them.
type idleTimeouts map[uint8]time.Duration

// parseIdle reads the texts of --idle-timeout: 30m for class 0, 1=720h for another.
func parseIdle(texts []string) (idleTimeouts, error) {
	all := idleTimeouts{}
	for _, text := range texts {
		class, duration, ok := strings.Cut(text, "=")
		if !ok {
			class, duration = "0", text
		}
		number, err := strconv.ParseUint(class, 10, 8)
		d, wrong := time.ParseDuration(duration)
		if err != nil || wrong != nil || d <= 0 {
			return nil, usagef("--idle-timeout %s: want a duration such as 30m for class 0, or 1=720h for class 1", text)
		}
		all[uint8(number)] = d
	}
	return all, nil
}

// lastUsed returns when a request last used a session that expires then. It is false if that does not follow: the timeout
// is not known, is not that of the application, or ends with the session's life.
func (all idleTimeouts) lastUsed(class uint8, expires, deadline time.Time) (time.Time, bool) {
	idle, ok := all[class]
	if !ok || !deadline.IsZero() && deadline.Sub(expires) < time.Second {
		return time.Time{}, false
	}
	used := expires.Add(-idle)
	if ahead := time.Until(used); ahead > time.Second {
		return time.Time{}, false
	} else if ahead > 0 {
		used = time.Now()
	}
	return used, true
}
