package session

import (
	"crypto/sha256"
	"net/http"
	"net/http/httptest"
	"regexp"
	"testing"
	"time"

	"github.com/google/uuid"
)

func TestTokensAreUniqueAndNameTheirDeadline(t *testing.T) {
	form := regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)
	seen := make(map[string]bool)
	now := time.Unix(1763801400, 1)
	for range 100_000 {
		cred := newCredential(now, 8*time.Hour)
		if !form.MatchString(cred.token) || seen[cred.token] || seen[cred.id] {
			t.Fatalf("a token or an ID is malformed or was there before: %s", cred.id)
		}
		seen[cred.token], seen[cred.id] = true, true
		deadline, ok := parseToken(cred.token)
		if want := now.Add(8*time.Hour + time.Second).Truncate(time.Second); !ok || !deadline.Equal(want) || !cred.deadline.Equal(want) {
			t.Fatalf("deadline %v, want %v", deadline, want)
		}
	}
}

// Each random byte of a token takes all its values: with 5,000 tokens, one value of a byte is expected 19.5 times.
func TestTokensAreEvenlySpread(t *testing.T) {
	const tokens = 5000
	var counts [tokenBytes][256]int
	for range tokens {
		raw, err := tokenEncoding.DecodeString(newCredential(time.Now(), time.Hour).token)
		if err != nil {
			t.Fatal(err)
		}
		for i, b := range raw {
			counts[i][b]++
		}
	}
	for i := deadlineBytes; i < tokenBytes; i++ {
		var chi2 float64
		const expected = tokens / 256.0
		for _, n := range counts[i] {
			chi2 += (float64(n) - expected) * (float64(n) - expected) / expected
		}
		if chi2 > 420 { // 255 degrees of freedom: once in 10^9
			t.Errorf("byte %d: chi² is %.0f", i, chi2)
		}
	}
}

func TestIDIsTheHashOfTheToken(t *testing.T) {
	token := newCredential(time.Now(), time.Hour).token
	want := uuid.NewHash(sha256.New(), uuid.Nil, []byte(token), 8)
	if got := tokenID(token); got != want.String() || want.Version() != 8 || want.Variant() != uuid.RFC4122 {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestDeadlinesOfFiveBytes(t *testing.T) {
	now := time.Now()
	for _, lifetime := range []time.Duration{time.Second, 8 * time.Hour, 400 * 24 * time.Hour, 1<<63 - 1} {
		cred := newCredential(now, lifetime)
		if got, ok := parseToken(cred.token); !ok || !got.Equal(cred.deadline) || got.Before(now.Add(lifetime)) {
			t.Errorf("%v: deadline %v", lifetime, got)
		}
	}
}

// BenchmarkToken measures a new token, and the way from a request's cookie to what the store is asked for.
func BenchmarkToken(b *testing.B) {
	b.Run("new", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			newCredential(time.Now(), time.Hour)
		}
	})
	b.Run("of a request", func(b *testing.B) {
		cookie := Cookie{}.withDefaults()
		r := httptest.NewRequest("GET", "/", nil)
		r.AddCookie(&http.Cookie{Name: cookie.Name, Value: newCredential(time.Now(), time.Hour).token})
		b.ReportAllocs()
		for b.Loop() {
			var room [maxTokens]reference
			if refs := cookie.references(r, time.Now(), &room); len(refs) != 1 {
				b.Fatalf("%d references", len(refs))
			}
		}
	})
}
