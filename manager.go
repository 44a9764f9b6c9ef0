package session

import "github.com/sessionkv/session/internal/record"

// A Manager gives the requests of a handler their sessions. [New] makes it. It does not change, and serves any number
// of handlers at once.
type Manager struct {
	config Config
	keeper record.Keeper
}

// New returns a Manager with a copy of config. It reports all faults of config at once, joined by [errors.Join]. It
// does not contact the store.
func New(config Config) (*Manager, error) {
	config = config.withDefaults()
	if err := config.validate(); err != nil {
		return nil, err
	}
	return &Manager{
		config: config,
		keeper: record.Keeper{
			Store:      config.Store,
			Classes:    config.classes.lifetimes(),
			Bindings:   config.DeviceBound != "" || config.Bearer,
			Bound:      config.DeviceBound != "",
			MaxBytes:   config.MaxBytes,
			MaxLarge:   config.MaxLargeBytes,
			Limit:      config.SessionsPerUser,
			RefuseMore: config.RefuseMore,
			Logger:     config.Logger,
			Observe:    newObserver(config),
		},
	}, nil
}
