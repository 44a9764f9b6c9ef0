package session

import (
	"context"
	"errors"
	"net/http"

	"github.com/sessionkv/session/internal/repeats"
	"github.com/sessionkv/session/internal/token"
)

// A Stamp is a proof that the sessions of a user were not ended since some moment; see [Manager.Stamp]. It holds until
// all sessions of the user, or all but one, are ended, and at most for a day after it was last asked for.
type Stamp string

// Stamp returns a value for [SignIn].Stamp. Call it before the user's credential is read. The credential may change
// while the user signs in with the old one, and [Manager.EndAll] may come at any moment. With the Stamp, such a sign-in
// does not outlive the change. Stamp keeps a short text in the store for a day. A client can invent any number of names
// that no user has. For these, ask for the stamp of one fixed name.
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

// List returns the living sessions of user, with the latest sign-in first. They can be read and not changed. They hold
// what the store had at the time of the call, and List gives them no more time to live. It takes up to StoreTimeout, as
// the other methods about users do, and holds the values of all these sessions in memory.
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

// End ends the session of user that has this ID. It returns [ErrEnded], wrapped, if user has no such session. This is
// also so if the session was renewed meanwhile and has another ID. For five minutes, [Session.Ended] tells why to
// requests that come with the token of the session.
func (m *Manager) End(ctx context.Context, user, id string, why Reason) error {
	if err := errors.Join(checkUser(user), why.check()); err != nil {
		return err
	}
	ctx, cancel := m.limited(ctx)
	defer cancel()
	return m.keeper.End(ctx, user, id, uint8(why))
}

// EndAll ends every session of user. When it has returned, none of the sessions that existed when it was called can be
// used any more, whatever their requests are doing. No sign-in succeeds whose [Stamp] is older. Therefore call it after
// a change of the user's credential. After an error some sessions may have been ended; call it again.
//
// It ends the session of the calling request too. [Session.EndOthers] does not end that one.
func (m *Manager) EndAll(ctx context.Context, user string, why Reason) error {
	if err := errors.Join(checkUser(user), why.check()); err != nil {
		return err
	}
	ctx, cancel := m.limited(ctx)
	defer cancel()
	return m.keeper.EndAll(ctx, user, uint8(why))
}

// limited returns a context for calls that are no part of a request's session. It has the values of ctx, and ends after
// StoreTimeout at the latest.
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
