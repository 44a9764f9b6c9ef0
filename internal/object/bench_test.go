package object_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/sessionkv/session/internal/object"
)

// sample returns an object of about size bytes: members of equal size and of every kind a session holds.
func sample(size, members int) []byte {
	raw := []byte(`{"_rev":"pX2abcdefghijkl"`)
	pad := max(0, size/members-40)
	for i := range members - 1 {
		raw = append(raw, fmt.Sprintf(`,"key%d":`, i)...)
		switch text := strings.Repeat("x", pad); i % 4 {
		case 0:
			raw = append(raw, fmt.Sprintf(`%q`, text+"0123456789012345678901234")...)
		case 1:
			raw = append(raw, fmt.Sprintf(`{"id":%d,"name":%q,"ok":true}`, 1000+i, text)...)
		case 2:
			raw = append(raw, fmt.Sprintf(`[1,2.5,%q,null,-17]`, text)...)
		case 3:
			raw = append(raw, fmt.Sprintf(`"%s\nline \"two\" \u00e9"`, text)...)
		}
	}
	return append(raw, '}')
}

func bigString(part string, size int) []byte {
	return []byte(`{"_rev":"1","big":"` + strings.Repeat(part, size/len(part)) + `"}`)
}

func mustParse(tb testing.TB, raw []byte) object.Object {
	tb.Helper()
	o, err := object.Parse(raw)
	if err != nil {
		tb.Fatal(err)
	}
	return o
}

func BenchmarkParse(b *testing.B) {
	const mega = 1 << 20
	for _, bench := range []struct {
		name string
		raw  func() []byte
	}{
		{"200B", func() []byte { return sample(200, 5) }},
		{"4kB", func() []byte { return sample(4<<10, 40) }},
		{"64kB", func() []byte { return sample(64<<10, 250) }},
		{"1MB", func() []byte { return sample(mega, 1000) }},
		{"10MB in 100,000 members", func() []byte { return sample(10*mega, 100_000) }},
		{"10MB ASCII string", func() []byte { return bigString("The quick brown fox jumps over the lazy dog. ", 10*mega) }},
		{"10MB string with an escape in 64 bytes", func() []byte { return bigString(strings.Repeat("x", 62)+`\n`, 10*mega) }},
		{"10MB string with an escape in 16 bytes", func() []byte { return bigString(`fourteen bytes\n`, 10*mega) }},
		{"10MB string of escapes", func() []byte { return bigString(`\n\u00e9`, 10*mega) }},
		{"1MB of numbers", func() []byte { return []byte(`{"a":[` + strings.Repeat("12345.5,", mega/8) + `0]}`) }},
	} {
		b.Run(bench.name, func(b *testing.B) {
			raw := bench.raw()
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				mustParse(b, raw)
			}
		})
	}
	b.Run("4kB with encoding/json", func(b *testing.B) {
		raw := sample(4<<10, 40)
		b.SetBytes(int64(len(raw)))
		b.ReportAllocs()
		for b.Loop() {
			var members map[string]json.RawMessage
			if err := json.Unmarshal(raw, &members); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkGet(b *testing.B) {
	o := mustParse(b, sample(4<<10, 40))
	for _, name := range []string{"_rev", "key20", "key38", "absent"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				o.Get(name)
			}
		})
	}
}

func BenchmarkSet(b *testing.B) {
	o := mustParse(b, sample(4<<10, 40))
	for _, name := range []string{"key20", "absent"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				changed := o
				changed.Set(name, []byte(`12345`))
			}
		})
	}
}

// Every Set copies the list of members, so filling an object costs the square of their number.
func BenchmarkFill(b *testing.B) {
	for _, n := range []int{100, 1_000, 10_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			for b.Loop() {
				var o object.Object
				for i := range n {
					o.Set("key"+strconv.Itoa(i), []byte(`1`))
				}
			}
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, bench := range []struct {
		name string
		raw  func() []byte
	}{
		{"4kB", func() []byte { return sample(4<<10, 40) }},
		{"64kB", func() []byte { return sample(64<<10, 250) }},
		{"1MB", func() []byte { return sample(1<<20, 1000) }},
		{"10MB ASCII string", func() []byte { return bigString("The quick brown fox ", 10<<20) }},
	} {
		b.Run(bench.name, func(b *testing.B) {
			o := mustParse(b, bench.raw())
			o.Set("key20", []byte(`12345`))
			b.SetBytes(int64(o.Size()))
			b.ReportAllocs()
			for b.Loop() {
				o.AppendTo(nil)
			}
		})
	}
	b.Run("4kB with another revision, into a buffer", func(b *testing.B) {
		o := mustParse(b, sample(4<<10, 40))
		o.Set("key20", []byte(`12345`))
		var text []byte
		b.ReportAllocs()
		for b.Loop() {
			text = o.AppendFirst(text[:0], "_rev", []byte(`"0123456789abcdef"`))
		}
	})
	b.Run("4kB without reserved members", func(b *testing.B) {
		o := mustParse(b, sample(4<<10, 40))
		b.ReportAllocs()
		for b.Loop() {
			public := o
			public.DeleteFunc(func(name []byte) bool { return bytes.HasPrefix(name, []byte("_")) })
			public.AppendTo(nil)
		}
	})
	b.Run("4kB with encoding/json", func(b *testing.B) {
		var members map[string]json.RawMessage
		if err := json.Unmarshal(sample(4<<10, 40), &members); err != nil {
			b.Fatal(err)
		}
		b.ReportAllocs()
		for b.Loop() {
			members["key20"] = json.RawMessage(`12345`)
			if _, err := json.Marshal(members); err != nil {
				b.Fatal(err)
			}
		}
	})
}
