package session

import (
	"errors"

	"github.com/sessionkv/session/internal/record"
	"github.com/sessionkv/session/internal/value"
)

var (
	// ErrEnded says that the session is over. It was destroyed, somebody has ended it, or it has expired.
	ErrEnded = record.ErrEnded

	// ErrRenewed says that another request of the same client has replaced the token of this request some seconds ago,
	// by [Session.SignIn] or [Session.Renew]. Nothing was done. The client has the new cookie by now, and succeeds if
	// it asks again. Answer 503 with Retry-After, as Config.OnError does by default.
	ErrRenewed = record.ErrRenewed

	// ErrUnproven says that the session is bound to a device, and that its browser could not ask for the proof that
	// this request needs, for example because the store was down. It is not known whether there is a session. Answer
	// 503; see Config.DeviceBound.
	ErrUnproven = record.ErrUnproven

	// ErrRevoked says that all sessions of the user were ended after SignIn.Stamp was read. Nobody was signed in. Check
	// the credential again.
	ErrRevoked = record.ErrRevoked

	// ErrLimit says that the user has Config.SessionsPerUser sessions, and that Config.RefuseMore refuses one more.
	ErrLimit = record.ErrLimit

	// ErrNoKey says that a session has no value of the key.
	ErrNoKey = errors.New("session: no value of this key")

	// ErrTooLarge says that a session would be larger than Config.MaxBytes. What is stored stays as it was.
	ErrTooLarge = value.ErrTooLarge

	// ErrHeadersSent says that a change needs a cookie, and that the response's headers have already left. Make the
	// change before the first byte of the response.
	ErrHeadersSent = errors.New("session: the headers have left, and the change needs a cookie")

	// ErrCrossSite says that another site has made the request, and that the browser has therefore kept the session's
	// cookie back. If a session began here, it would replace the user's own, or the other site would have planted it
	// (login CSRF). Answer with a redirect to a page of this site, because the cookie arrives there. Or see
	// [Session.AllowCrossSite].
	ErrCrossSite = errors.New("session: not begun for a request of another site, from which the browser keeps the cookie back; " +
		"redirect to a page of your own, or see Session.AllowCrossSite")

	errReturned = errors.New("session: the handler has returned, and its session with it")
)
