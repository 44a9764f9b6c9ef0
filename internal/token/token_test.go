package token

import (
	"crypto/sha256"
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
		made := New(now, 8*time.Hour)
		if !form.MatchString(made.Text) || seen[made.Text] || seen[made.ID] {
			t.Fatalf("a token or an ID is malformed or was there before: %s", made.ID)
		}
		seen[made.Text], seen[made.ID] = true, true
		deadline, ok := deadline(made.Text)
		if want := now.Add(8*time.Hour + time.Second).Truncate(time.Second); !ok || !deadline.Equal(want) || !made.Deadline.Equal(want) {
			t.Fatalf("deadline %v, want %v", deadline, want)
		}
	}
}

// Each random byte of a token takes all its values: with 5,000 tokens, one value of a byte is expected 19.5 times.
func TestTokensAreEvenlySpread(t *testing.T) {
	const tokens = 5000
	var counts [size][256]int
	for range tokens {
		raw, err := encoding.DecodeString(New(time.Now(), time.Hour).Text)
		if err != nil {
			t.Fatal(err)
		}
		for i, b := range raw {
			counts[i][b]++
		}
	}
	for i := deadlineBytes; i < size; i++ {
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
	token := New(time.Now(), time.Hour).Text
	want := uuid.NewHash(sha256.New(), uuid.Nil, []byte(token), 8)
	if got := id(token); got != want.String() || want.Version() != 8 || want.Variant() != uuid.RFC4122 {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestDeadlinesOfFiveBytes(t *testing.T) {
	now := time.Now()
	for _, lifetime := range []time.Duration{time.Second, 8 * time.Hour, 400 * 24 * time.Hour, 1<<63 - 1} {
		made := New(now, lifetime)
		if got, ok := deadline(made.Text); !ok || !got.Equal(made.Deadline) || got.Before(now.Add(lifetime)) {
			t.Errorf("%v: deadline %v", lifetime, got)
		}
	}
}

func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		New(time.Now(), time.Hour)
	}
}

func BenchmarkParse(b *testing.B) {
	text := New(time.Now(), time.Hour).Text
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := Parse(text, time.Now()); !ok {
			b.Fatal("not a token")
		}
	}
}
