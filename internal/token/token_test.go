package token

import (
	"crypto/sha256"
	"regexp"
	"strings"
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
		ref, ok := Parse(made.Text, now)
		if want := now.Add(8*time.Hour + time.Second).Truncate(time.Second); !ok || ref != made.Reference || !made.Deadline.Equal(want) {
			t.Fatalf("deadline %v, want %v", made.Deadline, want)
		}
	}
}

// Each random byte of a token takes all its values: with 5,000 tokens, one value of a byte is expected 19.5 times.
func TestTokensAreEvenlySpread(t *testing.T) {
	for name, c := range map[string]struct {
		make  func() *Token
		first int // of the random bytes
	}{
		"of nobody": {func() *Token { return New(time.Now(), time.Hour) }, 5},
		"of a user": {func() *Token { return NewOf(Tag("alice"), 1, time.Now(), time.Hour) }, 16},
	} {
		const tokens = 5000
		var counts [size][256]int
		for range tokens {
			raw, err := encoding.DecodeString(c.make().Text)
			if err != nil {
				t.Fatal(err)
			}
			for i, b := range raw {
				counts[i][b]++
			}
		}
		for i := c.first; i < size; i++ {
			var chi2 float64
			const expected = tokens / 256.0
			for _, n := range counts[i] {
				chi2 += (float64(n) - expected) * (float64(n) - expected) / expected
			}
			if chi2 > 420 { // 255 degrees of freedom: once in 10^9
				t.Errorf("%s, byte %d: chi² is %.0f", name, i, chi2)
			}
		}
	}
}

func TestTokenOfAUserNamesItsClassAndTag(t *testing.T) {
	now := time.Now()
	seen := make(map[string]bool)
	for _, user := range []string{"alice", "bob", "a\x00b", "{a}:b", "\xff", strings.Repeat("x", 10_000)} {
		tag := Tag(user)
		made := NewOf(tag, 200, now, time.Hour)
		ref, ok := Parse(made.Text, now)
		if !ok || ref != made.Reference || ref.Class != 200 {
			t.Errorf("%.20q: %+v, %v", user, ref, ok)
		}
		of, uuid, _ := strings.Cut(ref.ID, ":")
		if of != tag || uuid != id(made.Text).String() || seen[tag] || len(tag) != 20 {
			t.Errorf("%.20q: the ID is %s, the tag %s", user, ref.ID, tag)
		}
		seen[tag] = true
	}
}

func TestLayoutsOfLaterBuildsAreNoTokens(t *testing.T) {
	made := New(time.Now(), time.Hour)
	for first := range 256 {
		raw, err := encoding.DecodeString(made.Text)
		if err != nil {
			t.Fatal(err)
		}
		raw[0] = byte(first)
		if ref, ok := Parse(encoding.EncodeToString(raw), time.Now()); ok != (first < 2) || ok && ref.ID == made.ID != (first == 0) {
			t.Errorf("layout %d: %+v, %v", first, ref, ok)
		}
	}
}

func TestIDIsTheHashOfTheToken(t *testing.T) {
	token := New(time.Now(), time.Hour).Text
	want := uuid.NewHash(sha256.New(), uuid.Nil, []byte(token), 8)
	if got := id(token); got != want || want.Version() != 8 || want.Variant() != uuid.RFC4122 {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestDeadlinesReachTo2106(t *testing.T) {
	now := time.Unix(1795000000, 0)
	last := time.Unix(1<<32-1, 0)
	for _, lifetime := range []time.Duration{time.Second, 8 * time.Hour, 400 * 24 * time.Hour, last.Sub(now), 1<<63 - 1} {
		want := now.Add(lifetime)
		if want.After(last) {
			want = last
		}
		for _, made := range []*Token{New(now, lifetime), NewOf(Tag("alice"), 0, now, lifetime)} {
			if ref, ok := Parse(made.Text, now); !ok || !ref.Deadline.Equal(want) {
				t.Errorf("%v: deadline %v, want %v", lifetime, ref.Deadline, want)
			}
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

// The endpoint of the devices gets IDs from anybody, and asks the store for none that no token leads to.
func TestFormOfTheIDOfAUser(t *testing.T) {
	id := NewOf(Tag("alice"), 0, time.Now(), time.Hour).ID
	if !IsOfUser(id) {
		t.Errorf("%s is not the ID of a user", id)
	}
	for _, text := range []string{
		"", ":", id[21:], id[20:], id[:21], id[:21] + "user", id[:21] + "stamp", id[1:], "0" + id, id + "0", strings.ToUpper(id), id + ":" + id,
		"g" + id[1:], "}" + id[1:], id[:21] + "{" + id[21:] + "}", id[:21] + "urn:uuid:" + id[21:], id[:21] + strings.ReplaceAll(id[21:], "-", ""), id + "\n",
	} {
		if IsOfUser(text) {
			t.Errorf("%q is the ID of a user", text)
		}
	}
}
