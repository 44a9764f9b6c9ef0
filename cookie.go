package session

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sessionkv/session/internal/token"
)

// Cookie describes the cookie that carries the session's token. It is always HttpOnly, and it is Secure unless
// InsecureHTTP is set. The zero value is the strictest that works for most sites: the prefix of the name binds it to
// one host, it is SameSite=Lax, and it is gone when the browser is closed.
type Cookie struct {
	// Name of the cookie. Empty means "__Host-session". If the rules of that prefix do not hold, because Domain,
	// InsecureHTTP, or a Path other than "/" is set, empty means "session". A name with a prefix of RFC 6265bis,
	// section 4.1.3, must obey its rules.
	Name string

	// Domain lets the hosts below a domain share the cookie. Empty means this host alone.
	Domain string

	// Path that the cookie is sent to. Empty means "/".
	Path string

	// SameSite is Lax, Strict or None; 0 means Lax. None needs Secure. See RFC 6265bis, section 4.1.2.7.
	SameSite http.SameSite

	// Partitioned is for a cookie that is used inside of other sites. Each of these sites then has a cookie of its own
	// (CHIPS). It needs Secure.
	Partitioned bool

	// InsecureHTTP sends the cookie over plain HTTP too. Anybody on the way can then read and replay it. It is meant
	// for development.
	InsecureHTTP bool
}

