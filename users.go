package session

import (
	"context"
	"errors"
	"net/http"

	"github.com/sessionkv/session/internal/repeats"
	"github.com/sessionkv/session/internal/token"
)

// A Stamp is of a user at a moment. It holds until all sessions of the user, or all but one, are ended, and for a day
// after it was last asked for.
type Stamp string

// Stamp returns what [SignIn.Stamp] takes. Call it before the user's credential is read, so that a sign-in with the
// credential of before does not outlive a change of it, whose [Manager.EndAll] may come at any moment. It keeps a
// short text in the store for a day: ask for that of one fixed name in place of names that no user has, which a client can
// invent without end.
func (m *Manager) Stamp(ctx context.Context, user string) (Stamp, error) {
	if user == "" {
		return "", errNoUser
	}
	ctx, cancel := m.limited(ctx)
	defer cancel()
	stamp, err := m.keeper.Stamp(ctx, user)
	if err != nil {
		return "", err
	}
	return Stamp(token.Tag(user) + ":" + stamp), nil
}

// List returns the living sessions of user, the latest sign-in first. They can be read and not changed, hold what the
// store had at the time of the call, and live no longer by it. It takes up to StoreTimeout, as the other methods about
// users do, and holds the values of all these sessions in memory.
func (m *Manager) List(ctx context.Context, user string) ([]*Session, error) {
	if user == "" {
		return nil, errNoUser
	}
	ctx, cancel := m.limited(ctx)
	defer cancel()
	records, err := m.keeper.List(ctx, user)
	if err != nil {
		return nil, err
	}
	list := make([]*Session, len(records))
	for i := range records {
		list[i] = &Session{
			config: &m.config, keeper: &m.keeper, request: new(http.Request),
			use: &use{loaded: true, record: records[i]}, sent: true, closed: errListed,
		}
	}
	return list, nil
}

// End ends the session of user that has this ID. It is [ErrEnded], wrapped, if user has no such session, as when it was
// renewed meanwhile and has another ID. The request that next comes with its token can be told why, by [Session.Ended].
func (m *Manager) End(ctx context.Context, user, id string, why Reason) error {
	if err := errors.Join(checkUser(user), why.check()); err != nil {
		return err
	}
	ctx, cancel := m.limited(ctx)
	defer cancel()
	return m.keeper.End(ctx, user, id, uint8(why))
}

// EndAll ends every session of user. When it has returned, none of those that existed when it was called can be used any
// more, whatever their requests are doing, and no sign-in succeeds whose [Stamp] is older. So it comes after a change of
// the user's credential. After an error some may have been ended; call it again.
//
// It ends the session of the calling request too. [Session.EndOthers] leaves that one.
func (m *Manager) EndAll(ctx context.Context, user string, why Reason) error {
	if err := errors.Join(checkUser(user), why.check()); err != nil {
		return err
	}
	ctx, cancel := m.limited(ctx)
	defer cancel()
	return m.keeper.EndAll(ctx, user, uint8(why))
}

// limited returns ctx for what is no part of a request's session: it ends after StoreTimeout at the latest.
func (m *Manager) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	if m.config.Observe != nil {
		ctx = context.WithValue(withoutSession(ctx), repeats.Key{}, new(repeats.Counter))
	}
	return context.WithTimeout(ctx, m.config.StoreTimeout)
}

func checkUser(user string) error {
	if user == "" {
		return errNoUser
	}
	return nil
}

var (
	errNoUser = errors.New("session: the user has no name: it must not be empty")
	errListed = errors.New("session: a session of Manager.List cannot be changed")
)
