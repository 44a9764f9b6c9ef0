package session

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Cookie describes the cookie that carries the session's token. It is always HttpOnly, and Secure unless InsecureHTTP
// is set. The zero value is the strictest that works for most sites: bound to one host by its name's prefix, SameSite=Lax,
// and gone when the browser is closed.
type Cookie struct {
	// Name of the cookie. Empty means "__Host-session", or "session" where the rules of that prefix do not hold: with
	// Domain, another Path than "/", or InsecureHTTP. A name with a prefix of RFC 6265bis, section 4.1.3, must obey its
	// rules.
	Name string

	// Domain lets the hosts below a domain share the cookie. Empty means this host alone.
	Domain string

	// Path that the cookie is sent to. Empty means "/".
	Path string

	// SameSite is Lax, Strict or None; 0 means Lax. None needs Secure. See RFC 6265bis, section 4.1.2.7.
	SameSite http.SameSite

	// Persistent makes the cookie survive the end of the browser, until the session's Lifetime is over. OWASP advises
	// against it where signing in matters.
	Persistent bool

	// Partitioned keeps a cookie that is used inside other sites apart for each of them (CHIPS). It needs Secure.
	Partitioned bool

	// InsecureHTTP sends the cookie over plain HTTP too, where anybody on the way can read and replay it. It is meant for
	// development.
	InsecureHTTP bool
}

const (
	hostCookieName  = "__Host-session"
	plainCookieName = "session"

	// maxCookieAge is where user agents cut a cookie's life: RFC 6265bis, section 5.5.
	maxCookieAge = 400 * 24 * time.Hour

	// maxCookieSize, of name and value, and maxAttributeSize are what user agents take: RFC 6265bis, section 5.6.
	maxCookieSize    = 4096
	maxAttributeSize = 1024

	// maxTokens is how many cookies of the name are looked up in the store. RFC 6265bis, section 4.2.2, says not to rely
	// on the order of several, and a hostile sibling domain can add some.
	maxTokens = 4
)

func (c Cookie) withDefaults() Cookie {
	if c.Path == "" {
		c.Path = "/"
	}
	if c.SameSite == 0 {
		c.SameSite = http.SameSiteLaxMode
	}
	if c.Name == "" {
		c.Name = plainCookieName
		if c.hostRules() == nil {
			c.Name = hostCookieName
		}
	}
	return c
}

// validate checks a Cookie that has its defaults.
func (c Cookie) validate(lifetime time.Duration) error {
	return errors.Join(c.validateAttributes(), c.validatePrefix(), c.validateAge(lifetime))
}

func (c Cookie) validateAttributes() error {
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	sample := http.Cookie{Name: c.Name, Value: "v", Path: c.Path, Domain: c.Domain}
	if err := sample.Valid(); err != nil {
		fault("session: Config.Cookie: %w", err)
	}
	if len(c.Name)+tokenLength > maxCookieSize {
		fault("session: Config.Cookie.Name has %d bytes: browsers refuse a name and value of more than %d", len(c.Name), maxCookieSize)
	}
	if len(c.Domain) > maxAttributeSize || len(c.Path) > maxAttributeSize {
		fault("session: Config.Cookie: browsers ignore a Domain or Path of more than %d bytes", maxAttributeSize)
	}
	if !strings.HasPrefix(c.Path, "/") {
		fault("session: Config.Cookie.Path %q must begin with a slash", c.Path)
	}
	switch c.SameSite {
	case http.SameSiteLaxMode, http.SameSiteStrictMode, http.SameSiteNoneMode:
	default:
		fault("session: Config.Cookie.SameSite %d is not Lax, Strict or None", c.SameSite)
	}
	if c.SameSite == http.SameSiteNoneMode && c.InsecureHTTP {
		fault("session: Config.Cookie: browsers refuse SameSite=None over plain HTTP: leave InsecureHTTP out")
	}
	if c.Partitioned && c.InsecureHTTP {
		fault("session: Config.Cookie: browsers refuse Partitioned over plain HTTP: leave InsecureHTTP out")
	}
	return errors.Join(errs...)
}

// validatePrefix compares without regard to case, as browsers do: RFC 6265bis, section 5.7.
func (c Cookie) validatePrefix() error {
	name := strings.ToLower(c.Name)
	switch {
	case strings.HasPrefix(name, "__host-"):
		if err := c.hostRules(); err != nil {
			return fmt.Errorf("session: Config.Cookie.Name %q: %w", c.Name, err)
		}
	case strings.HasPrefix(name, "__secure-"), strings.HasPrefix(name, "__http-"):
		if c.InsecureHTTP {
			return fmt.Errorf("session: Config.Cookie.Name %q: its prefix forbids InsecureHTTP", c.Name)
		}
	}
	return nil
}

func (c Cookie) hostRules() error {
	switch {
	case c.Domain != "":
		return errors.New("the prefix __Host- forbids Domain")
	case c.Path != "/":
		return errors.New("the prefix __Host- demands the Path /")
	case c.InsecureHTTP:
		return errors.New("the prefix __Host- forbids InsecureHTTP")
	}
	return nil
}

