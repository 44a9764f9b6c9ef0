package record_test

import (
	"errors"
	"testing"

	"github.com/sessionkv/session/internal/record"
	"github.com/sessionkv/session/internal/testkit"
	"github.com/sessionkv/session/internal/token"
)

// signIn begins a session of user.
func signIn(t *testing.T, k *record.Keeper, user string) token.Reference {
	t.Helper()
	var r record.Record
	r.Init(k)
	if err := errors.Join(r.SignIn(record.SignIn{User: user}), r.Save(t.Context(), nil)); err != nil {
		t.Fatal(err)
	}
	return r.Reference()
}

// With 80 bits two users hardly ever share a tag. If they do, each sees only his own sessions, and the end of all ends
// those of both, which is the safe side.
func TestUsersOfOneTagDoNotSeeEachOther(t *testing.T) {
	record.UseOneTag(t)
	k := newKeeper(testkit.NewMemory())
	alice, bob := signIn(t, k, "alice"), signIn(t, k, "bob")
	for user, ref := range map[string]token.Reference{"alice": alice, "bob": bob} {
		list, err := k.List(t.Context(), user)
		if err != nil || len(list) != 1 || list[0].Reference().ID != ref.ID || list[0].User() != user {
			t.Errorf("%s has %d sessions, %v", user, len(list), err)
		}
		if r := find(t, k, ref); r.User() != user {
			t.Errorf("%s is %q", user, r.User())
		}
	}
	if err := k.EndAll(t.Context(), "alice", 1); err != nil {
		t.Fatal(err)
	}
	for _, ref := range []token.Reference{alice, bob} {
		var r record.Record
		r.Init(k)
		if err := r.Find(t.Context(), []token.Reference{ref}); err != nil || r.IsStored() || r.WhyEnded() != 1 {
			t.Errorf("stored: %v, ended: %d, %v", r.IsStored(), r.WhyEnded(), err)
		}
	}
}

// A value under the ID of a user that does not name that user is no session: somebody has put it there by hand.
func TestValueOfAnotherUserIsNoSession(t *testing.T) {
	memory := testkit.NewMemory()
	k := newKeeper(memory)
	alice, bob := signIn(t, k, "alice"), signIn(t, k, "bob")
	for _, text := range []string{memory.Stored()[bob.ID], `{"n":1}`, `{"_user":1}`, `{"_user":{}}`, `{"_user":{"raw":"!"}}`,
		`{"_user":{"name":"alice","at":"1"}}`, `{"_user":{"name":"alice","class":256}}`, `{"_user":{"name":["alice"]}}`} {
		if err := memory.Bury(t.Context(), []byte(text), 1<<40, alice.ID); err != nil {
			t.Fatal(err)
		}
		var r record.Record
		r.Init(k)
		if err := r.Find(t.Context(), []token.Reference{alice}); err != nil || r.IsStored() || r.User() != "" {
			t.Errorf("%s: stored: %v, %v", text, r.IsStored(), err)
		}
		if list, err := k.List(t.Context(), "alice"); err != nil || len(list) != 0 {
			t.Errorf("%s: %d sessions, %v", text, len(list), err)
		}
	}
}

func TestUserIsReadAsWritten(t *testing.T) {
	k := newKeeper(testkit.NewMemory())
	for _, user := range []string{"alice", `a"l\ice`, "<alice>", "\x00", "\u2028", "älice", "a\xffe", "\\u0061"} {
		if r := find(t, k, signIn(t, k, user)); r.User() != user || r.SignedIn().IsZero() {
			t.Errorf("%q is %q, signed in %v", user, r.User(), r.SignedIn())
		}
	}
}

// What cannot be read as a mark is one that is over.
func TestMarksThatAreNotUnderstoodAreOver(t *testing.T) {
	memory := testkit.NewMemory()
	k := newKeeper(memory)
	for _, text := range []string{
		`{"_renewed":1}`, `{"_renewed":{"until":0,"to":"x"}}`, `{"_renewed":{"until":"soon"}}`, `{"_ended":[]}`, `{"_ended":{"until":1,"why":1}}`,
	} {
		ref := begin(t, k)
		memory.Put(ref.ID, text)
		var r record.Record
		r.Init(k)
		if err := r.Find(t.Context(), []token.Reference{ref}); err != nil || r.IsStored() || r.IsLate() || r.WhyEnded() != 0 {
			t.Errorf("%s: stored: %v, %v", text, r.IsStored(), err)
		}
	}
}
