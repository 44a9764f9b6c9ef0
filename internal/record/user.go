package record

import "time"

// SignIn lets the next save give the session a new token and a user. Values of nobody, and of the same user, go along;
// of those of another user nothing does but what this request has set.
func (r *Record) SignIn(in SignIn) error {
	before := r.signing
	in.at = time.Now().UnixMilli()
	r.signing = &in
	if r.owner.user() == "" {
		return nil
	}
	err := r.rebase(r.stored)
	if err != nil {
		r.signing = before
	}
	return err
}

// User returns whose session it is, "" for nobody's.
func (r *Record) User() string {
	if r.signing != nil {
		return r.signing.User
	}
	return r.owner.user()
}

// SignedIn returns when the user has signed in; the zero Time for nobody.
func (r *Record) SignedIn() time.Time {
	switch {
	case r.signing != nil:
		return time.UnixMilli(r.signing.at)
	case r.owner.SignedIn != 0:
		return time.UnixMilli(r.owner.SignedIn)
	}
	return time.Time{}
}

// Class returns the class of lifetime that the session has.
func (r *Record) Class() uint8 {
	if r.signing != nil {
		return r.signing.Class
	}
	return r.ref.Class
}

// LastUsed returns when a request last loaded or saved the session, as its time to live tells.
func (r *Record) LastUsed() time.Time {
	if r.idle.IsZero() {
		return time.Time{}
	}
	return r.idle.Add(-r.keeper.lifetimes(r.ref.Class).IdleTimeout)
}
