// Package device binds sessions to the key of a device: Device Bound Session Credentials, a draft of the W3C. It knows
// neither HTTP nor the store.
package device

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Binding is what a session knows of its device, as it is stored.
type Binding struct {
	Secret  []byte `json:"k"`            // of the cookies and challenges of this session alone
	Proved  int64  `json:"at,omitempty"` // when a request was first proved, in Unix seconds
	X       []byte `json:"x,omitempty"`  // the public key of the device, on the curve P-256
	Y       []byte `json:"y,omitempty"`
	Session string `json:"-"` // its ID, which all that is signed holds for
}

// New returns the Binding of a session whose device has not registered its key yet.
func New() *Binding {
	secret := make([]byte, sha256.Size)
	_, _ = rand.Read(secret) // never fails: it ends the program instead
	return &Binding{Secret: secret}
}

// HasKey reports whether a device has registered its key.
func (b *Binding) HasKey() bool { return b != nil && len(b.X) > 0 }

// Register returns b with the key of a device.
func (b *Binding) Register(key *ecdsa.PublicKey) (*Binding, error) {
	point, err := key.Bytes()
	if err != nil {
		return nil, err
	}
	registered := *b
	registered.X, registered.Y = point[1:1+coordinate], point[1+coordinate:]
	return &registered, nil
}

// IsConfirmed reports whether a request was proved already.
func (b *Binding) IsConfirmed() bool { return b.Proved != 0 }

// Confirm returns b as of the first request that is proved.
func (b *Binding) Confirm(now time.Time) *Binding {
	confirmed := *b
	confirmed.Proved = now.Unix()
	return &confirmed
}

// Key returns the key of the device, nil if there is none that is on the curve.
func (b *Binding) Key() *ecdsa.PublicKey {
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, b.X...), b.Y...))
	if err != nil {
		return nil
	}
	return key
}

const (
	// CookieTTL is how long a cookie proves the device. A shorter time meets the quota of signatures of Chrome, a longer
	// one protects little.
	CookieTTL = 10 * time.Minute

	// underWay is how much longer than its end a cookie still counts, for requests that have left before the end.
	underWay = 30 * time.Second

	// grace is how long after the first request with the cookie requests without it still count. They had left before.
	grace = time.Minute

	macBytes      = 27
	deadlineBytes = 5
)

var encoding = base64.RawURLEncoding.Strict()

// Cookie returns the value of a cookie that proves the device until ttl after now.
func (b *Binding) Cookie(now time.Time, ttl time.Duration) string {
	until := now.Add(ttl).Unix()
	var deadline [8]byte
	binary.BigEndian.PutUint64(deadline[:], uint64(until))
	raw := append(deadline[8-deadlineBytes:8:8], b.mac("cookie", until)...)
	return encoding.EncodeToString(raw)
}

// IsProvedBy reports whether a cookie proves the device.
func (b *Binding) IsProvedBy(cookie string, now time.Time) bool {
	raw, err := encoding.DecodeString(cookie)
	if err != nil || len(raw) != deadlineBytes+macBytes {
		return false
	}
	var deadline [8]byte
	copy(deadline[8-deadlineBytes:], raw)
	until := int64(binary.BigEndian.Uint64(deadline[:]))
	return hmac.Equal(raw[deadlineBytes:], b.mac("cookie", until)) && now.Before(time.Unix(until, 0).Add(underWay))
}

// IsFresh reports whether requests without the cookie may be those of the device. This is so if the device has not
// shown the cookie yet, because it may never have got it. It is also so if the device has shown it only just now,
// because other requests may have been on their way.
func (b *Binding) IsFresh(now time.Time) bool {
	return !b.IsConfirmed() || now.Before(time.Unix(b.Proved, 0).Add(grace))
}

// A Purpose says what a challenge is for, and for how long it can be answered.
type Purpose string

// The Purposes.
const (
	Registration Purpose = "register"
	Refresh      Purpose = "refresh"
)

func (p Purpose) ttl() time.Duration {
	if p == Registration {
		return 5 * time.Minute
	}
	return time.Minute
}

// Challenge returns a text for the device to sign. Nothing of it is stored: it names the session, and holds by its MAC.
// It has no character that would have to be escaped.
func (b *Binding) Challenge(p Purpose, now time.Time) string {
	until := now.Add(p.ttl()).Unix()
	return fmt.Sprintf("%s.%d.%s", b.Session, until, encoding.EncodeToString(b.mac(string(p), until)))
}

// SessionOf returns the ID of the session that a challenge names. It is not known yet whether that session has made the
// challenge.
func SessionOf(challenge string) (id string, ok bool) {
	id, _, ok = strings.Cut(challenge, ".")
	return id, ok && id != ""
}

// HasMade reports whether a challenge was made for this session and this purpose, and can still be answered.
func (b *Binding) HasMade(challenge string, p Purpose, now time.Time) bool {
	parts := strings.Split(challenge, ".")
	if len(parts) != 3 || parts[0] != b.Session {
		return false
	}
	until, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil {
		return false
	}
	mac, err := encoding.DecodeString(parts[2])
	return err == nil && hmac.Equal(mac, b.mac(string(p), until)) && now.Before(time.Unix(until, 0))
}

func (b *Binding) mac(label string, until int64) []byte {
	m := hmac.New(sha256.New, b.Secret)
	text := append(make([]byte, 0, 128), label...)
	text = append(append(append(text, 0), b.Session...), 0)
	m.Write(strconv.AppendInt(text, until, 10))
	return m.Sum(nil)[:macBytes]
}
