package session

import (
	"fmt"

	"github.com/sessionkv/session/internal/record"
)

// A Reason says why somebody has ended a session.
type Reason uint8

const (
	ByUser            Reason = 1                        // by its user, on another device
	ByOperator        Reason = 2                        // by somebody who runs the service
	CredentialChanged Reason = 3                        // because the password or the like was changed
	OverLimit         Reason = Reason(record.OverLimit) // to make room; see Config.SessionsPerUser
)

var reasons = map[Reason]string{
	ByUser: "by_user", ByOperator: "by_operator", CredentialChanged: "credential_changed", OverLimit: "over_limit",
}

// String returns a word for logs, such as "by_operator", and "" for 0.
func (r Reason) String() string { return reasons[r] }

func (r Reason) check() error {
	if _, ok := reasons[r]; !ok {
		return fmt.Errorf("session: %d is no Reason: say why, as by session.ByUser", uint8(r))
	}
	return nil
}
