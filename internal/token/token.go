// Package token makes and reads the credential that a client presents: a random text that names the session's deadline,
// its class and its user's tag, and leads, one way, to its ID.
package token

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"math"
	"strings"
	"time"

	"github.com/google/uuid"
)

// A token is 32 bytes in base64url without padding. The first byte says what the others are: a deadline in Unix seconds,
// which four bytes hold until 2106, for a user the class and the tag, and random bytes. ASVS 5.0, 7.2.3, asks for 128
// random bits. A session of nobody has 216, and one of a user 128. Nobody can forge any of it, because another text has
// another ID.
const (
	size = 32

	layout      = 0 // the place of the byte that says which layout it is
	ofNobody    = 0
	ofUser      = 1
	deadlineAt  = 1
	classAt     = deadlineAt + 4
	tagAt       = classAt + 1
	tagBytes    = 10
	randomAt    = classAt // of a session of nobody
	randomOfTag = tagAt + tagBytes

	// Length is how many characters a token has.
	Length = 43
)

var encoding = base64.RawURLEncoding.Strict()

// A Token is the credential that a new session gets. Others refer to it by pointer, so that %+v of a session shows no
// token: fmt prints a nested pointer as its address.
type Token struct {
	Text string
	Reference
}

// A Reference is what a token tells before the store is asked. The zero Reference is that of no session.
type Reference struct {
	ID       string // with a colon behind the tag, if it is of a user
	Deadline time.Time
	Class    uint8 // of a session of a user
}

// New makes a token of a session of nobody, whose deadline is lifetime after now, rounded up to the second.
func New(now time.Time, lifetime time.Duration) *Token {
	var raw [size]byte
	_, _ = rand.Read(raw[randomAt:]) // never fails: it ends the program instead
	return finish(&raw, now, lifetime)
}

// NewOf makes a token of a session of the user with this tag, which is one that [Tag] has returned.
func NewOf(tag string, class uint8, now time.Time, lifetime time.Duration) *Token {
	raw := [size]byte{layout: ofUser, classAt: class}
	_, _ = hex.Decode(raw[tagAt:], []byte(tag))
	_, _ = rand.Read(raw[randomOfTag:])
	return finish(&raw, now, lifetime)
}

func finish(raw *[size]byte, now time.Time, lifetime time.Duration) *Token {
	seconds := min(now.Add(lifetime).Add(time.Second-time.Nanosecond).Unix(), math.MaxUint32)
	binary.BigEndian.PutUint32(raw[deadlineAt:], uint32(seconds))
	text := encoding.EncodeToString(raw[:])
	return &Token{text, reference(raw, text)}
}

// Tag is the name of a user in tokens and in the store. It is a hash, and always has the same length.
func Tag(user string) string {
	hash := sha256.Sum256([]byte(user))
	var text [2 * tagBytes]byte // hex.EncodeToString would allocate twice
	hex.Encode(text[:], hash[:tagBytes])
	return string(text[:])
}

// Parse returns what a token refers to. It is false if the text does not have the form of a token, or if its deadline
// is not after now.
func Parse(text string, now time.Time) (Reference, bool) {
	raw, ok := decode(text)
	if !ok || raw[layout] > ofUser || !now.Before(deadline(&raw)) {
		return Reference{}, false
	}
	return reference(&raw, text), true
}

func decode(token string) (raw [size]byte, ok bool) {
	if len(token) != Length {
		return raw, false
	}
	var text [Length]byte
	copy(text[:], token)
	n, err := encoding.Decode(raw[:], text[:])
	return raw, err == nil && n == size
}

func deadline(raw *[size]byte) time.Time {
	return time.Unix(int64(binary.BigEndian.Uint32(raw[deadlineAt:])), 0)
}

// reference returns what a token refers to, whose bytes and text these are.
func reference(raw *[size]byte, text string) Reference {
	rest, _ := id(text).MarshalText() // never fails, and is no allocation, as String would be for a user
	if raw[layout] == ofNobody {
		return Reference{ID: string(rest), Deadline: deadline(raw)}
	}
	var tag [2 * tagBytes]byte
	hex.Encode(tag[:], raw[tagAt:randomOfTag])
	return Reference{string(tag[:]) + ":" + string(rest), deadline(raw), raw[classAt]}
}

// IsOfUser reports whether a text has the form of the ID of a user's session.
func IsOfUser(text string) bool {
	tag, id, ok := strings.Cut(text, ":")
	if !ok || len(tag) != 2*tagBytes || strings.Trim(tag, "0123456789abcdef") != "" {
		return false
	}
	parsed, err := uuid.Parse(id)
	return err == nil && parsed.String() == id
}

// id returns the UUID that a token leads to. It is a hash, so that those who read the store cannot sign in. It is
// uuid.NewHash(sha256.New(), uuid.Nil, token, 8) without its allocations.
func id(token string) uuid.UUID {
	var text [len(uuid.Nil) + Length]byte
	copy(text[len(uuid.Nil):], token)
	hash := sha256.Sum256(text[:])
	id := uuid.UUID(hash[:len(uuid.Nil)])
	id[6] = id[6]&0x0f | 8<<4 // version 8: RFC 9562, section 5.8
	id[8] = id[8]&0x3f | 0x80 // variant: RFC 9562, section 4.1
	return id
}
