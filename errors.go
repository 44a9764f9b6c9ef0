package session

import (
	"errors"

	"github.com/sessionkv/session/internal/record"
	"github.com/sessionkv/session/internal/value"
)

var (
	// ErrEnded says that the session is no more: it was destroyed, ended by somebody, or it expired.
	ErrEnded = record.ErrEnded

	// ErrRenewed says that the request came with a token that another request of the same client has replaced some
	// seconds ago, by [Session.SignIn] or [Session.Renew], and that nothing was done. The client has the new cookie by
	// now, so that it succeeds if it asks again: answer 503 with Retry-After, as Config.OnError does by default.
	ErrRenewed = record.ErrRenewed

	// ErrUnproven says that the session is bound to a device, and that its browser could not ask for the proof that this
	// request needs, as while the store was down: whether there is a session is not known. Answer 503; see
	// Config.DeviceBound.
	ErrUnproven = record.ErrUnproven

	// ErrRevoked says that all sessions of the user were ended after SignIn.Stamp was read, so that nobody was signed
	// in: check the credential again.
	ErrRevoked = record.ErrRevoked

	// ErrLimit says that the user has Config.SessionsPerUser sessions and Config.RefuseMore refuses one more.
	ErrLimit = record.ErrLimit

	// ErrNoKey says that a session has no value of the key.
	ErrNoKey = errors.New("session: no value of this key")

	// ErrTooLarge says that a session would be larger than Config.MaxBytes. What is stored stays as it was.
	ErrTooLarge = value.ErrTooLarge

	// ErrHeadersSent says that a change needs a cookie, and the response's headers have already left: make the change
	// before the first byte of the response.
	ErrHeadersSent = errors.New("session: the headers have left, and the change needs a cookie")

	// ErrCrossSite says that the request was made by another site, and that the browser has therefore kept the
	// session's cookie back: a session that began here would replace the user's own, or be one that the other site has
	// planted (login CSRF). Answer with a redirect to a page of this site, where the cookie arrives; or see
	// [Session.AllowCrossSite].
	ErrCrossSite = errors.New("session: not begun for a request of another site, from which the browser keeps the cookie back; " +
		"redirect to a page of your own, or see Session.AllowCrossSite")

	errReturned = errors.New("session: the handler has returned, and its session with it")
)
