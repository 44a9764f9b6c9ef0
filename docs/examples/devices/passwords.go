package main

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"sync"
)

// recommendedIterations makes a guess slow enough: OWASP Password Storage Cheat Sheet, PBKDF2-HMAC-SHA256. It also
// makes a sign-in worth a fraction of a second of the processor, so limit the tries of each client in front of it.
const recommendedIterations = 600_000

// passwords are the hashes of the users' passwords. An application has them in its database.
type passwords struct {
	iterations int
	decoy      hash // of no password; for the names of nobody

	mu     sync.Mutex
	byName map[string]hash
}

// A hash is an array and a string, so that two of them can be compared.
type hash struct {
	salt [16]byte
	key  string
}

func newPasswords(iterations int) *passwords {
	return &passwords{iterations: iterations, decoy: hash{key: rand.Text()}, byName: make(map[string]hash)}
}

func (p *passwords) set(name, password string) error {
	next, err := p.hash(password, newSalt())
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.byName[name] = next
	return nil
}

// known returns name if it is that of a user, and otherwise a name that no user has. An attacker who tries many names
// therefore leaves one stamp in Redis and not many, and cannot tell by the time that it takes which names exist.
func (p *passwords) known(name string) string {
	if _, ok := p.get(name); ok {
		return name
	}
	return "nobody at all"
}

// match reports whether this is the password of name. It takes as long for unknown names.
func (p *passwords) match(name, password string) (bool, error) {
	_, ok, err := p.check(name, password)
	return ok, err
}

// change replaces the password of name if old is right, and if nobody else has replaced it meanwhile.
func (p *passwords) change(name, old, password string) (bool, error) {
	was, ok, err := p.check(name, old)
	if err != nil || !ok {
		return false, err
	}
	next, err := p.hash(password, newSalt())
	if err != nil {
		return false, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byName[name] != was {
		return false, nil
	}
	p.byName[name] = next
	return true, nil
}

func (p *passwords) check(name, password string) (was hash, ok bool, err error) {
	was, known := p.get(name)
	got, err := p.hash(password, was.salt)
	if err != nil {
		return hash{}, false, err
	}
	return was, subtle.ConstantTimeCompare([]byte(got.key), []byte(was.key)) == 1 && known, nil
}

func (p *passwords) get(name string) (h hash, known bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if h, known = p.byName[name]; !known {
		h = p.decoy
	}
	return h, known
}

func (p *passwords) hash(password string, salt [16]byte) (hash, error) {
	key, err := pbkdf2.Key(sha256.New, password, salt[:], p.iterations, sha256.Size)
	return hash{salt, string(key)}, err
}

func newSalt() (salt [16]byte) {
	_, _ = rand.Read(salt[:]) // never fails: it ends the program instead
	return salt
}
