// Package token makes and reads the credential that a client presents: a random text that names the session's deadline
// and leads, one way, to its ID.
package token

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"time"

	"github.com/google/uuid"
)

// A token is 32 bytes in base64url without padding: the deadline in Unix seconds, then random bytes. ASVS 5.0, 7.2.3,
// asks for 128 random bits; these are 216. The deadline cannot be forged, for another deadline is another ID.
const (
	size          = 32
	deadlineBytes = 5

	// Length is how many characters a token has.
	Length = 43
)

var encoding = base64.RawURLEncoding.Strict()

// A Token is what a new session is given. Others refer to it by pointer: fmt prints a nested pointer as its address, so
// that %+v of a session shows no token.
type Token struct {
	Text string
	Reference
}

// A Reference is what a token tells before the store is asked. The zero Reference is that of no session.
type Reference struct {
	ID       string
	Deadline time.Time
}

// New makes a token whose deadline is lifetime after now, rounded up to the second.
func New(now time.Time, lifetime time.Duration) *Token {
	deadline := time.Unix(now.Add(lifetime).Add(time.Second-time.Nanosecond).Unix(), 0)
	var raw [size]byte
	for i, rest := deadlineBytes-1, uint64(deadline.Unix()); i >= 0; i, rest = i-1, rest>>8 {
		raw[i] = byte(rest)
	}
	_, _ = rand.Read(raw[deadlineBytes:]) // never fails: it ends the program instead
	text := encoding.EncodeToString(raw[:])
	return &Token{text, Reference{id(text), deadline}}
}

// Parse returns what a token refers to. It is false if the text has not the form of a token, or its deadline is not after
// now.
func Parse(text string, now time.Time) (Reference, bool) {
	deadline, ok := deadline(text)
	if !ok || !now.Before(deadline) {
		return Reference{}, false
	}
	return Reference{id(text), deadline}, true
}

func deadline(token string) (_ time.Time, ok bool) {
	if len(token) != Length {
		return time.Time{}, false
	}
	var text [Length]byte
	copy(text[:], token)
	var raw [size]byte
	if n, err := encoding.Decode(raw[:], text[:]); err != nil || n != size {
		return time.Time{}, false
	}
	var seconds int64
	for _, b := range raw[:deadlineBytes] {
		seconds = seconds<<8 | int64(b)
	}
	return time.Unix(seconds, 0), true
}

// id returns the ID that a token leads to: one way, so that whoever reads the store cannot sign in. It is
// uuid.NewHash(sha256.New(), uuid.Nil, token, 8) with one allocation instead of five.
func id(token string) string {
	var text [len(uuid.Nil) + Length]byte
	copy(text[len(uuid.Nil):], token)
	hash := sha256.Sum256(text[:])
	id := uuid.UUID(hash[:len(uuid.Nil)])
	id[6] = id[6]&0x0f | 8<<4 // version 8: RFC 9562, section 5.8
	id[8] = id[8]&0x3f | 0x80 // variant: RFC 9562, section 4.1
	return id.String()
}
