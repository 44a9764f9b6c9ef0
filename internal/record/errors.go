package record

import (
	"errors"
	"fmt"
)

// These are the errors of package session of the same names.
var (
	ErrEnded    = errors.New("session: ended")
	ErrRenewed  = errors.New("session: renewed by another request, whose response has the new cookie; ask again with that")
	ErrUnproven = errors.New("session: its device has not proved its key, for its browser could not ask for the proof; try again later")
	ErrRevoked  = errors.New("session: not signed in, for the user's sessions were ended since the credential was checked; check it again")
	ErrLimit    = errors.New("session: not signed in, for the user has as many sessions as Config.SessionsPerUser allows")
)

func outrun(err error) error {
	return fmt.Errorf("session: not saved, for other requests kept changing it: %w", err)
}
