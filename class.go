package session

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sessionkv/session/internal/record"
)

// A Class is a kind of sessions with lifetimes of its own; see [SignIn]. It stands in the token. Therefore do not give
// a number another meaning as long as there are tokens with it. What Config says of a class also holds for its living
// sessions. Only their Lifetime counts from the sign-in and does not change.
type Class uint8

// Remembered is the class for "remember me". Its sessions live 30 days without use and a year in all, and the cookie
// survives the end of the browser. Config.Classes can change this.
const Remembered Class = 1

// Lifetimes are how long the sessions of a class live. A zero IdleTimeout or Lifetime means that of [Config].
// Persistent stands for itself.
type Lifetimes struct {
	IdleTimeout time.Duration
	Lifetime    time.Duration
	Persistent  bool
}

var remembered = Lifetimes{IdleTimeout: 30 * day, Lifetime: 365 * day, Persistent: true}

const (
	day = 24 * time.Hour

	// maxCookieAge is where user agents cut a cookie's life: RFC 6265bis, section 5.5.
	maxCookieAge = 400 * day
)

// classes are the lifetimes of all classes, with their defaults.
type classes map[Class]Lifetimes

// newClasses returns the classes of a Config: plain for class 0, and more for others.
func newClasses(plain Lifetimes, more map[Class]Lifetimes) classes {
	all := classes{Remembered: remembered}
	maps.Copy(all, more)
	for class, l := range all {
		l.IdleTimeout = cmp.Or(l.IdleTimeout, plain.IdleTimeout)
		l.Lifetime = cmp.Or(l.Lifetime, max(plain.Lifetime, l.IdleTimeout))
		all[class] = l
	}
	all[0] = plain
	return all
}

// lifetimes returns the classes in the form that package record uses.
func (c classes) lifetimes() map[uint8]record.Lifetimes {
	all := make(map[uint8]record.Lifetimes, len(c))
	for class, l := range c {
		all[uint8(class)] = record.Lifetimes{IdleTimeout: l.IdleTimeout, Lifetime: l.Lifetime}
	}
	return all
}

// arePersistent reports whether the cookies of sessions of this class survive the end of the browser.
func (c classes) arePersistent(class Class) bool {
	l, ok := c[class]
	if !ok {
		l = c[0]
	}
	return l.Persistent
}

func (c classes) validate() error {
	var errs []error
	for _, class := range slices.Sorted(maps.Keys(c)) {
		field := fmt.Sprintf("Config.Classes[%d].", class)
		if class == 0 {
			field = "Config."
		}
		errs = append(errs, c[class].validate(field))
	}
	return errors.Join(errs...)
}

// validate checks lifetimes that have their defaults.
func (l Lifetimes) validate(field string) error {
	var errs []error
	atLeast := func(name string, got, least time.Duration) {
		if got < least {
			errs = append(errs, fmt.Errorf("session: %s%s is %v: it must be at least %v, or 0 for the default", field, name, got, least))
		}
	}
	atLeast("IdleTimeout", l.IdleTimeout, time.Millisecond)
	atLeast("Lifetime", l.Lifetime, time.Second)
	if l.Persistent && l.Lifetime > maxCookieAge {
		errs = append(errs, fmt.Errorf("session: %sLifetime %v is more than the 400 days that browsers keep a Persistent cookie", field, l.Lifetime))
	}
	return errors.Join(errs...)
}
