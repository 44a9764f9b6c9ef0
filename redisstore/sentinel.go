package redisstore

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"
)

// SentinelConfig says which Redis [OpenSentinel] connects to. Addrs and Master are required.
type SentinelConfig struct {
	_ [0]func() // literals name their fields, so that one can be added

	// Addrs are the sentinels, each as host:port. Name all of them. It is enough if one of them can be reached.
	Addrs []string

	// Master is the name by which the sentinels know the Redis. It is the second word of "sentinel monitor" in their
	// configuration.
	Master string

	// Username and Password sign in to Redis, and Database is selected. "" and 0 are left out. Options.Credentials
	// takes the place of Username and Password. The ACL user needs +role in addition to what the package comment lists.
	// Without it, see [OpenSentinel].
	Username, Password string
	Database           int

	// SentinelUsername and SentinelPassword sign in to the sentinels, which have users of their own. The ACL user needs
	// +sentinel|get-master-addr-by-name, +subscribe, +ping and &+switch-master.
	SentinelUsername, SentinelPassword string

	// Replicas, unless 0, is how many replicas must have taken over each save and each delete before it counts as done.
	// Redis gets a WAIT with each of them. If the replicas have not done so after ReplicaTimeout, the call fails. The
	// change is on the master, and it is unknown whether it will last. A ReplicaTimeout of 0 means 500 ms. It must be
	// well below the StoreTimeout of the session package.
	//
	// This has a price. Every save takes a round trip from the master to a replica, each save that runs at the same
	// time needs a connection, and every save is answered with 503 while there are too few replicas. It makes the loss
	// of an acknowledged save in a failover improbable, but not impossible: a replica that did not have the save may be
	// promoted. If a repeated delete finds nothing, that does not prove that replicas have taken over the first one.
	// Replicas does not work with Options.NoScripts. The ACL user needs +wait.
	Replicas       int
	ReplicaTimeout time.Duration
}

// String names the master and the sentinels, and no password.
func (s SentinelConfig) String() string {
	return fmt.Sprintf("redisstore.SentinelConfig(%s at %q)", s.Master, s.Addrs)
}

// Format prints String for every verb of package fmt.
func (s SentinelConfig) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// LogValue logs String.
func (s SentinelConfig) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON encodes String.
func (s SentinelConfig) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

const (
	sentinelPort = "26379"

	defaultReplicaTimeout = 500 * time.Millisecond
)

// complete checks the settings and puts in the defaults.
func (s *SentinelConfig) complete(options *Options) error {
	var errs []error
	fault := func(is bool, format string, args ...any) {
		if is {
			errs = append(errs, fmt.Errorf("redisstore: SentinelConfig."+format, args...))
		}
	}
	fault(len(s.Addrs) == 0, "Addrs is missing: the sentinels, each host:port")
	s.Addrs = slices.Clone(s.Addrs)
	for i, addr := range s.Addrs {
		if !strings.Contains(addr, ":") {
			addr = net.JoinHostPort(addr, sentinelPort)
		}
		host, port, err := net.SplitHostPort(addr)
		fault(err != nil || host == "" || port == "", "Addrs[%d] is not host:port", i)
		s.Addrs[i] = addr
	}
	fault(s.Master == "", "Master is missing: the name in the sentinels' configuration")
	fault(s.Username != "" && s.Password == "", "Password is missing: is a variable unset?")
	fault(s.SentinelUsername != "" && s.SentinelPassword == "", "SentinelPassword is missing: is a variable unset?")
	fault(s.Database < 0, "Database is negative")
	fault(s.Replicas < 0, "Replicas is negative")
	fault(s.Replicas > 0 && options.NoScripts, "Replicas does not work with Options.NoScripts")
	fault(s.ReplicaTimeout < 0, "ReplicaTimeout is negative")
	if s.ReplicaTimeout == 0 {
		s.ReplicaTimeout = defaultReplicaTimeout
	}
	return errors.Join(append(errs, options.complete())...)
}
