package main

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
)

// recommendedIterations makes a guess slow enough: OWASP Password Storage Cheat Sheet, PBKDF2-HMAC-SHA256. It also
// makes a sign-in worth a fraction of a second of the processor, so limit the tries of each client in front of it.
const recommendedIterations = 600_000

// passwords are the hashes of the users' passwords. An application has them in its database. They are filled at start-up
// and only read afterwards.
type passwords struct {
	iterations int
	byName     map[string]hash
	decoy      hash // of no password; for the names of nobody
}

type hash struct{ salt, key []byte }

func newPasswords(iterations int) *passwords {
	return &passwords{iterations, make(map[string]hash), hash{random(16), random(sha256.Size)}}
}

func (p *passwords) set(name, password string) error {
	salt := random(16)
	key, err := p.derive(password, salt)
	if err != nil {
		return err
	}
	p.byName[name] = hash{salt, key}
	return nil
}

// known returns name if it is that of a user, and otherwise a name that no user has. An attacker who tries many names
// therefore leaves one stamp in Redis and not many.
func (p *passwords) known(name string) string {
	if _, ok := p.byName[name]; ok {
		return name
	}
	return "nobody at all"
}

// match reports whether this is the password of name. It takes as long for unknown names, so as not to tell which exist.
func (p *passwords) match(name, password string) (bool, error) {
	want, known := p.byName[name]
	if !known {
		want = p.decoy
	}
	key, err := p.derive(password, want.salt)
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(key, want.key) == 1 && known, nil
}

func (p *passwords) derive(password string, salt []byte) ([]byte, error) {
	return pbkdf2.Key(sha256.New, password, salt, p.iterations, sha256.Size)
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: it ends the program instead
	return b
}
