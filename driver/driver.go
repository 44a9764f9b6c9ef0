// Package driver is what a store of sessions implements, as those of packages redisstore and memstore do. Applications
// do not need it: they give a store to session.Config and never call it.
package driver

import (
	"context"
	"errors"
	"time"
)

// A Store keeps the values of sessions, each a JSON object, under their IDs.
//
// Its methods are called from many goroutines at once. They must return soon after the deadline of ctx; the Manager
// sets one for every call. A store must not change a slice that it was given or has returned, and must not keep one
// after it has returned nil, ErrNotFound or ErrConflict: the Manager then uses the memory for something else. After any
// other error it may go on reading what it was given. Package redisstore has the implementation on Redis, and package
// storetest tells whether one keeps this contract.
type Store interface {
	// Load returns the value of id and gives it ttl more to live. It returns ErrNotFound if there is none, and
	// ErrNotFound wrapped with the reason if what is stored is not a value of this store. [Users] says what else holds
	// for the ID of a user.
	Load(ctx context.Context, id string, ttl time.Duration) (value []byte, err error)

	// Peek returns the value of id and how long it has to live, and changes neither. It returns the errors of Load. A
	// value that lives without an end has the longest Duration.
	Peek(ctx context.Context, id string) (value []byte, ttl time.Duration, err error)

	// Save stores value for ttl if the store still has old. With an old of nil, it stores value if the store has nothing.
	// Otherwise it changes no value. Then it returns ErrNotFound if the store has nothing, or else ErrConflict and the
	// value that the store has.
	//
	// Two values of one id never begin with the same _rev, so a store may compare that and the length alone. Repeating
	// a Save whose reply was lost succeeds. If by then another value is stored, the outcome is unknown, and Save
	// returns the error that lost the reply, never ErrConflict.
	Save(ctx context.Context, id string, old, value []byte, ttl time.Duration) (current []byte, err error)

	// Delete removes id and returns the value it had, or ErrNotFound if there was none. If old is not nil, it removes
	// that value only: if the store has another one, it returns ErrConflict and the other value. If a first attempt
	// failed on the network and its repeat finds nothing, the outcome is unknown, and Delete returns the failure of the
	// network, not ErrNotFound.
	Delete(ctx context.Context, id string, old []byte) (value []byte, err error)
}

var (
	// ErrNotFound says that the store has no value of the ID: there never was one, it was deleted, or it expired.
	ErrNotFound = errors.New("session/driver: not found")

	// ErrConflict says that another value was stored meanwhile. A Session answers it by making its changes again on that
	// value, so that handlers never see it.
	ErrConflict = errors.New("session/driver: the stored value has changed")

	// ErrRemoved says that an ID is not, or no longer, one of its user's.
	ErrRemoved = errors.New("session/driver: not one of its user's")

	// ErrStamp says that the stamp is not the one that was read, or is gone.
	ErrStamp = errors.New("session/driver: the stamp has changed")

	// ErrFull says that a user has as many IDs as are allowed.
	ErrFull = errors.New("session/driver: the user has too many sessions")
)
