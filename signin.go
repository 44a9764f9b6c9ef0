package session

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sessionkv/session/internal/record"
	"github.com/sessionkv/session/internal/token"
)

// A SignIn says who signs in, and for how long. It can be kept in a session between the steps of a sign-in, for example
// with a second factor.
type SignIn struct {
	// User is any text that names the user. It must not be "".
	User string

	// Class is the class of the session, for "remember me". 0 is the class with the lifetimes of [Config].
	Class Class `json:",omitempty"`

	// Stamp, unless "", makes this sign-in fail with [ErrRevoked] if all sessions of User were ended since
	// [Manager.Stamp] returned it.
	Stamp Stamp `json:",omitempty"`
}

// SignIn makes this the session of a user. It gets a new token, ID and Lifetime, as by [Session.Renew]. The values of a
// visitor stay in it, and so do those of the same user, who signs in anew. If another user had not signed out, their
// values are dropped. The store must know users, as redisstore, boltstore and memstore do. Otherwise the error wraps
// [errors.ErrUnsupported].
//
// It is done when the session is saved. The save fails with ErrRevoked or ErrLimit if the sign-in is refused. The
// session then stays as it was, what the request has changed is dropped, and Config.OnError answers. To answer itself,
// the handler calls [Session.Sync].
//
// SignIn returns an error for a User of "", a Class that is not in Config, and a Stamp of another user. It also returns
// one if the handler has returned. It returns ErrHeadersSent, ErrCrossSite if it would begin a session, and ErrEnded or
// ErrRenewed if the session is over.
func (s *Session) SignIn(in SignIn) error {
	if err := s.checkSignIn(in); err != nil {
		return err
	}
	_, stamp, _ := strings.Cut(string(in.Stamp), ":")
	s.lock()
	defer s.unlock()
	if err := s.renewable(record.SigningIn); err != nil {
		return err
	}
	return s.use.record.SignIn(record.SignIn{User: in.User, Class: uint8(in.Class), Stamp: stamp})
}

func (s *Session) checkSignIn(in SignIn) error {
	if in.User == "" {
		return errNoUser
	}
	if _, ok := s.config.classes[in.Class]; !ok {
		return fmt.Errorf("session: Class %d is not in Config.Classes", in.Class)
	}
	if in.Stamp != "" && !strings.HasPrefix(string(in.Stamp), token.Tag(in.User)+":") {
		return errors.New("session: the Stamp is of another user than the SignIn")
	}
	_, err := s.keeper.Users()
	return err
}

// User returns who is signed in. It is "" for nobody.
func (s *Session) User() string {
	s.lock()
	defer s.unlock()
	if s.use == nil {
		return ""
	}
	return s.use.record.User()
}

// SignedIn returns when the user has signed in. It is the zero Time if nobody is signed in.
func (s *Session) SignedIn() time.Time {
	s.lock()
	defer s.unlock()
	if s.use == nil {
		return time.Time{}
	}
	return s.use.record.SignedIn()
}

// Class returns the class that [Session.SignIn] gave the session.
func (s *Session) Class() Class {
	s.lock()
	defer s.unlock()
	if s.use == nil {
		return 0
	}
	return Class(s.use.record.Class())
}

// LastUsed returns when a request last loaded or saved the session. It is the zero Time until the session was first
// saved. After [Load] it is the time of this request. In a session of [Manager.List] and after [Peek] it is computed
// from how long the session still has to live, so that no request has to write it. It is therefore wrong if IdleTimeout
// was changed meanwhile, and when the end of the Lifetime is nearer than IdleTimeout.
func (s *Session) LastUsed() time.Time {
	s.lock()
	defer s.unlock()
	if s.use == nil {
		return time.Time{}
	}
	return s.use.record.LastUsed()
}

// Ended returns why somebody has ended the session that this client had, for five minutes from the end. It is 0 if
// nobody has ended it, or if that is not known any more.
func (s *Session) Ended() Reason {
	s.lock()
	defer s.unlock()
	if s.use == nil {
		return 0
	}
	return Reason(s.use.record.WhyEnded())
}

// EndOthers ends all other sessions of the user. It is done when this session is saved, after the SignIn or Renew of
// the same request. No sign-in succeeds then whose [Stamp] is older. Therefore call it after a change of the
// credential. If this session was ended meanwhile, nothing is done, and the save fails with ErrEnded. [Session.Discard]
// takes the call back.
//
// It returns an error if nobody is signed in, why is no Reason, or the handler has returned. It returns ErrEnded or
// ErrRenewed if the session is over.
func (s *Session) EndOthers(why Reason) error {
	if err := why.check(); err != nil {
		return err
	}
	s.lock()
	defer s.unlock()
	if err := s.changeable(); err != nil {
		return err
	}
	if s.use.record.User() == "" {
		return errors.New("session: nobody is signed in whose other sessions could be ended")
	}
	s.use.record.EndOthers(uint8(why))
	return nil
}
