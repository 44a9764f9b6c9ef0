package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/sessionkv/session/internal/object"
)

// Compacting never changes what the changes make of a value, whatever that is. The order of the members may change: a key
// that is set twice then stands where its second Set puts it. With a save of unknown outcome in between, both its changes
// and those made since have to lead to the same.
func TestCompactingNeverChangesTheOutcome(t *testing.T) {
	seed := rand.Uint64()
	for i := range uint64(1000) {
		random := rand.New(rand.NewPCG(seed, i))
		plain, compacted := new(changes), new(changes)
		sent := -1
		for range random.IntN(200) {
			next := randomChange(random)
			plain.list = append(plain.list, next)
			compacted.add(next)
			switch random.IntN(30) {
			case 0:
				compacted.compact()
			case 1:
				if sent < 0 {
					sent = len(plain.list)
					plain.send()
					compacted.send()
				}
			}
		}
		base := randomMembers(random)
		compareOutcomes(t, base, plain, compacted)
		if sent >= 0 {
			plain.dropSent()
			compacted.dropSent()
			compareOutcomes(t, base, plain, compacted)
			compacted.compact()
			compareOutcomes(t, randomMembers(random), plain, compacted)
		}
		if t.Failed() {
			t.Fatalf("sequence %d of the seed %d", i, seed)
		}
	}
}

// A save of unknown outcome is repeated as it was: nothing that came later replaces what it sent.
func TestCompactingLeavesASaveOfUnknownOutcomeAlone(t *testing.T) {
	var c changes
	c.add(change{kind: setting, key: "a", raw: []byte("1")})
	c.send()
	c.add(change{kind: setting, key: "a", raw: []byte("2")})
	c.add(change{kind: clearing})
	c.compact()
	if len(c.list) != 2 || c.sent != 1 || string(c.list[0].raw) != "1" {
		t.Errorf("%d changes, %d sent", len(c.list), c.sent)
	}
	c.dropSent()
	if len(c.list) != 1 || c.list[0].kind != clearing {
		t.Errorf("%d changes left", len(c.list))
	}
}

// testKeys are few, so that changes meet.
var testKeys = []string{"a", "b", "c", "d", `"`}

// randomChange returns a change that fails on no value.
func randomChange(random *rand.Rand) change {
	key := testKeys[random.IntN(len(testKeys))]
	switch n := random.IntN(20); {
	case n < 8:
		return change{kind: setting, key: key, raw: strconv.AppendInt(nil, random.Int64N(10), 10)}
	case n < 14:
		return change{kind: updating, key: key, update: func(raw []byte, ok bool) ([]byte, error) {
			return strconv.AppendQuote(nil, fmt.Sprint(n, ok, len(raw), string(raw[:min(len(raw), 3)]))), nil
		}}
	case n < 19:
		return change{kind: deleting, key: key}
	default:
		return change{kind: clearing}
	}
}

// randomMembers returns an object that may have reserved members and two of one name.
func randomMembers(random *rand.Rand) object.Object {
	text := []byte("{")
	for range random.IntN(8) {
		name := append(slices.Clone(testKeys), "_own", "other")[random.IntN(len(testKeys)+2)]
		text = fmt.Appendf(text, "%q:%d,", name, random.IntN(10))
	}
	members, err := object.Parse(append(bytes.TrimSuffix(text, []byte(",")), '}'))
	if err != nil {
		panic(err)
	}
	return members
}

func compareOutcomes(t *testing.T, base object.Object, plain, compacted *changes) {
	t.Helper()
	want, got := outcome(t, base, plain), outcome(t, base, compacted)
	if want != got {
		t.Errorf("on %s %d changes make %s, compacted to %d they make %s",
			base.AppendTo(nil), len(plain.list), want, len(compacted.list), got)
	}
}

// outcome returns what the changes make of base, in the order of the names.
func outcome(t *testing.T, base object.Object, c *changes) string {
	t.Helper()
	if err := c.doAgain(&base); err != nil {
		t.Fatal(err)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(base.AppendTo(nil), &members); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