const (
	hostCookieName  = "__Host-session"
	plainCookieName = "session"

	// maxCookieSize, for name and value, and maxAttributeSize are the sizes that user agents accept: RFC 6265bis,
	// section 5.6.
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
func (c Cookie) validate() error {
	return errors.Join(c.validateAttributes(), c.validatePrefix())
}

func (c Cookie) validateAttributes() error {
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }

	sample := http.Cookie{Name: c.Name, Value: "v", Path: c.Path, Domain: c.Domain}
	if err := sample.Valid(); err != nil {
		fault("session: Config.Cookie: %w", err)
	}
	if len(c.Name)+token.Length > maxCookieSize {
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

const hostPrefix = "__host-"

// isPrefixed compares without regard to case, as browsers do: RFC 6265bis, section 5.7.
func isPrefixed(name, prefix string) bool { return strings.HasPrefix(strings.ToLower(name), prefix) }

func (c Cookie) validatePrefix() error {
	switch {
	case isPrefixed(c.Name, hostPrefix):
		if err := c.hostRules(); err != nil {
			return fmt.Errorf("session: Config.Cookie.Name %q: %w", c.Name, err)
		}
	case isPrefixed(c.Name, "__secure-"), isPrefixed(c.Name, "__http-"):
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

// set puts the cookie with this token into h, in place of one that is there already, because RFC 6265bis, section
// 4.1.1, forbids two of a name in one response. It also clears the twins, if there are any. A persistent cookie
// outlives the browser.
func (c Cookie) set(h http.Header, issued *token.Token, persistent bool, twins []*http.Cookie) {
	cookie := c.attributes()
	cookie.Value = issued.Text
	if persistent {
		cookie.MaxAge = max(1, int(time.Until(issued.Deadline).Seconds()))
	}
	c.replace(h, append(twins, cookie))
}

// clear tells the browser to drop the cookie and its twins.
func (c Cookie) clear(h http.Header, twins []*http.Cookie) {
	c.replace(h, append(twins, c.cleared()))
}

// cleared is the cookie that makes a browser drop c. All attributes must be those that c was set with.
func (c Cookie) cleared() *http.Cookie {
	cookie := c.attributes()
	cookie.MaxAge = -1
	cookie.Expires = time.Unix(0, 0)
	return cookie
}

// twins are the cookies that make the browser of a request to host drop those of the same name that c does not replace.
// If the hosts of a Domain share c, that is the cookie of one host. If c is of one host, these are the cookies of a
// Domain. They come before c itself, because some clients do not tell the cookie of a host from that of a Domain of the
// same name.
func (c Cookie) twins(host string) (twins []*http.Cookie) {
	if c.Domain != "" {
		c.Domain = ""
		return append(twins, c.cleared())
	}
	if isPrefixed(c.Name, hostPrefix) {
		return nil // with a Domain, browsers refuse a cookie of this name
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if net.ParseIP(host) != nil {
		return nil
	}
	for ; strings.Contains(host, "."); _, host, _ = strings.Cut(host, ".") {
		c.Domain = host
		twins = append(twins, c.cleared())
	}
	return twins
}

// isWithheld reports whether the browser has kept the cookie back because another site has made the request, as far as
// Fetch Metadata tell. Browsers send a Lax cookie with another site's request only if the request navigates the whole
// page by a safe method. They never send a Strict one: RFC 6265bis, section 5.8.3.
func (c Cookie) isWithheld(r *http.Request) bool {
	if r.Header.Get("Sec-Fetch-Site") != "cross-site" || c.SameSite == http.SameSiteNoneMode || len(r.CookiesNamed(c.Name)) > 0 {
		return false
	}
	return c.SameSite == http.SameSiteStrictMode || !isSafe(r.Method) || !isNavigation(r.Header)
}

// isSafe is RFC 9110, section 9.2.1.
func isSafe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions || method == http.MethodTrace
}

// isNavigation reports whether a request leads the whole page somewhere else, not a frame in it.
func isNavigation(h http.Header) bool {
	return h.Get("Sec-Fetch-Mode") == "navigate" && h.Get("Sec-Fetch-Dest") == "document"
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

func (c Cookie) replace(h http.Header, cookies []*http.Cookie) {
	lines := h["Set-Cookie"][:0:0]
	for _, line := range h["Set-Cookie"] {
		if !strings.HasPrefix(line, c.Name+"=") {
			lines = append(lines, line)
		}
	}
	for _, cookie := range cookies {
		if line := cookie.String(); line != "" { // a Host may be no valid Domain
			lines = append(lines, line)
		}
	}
	h["Set-Cookie"] = lines
}

// references returns what the request's cookies refer to: each well-formed token that is not past its deadline, once.
// If there are more than maxTokens of them, this is an attack or a fault, and none is returned. The room belongs to the
// caller, so that the usual single cookie costs no allocation.
func (c Cookie) references(r *http.Request, now time.Time, room *[maxTokens]token.Reference) []token.Reference {
	refs := room[:0]
	for _, line := range r.Header["Cookie"] {
		for pair := ""; line != ""; {
			pair, line, _ = strings.Cut(line, ";")
			ref, ok := token.Parse(valueOf(c.Name, pair), now)
			if !ok || slices.Contains(refs, ref) {
				continue
			}
			if len(refs) == maxTokens {
				return nil
			}
			refs = append(refs, ref)
		}
	}
	return refs
}

// valueOf returns the value of a pair of the header Cookie if it has this name, otherwise "". It finds what
// r.CookiesNamed finds, as far as it can be a token, without the allocations of that.
func valueOf(name, pair string) string {
	const space = " \t"
	found, value, _ := strings.Cut(pair, "=")
	if strings.Trim(found, space) != name {
		return ""
	}
	value = strings.TrimRight(value, space)
	if n := len(value); n > 1 && value[0] == '"' && value[n-1] == '"' {
		return value[1 : n-1]
	}
	return value
}

// boundPrefix begins the names of the cookies that prove the device of a session. Chrome refuses its own prefix for
// them.
func (c Cookie) boundPrefix() string {
	if isPrefixed(c.Name, "__host-http-") {
		return "__Host-" + c.Name[len("__host-http-"):] + "-bound-"
	}
	return c.Name + "-bound-"
}

// bound is the cookie that proves the device of a session of a user. Each session has its own name for it, because a
// browser may have the keys of several sessions. With one name, the session that is refreshed last would replace the
// cookie of the others.
func (c Cookie) bound(id string) Cookie {
	_, behind, _ := strings.Cut(id, ":")
	first, _, _ := strings.Cut(behind, "-")
	c.Name = c.boundPrefix() + first
	return c
}
