package testkit

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Forge makes a token of the library's form, as docs/security.md describes it, that nobody issued.
func Forge(deadline time.Time) string {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw)
	var seconds [8]byte
	binary.BigEndian.PutUint64(seconds[:], uint64(deadline.Unix()))
	copy(raw, seconds[3:])
	return base64.RawURLEncoding.EncodeToString(raw)
}

// IDOf is the ID that a token leads to.
func IDOf(token string) string {
	return uuid.NewHash(sha256.New(), uuid.Nil, []byte(token), 8).String()
}

// LiveToken is always the same token, with a deadline in the far future, and the ID that it leads to.
func LiveToken() (token, id string) {
	token = "AP" + strings.Repeat("A", 41)
	return token, IDOf(token)
}

// Carrying returns the cookies of a browser whose session cookie is token.
func Carrying(token string) []*http.Cookie {
	return []*http.Cookie{{Name: CookieName, Value: token}}
}

var idForm = regexp.MustCompile(`^([0-9a-f]{20}:)?[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

// IsID reports whether id has the form of the IDs that tokens lead to: a UUID, behind the tag of a user if it is of one.
func IsID(id string) bool { return idForm.MatchString(id) }
