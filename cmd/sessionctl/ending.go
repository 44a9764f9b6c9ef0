package main

import (
	"context"
	"errors"

	"github.com/sessionkv/session"
	"github.com/sessionkv/session/driver"
)

// end ends a session. If it was renewed, it does nothing and returns the ID that the session has by now.
func (d *deployment) end(ctx context.Context, id string) (to string, err error) {
	for {
		text, _, err := d.peek(ctx, id)
		if errors.Is(err, driver.ErrRemoved) {
			return d.endRemoved(id, text)
		}
		if err != nil {
			return "", err
		}
		value, ok := decode(text)
		switch {
		case ok && value.Renewed != nil:
			return value.Renewed.To, nil
		case ok && value.Ended != nil:
			return "", notFoundf("session %s has ended already", printable(id))
		case driver.UserOf(id) != "":
			return "", d.endOfUser(ctx, id, value.user())
		}
		err = d.within(ctx, func(ctx context.Context) error {
			_, err := d.store.Delete(ctx, id, text)
			if err == nil && value.Large != nil {
				err = d.store.RemoveParts(ctx, id)
			}
			return err
		})
		if err == driver.ErrConflict {
			continue // a request has saved it, or renewed it
		}
		if err == driver.ErrNotFound {
			err = notFoundf("session %s has just ended", printable(id))
		}
		return "", err
	}
}

// endRemoved is end of a session that is not one of its user's any more.
func (d *deployment) endRemoved(id string, text []byte) (to string, err error) {
	if value, ok := decode(text); ok && value.Renewed != nil {
		return value.Renewed.To, nil
	}
	return "", notFoundf("session %s has ended already", printable(id))
}

// endOfUser ends a session of a user, whose name is "" if the value does not tell it.
func (d *deployment) endOfUser(ctx context.Context, id, user string) error {
	var err error
	if user == "" {
		err = d.within(ctx, func(ctx context.Context) error { return d.store.Remove(ctx, id) })
	} else {
		err = d.sessions.End(ctx, user, id, session.ByOperator)
	}
	if errors.Is(err, session.ErrEnded) || errors.Is(err, driver.ErrRemoved) {
		err = notFoundf("session %s has just ended or was renewed: list the sessions of its user", printable(id))
	}
	return err
}