func (c Cookie) validateAge(lifetime time.Duration) error {
	if c.Persistent && lifetime > maxCookieAge {
		return fmt.Errorf("session: Config.Lifetime %v is more than the 400 days that browsers keep a Persistent cookie", lifetime)
	}
	return nil
}

// set puts the cookie with this credential into h, in place of one that is there already: RFC 6265bis, section 4.1.1,
// forbids two of a name in one response.
func (c Cookie) set(h http.Header, cred *credential) {
	cookie := c.attributes()
	cookie.Value = cred.token
	if c.Persistent {
		cookie.MaxAge = max(1, int(time.Until(cred.deadline).Seconds()))
	}
	c.replace(h, cookie)
}

// clear tells the browser to drop the cookie. All attributes must be those that it was set with.
func (c Cookie) clear(h http.Header) {
	cookie := c.attributes()
	cookie.MaxAge = -1
	cookie.Expires = time.Unix(0, 0)
	c.replace(h, cookie)
}

func (c Cookie) attributes() *http.Cookie {
	return &http.Cookie{
		Name:        c.Name,
		Domain:      c.Domain,
		Path:        c.Path,
		Secure:      !c.InsecureHTTP,
		HttpOnly:    true,
		SameSite:    c.SameSite,
		Partitioned: c.Partitioned,
	}
}

func (c Cookie) replace(h http.Header, cookie *http.Cookie) {
	others := h["Set-Cookie"][:0:0]
	for _, line := range h["Set-Cookie"] {
		if !strings.HasPrefix(line, c.Name+"=") {
			others = append(others, line)
		}
	}
	h["Set-Cookie"] = append(others, cookie.String())
}

// reference is what a token tells before the store is asked.
type reference struct {
	id       string
	deadline time.Time
}

// references returns what the request's cookies refer to: each well-formed token that is not past its deadline, once. More
// than maxTokens of them are an attack or a fault; then none is returned. The room is the caller's, so that the usual single
// cookie costs no allocation.
func (c Cookie) references(r *http.Request, now time.Time, room *[maxTokens]reference) []reference {
	refs := room[:0]
	for _, cookie := range r.CookiesNamed(c.Name) {
		deadline, ok := parseToken(cookie.Value)
		if !ok || !now.Before(deadline) {
			continue
		}
		ref := reference{tokenID(cookie.Value), deadline}
		if slices.Contains(refs, ref) {
			continue
		}
		if len(refs) == maxTokens {
			return nil
		}
		refs = append(refs, ref)
	}
	return refs
}

// A token is 32 bytes in base64url without padding: the deadline in Unix seconds, then random bytes. ASVS 5.0, 7.2.3, asks for 128
// random bits; these are 216. The deadline cannot be forged, for another deadline is another ID.
const (
	tokenBytes    = 32
	tokenLength   = 43
	deadlineBytes = 5
)

var tokenEncoding = base64.RawURLEncoding.Strict()

// credential is what a new session is given. Sessions refer to it by pointer: fmt prints a nested pointer as its
// address, so that %+v of a Session shows no token.
type credential struct {
	token    string
	id       string
	deadline time.Time
}

// newCredential makes a token that ends with lifetime, rounded up to the second.
func newCredential(now time.Time, lifetime time.Duration) *credential {
	deadline := time.Unix(now.Add(lifetime).Add(time.Second-time.Nanosecond).Unix(), 0)
	var raw [tokenBytes]byte
	for i, rest := deadlineBytes-1, uint64(deadline.Unix()); i >= 0; i, rest = i-1, rest>>8 {
		raw[i] = byte(rest)
	}
	_, _ = rand.Read(raw[deadlineBytes:]) // never fails: it ends the program instead
	token := tokenEncoding.EncodeToString(raw[:])
	return &credential{token, tokenID(token), deadline}
}

// parseToken returns the deadline that a well-formed token names.
func parseToken(token string) (deadline time.Time, ok bool) {
	if len(token) != tokenLength {
		return time.Time{}, false
	}
	var text [tokenLength]byte
	copy(text[:], token)
	var raw [tokenBytes]byte
	if n, err := tokenEncoding.Decode(raw[:], text[:]); err != nil || n != tokenBytes {
		return time.Time{}, false
	}
	var seconds int64
	for _, b := range raw[:deadlineBytes] {
		seconds = seconds<<8 | int64(b)
	}
	return time.Unix(seconds, 0), true
}

// tokenID returns the ID that a token leads to: one way, so that whoever reads the store cannot sign in. It is
// uuid.NewHash(sha256.New(), uuid.Nil, token, 8) with one allocation instead of five.
func tokenID(token string) string {
	var text [len(uuid.Nil) + tokenLength]byte
	copy(text[len(uuid.Nil):], token)
	hash := sha256.Sum256(text[:])
	id := uuid.UUID(hash[:len(uuid.Nil)])
	id[6] = id[6]&0x0f | 8<<4 // version 8: RFC 9562, section 5.8
	id[8] = id[8]&0x3f | 0x80 // variant: RFC 9562, section 4.1
	return id.String()
}
