// Package driver says what a store of sessions implements. Packages redisstore and memstore have such stores.
// Applications do not need it: they give a store to session.Config and never call it.
package driver

import (
	"context"
	"errors"
	"time"
)

// A Store keeps the values of sessions under their IDs. Each value is a JSON object.
//
// Its methods are called from many goroutines at once. They must return soon after the deadline of ctx. The Manager
// sets a deadline for every call. A store must not change a slice that it was given or has returned. It must not keep
// one after it has returned nil, [ErrNotFound] or [ErrConflict], because the Manager then uses the memory for something
// else. After any other error it may go on reading what it was given. Package redisstore has the implementation on
// Redis, and package storetest tells whether one keeps this contract.
type Store interface {
	// Load returns the value of id and gives it ttl more to live. It returns ErrNotFound if there is none. If what is
	// stored is not a value of this store, it returns ErrNotFound wrapped with the reason. [Users] says what else holds
	// for the ID of a user.
	Load(ctx context.Context, id string, ttl time.Duration) (value []byte, err error)

	// Peek returns the value of id and how long it has to live, and changes neither. It returns the errors of Load. If
	// a value lives without an end, ttl is the longest Duration.
	Peek(ctx context.Context, id string) (value []byte, ttl time.Duration, err error)

	// Save stores value for ttl if the store still has old. If old is nil, it stores value if the store has nothing.
	// Otherwise it changes no value. Then it returns ErrNotFound if the store has nothing, and otherwise ErrConflict
	// and the value that the store has.
	//
	// Two values of one id never begin with the same _rev. Therefore a store may compare only that and the length. If
	// the reply of a Save was lost and the Save is repeated, it succeeds. If by then another value is stored, the
	// outcome is unknown. Save then returns the error that lost the reply, and never ErrConflict.
	Save(ctx context.Context, id string, old, value []byte, ttl time.Duration) (current []byte, err error)

	// Delete removes id and returns the value it had, or ErrNotFound if there was none. If old is not nil, it removes
	// only that value. If the store has another one, it returns ErrConflict and the other value. If a first attempt
	// failed on the network and its repeat finds nothing, the outcome is unknown. Delete then returns the failure of
	// the network, and not ErrNotFound.
	Delete(ctx context.Context, id string, old []byte) (value []byte, err error)
}

var (
	// ErrNotFound says that the store has no value of the ID. There never was one, it was deleted, or it has expired.
	ErrNotFound = errors.New("session/driver: not found")

	// ErrConflict says that another value was stored meanwhile. A Session then makes its changes again on that value.
	// Handlers never see this error.
	ErrConflict = errors.New("session/driver: the stored value has changed")

	// ErrRemoved says that an ID is not, or no longer, one of its user's.
	ErrRemoved = errors.New("session/driver: not one of its user's")

	// ErrStamp says that the stamp is not the one that was read, or is gone.
	ErrStamp = errors.New("session/driver: the stamp has changed")

	// ErrFull says that a user has as many IDs as are allowed.
	ErrFull = errors.New("session/driver: the user has too many sessions")
)
