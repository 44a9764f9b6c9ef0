package storetest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/sessionkv/session/driver"
)

const (
	long  = time.Hour
	short = time.Second // more than the steps of a test take
)

// A suite is the equipment of a test: a store, and the ID of a session that is not in it.
type suite struct {
	*testing.T
	driver.Store
	ctx context.Context
	id  string
}

// value returns a value that is like those of package session: a new revision, then the body.
func value(body string) []byte {
	return fmt.Appendf(nil, `{"_rev":"%s","body":%s}`, rand.Text(), body)
}

func (s suite) load() ([]byte, error) { return s.Store.Load(s.ctx, s.id, long) }
func (s suite) save(was, value []byte) ([]byte, error) {
	return s.Store.Save(s.ctx, s.id, was, value, long)
}
func (s suite) remove() ([]byte, error)               { return s.Store.Delete(s.ctx, s.id, nil) }
func (s suite) removeOnly(was []byte) ([]byte, error) { return s.Store.Delete(s.ctx, s.id, was) }

// mustSave saves, and expects success.
func (s suite) mustSave(was, value []byte) {
	s.Helper()
	s.mustSaveFor(was, value, long)
}

func (s suite) mustSaveFor(was, value []byte, ttl time.Duration) {
	s.Helper()
	current, err := s.Save(s.ctx, s.id, was, value, ttl)
	if err != nil {
		s.Fatalf("Save = %.100q, %v; want success", current, err)
	}
}

// want checks that a call returned this value and this error.
func (s suite) want(value []byte, err error) func(got []byte, gotErr error) {
	return func(got []byte, gotErr error) {
		s.Helper()
		if !bytes.Equal(got, value) || !errors.Is(gotErr, err) {
			s.Fatalf("got %.100q, %v; want %.100q, %v", got, gotErr, value, err)
		}
	}
}

// wantStored checks what is stored.
func (s suite) wantStored(value []byte) {
	s.Helper()
	s.want(value, nil)(s.load())
}

// wantNothing checks that nothing is stored.
func (s suite) wantNothing() {
	s.Helper()
	s.want(nil, driver.ErrNotFound)(s.load())
}

// advance makes time pass.
func (s suite) advance(d time.Duration) {
	if store, ok := s.Store.(interface{ Advance(time.Duration) }); ok {
		store.Advance(d)
		return
	}
	time.Sleep(d)
}
