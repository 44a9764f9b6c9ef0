//go:build !race

// The race detector makes sync.Pool forget at random, so allocations are counted without it.

package object_test

import (
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"github.com/sessionkv/session/internal/object"
)

func TestAllocations(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a collection would empty the pool
	empty, small, large := []byte(`{}`), sample(200, 5), sample(1<<20, 30_000)
	o := mustParse(t, sample(4<<10, 40))
	value := []byte(`"value"`)
	names := strings.Fields(strings.Repeat("key ", 100))
	for i := range names {
		names[i] += strconv.Itoa(i)
	}
	fill := func() {
		var o object.Object
		for _, name := range names {
			o.Set(name, value)
		}
	}
	buffer := make([]byte, 0, o.Size()+100)
	for _, tt := range []struct {
		name string
		want float64
		run  func()
	}{
		{"Parse of a small object", 1, func() { _, _ = object.Parse(small) }},
		{"Parse of many members", 1, func() { _, _ = object.Parse(large) }},
		{"Parse of an empty object", 0, func() { _, _ = object.Parse(empty) }},
		{"Get", 0, func() { o.Get("key20"); o.Get("absent") }},
		{"Set of the same value", 0, func() { o.Set("_rev", []byte(`"pX2abcdefghijkl"`)) }},
		{"Set in place", 2, func() { c := o; c.Set("key20", value) }},
		{"Set of a new member", 3, func() { c := o; c.Set("new", value) }},
		{"Set of 100 new members, in arrays that double", 18, fill},
		{"Delete", 1, func() { c := o; c.Delete("key20") }},
		{"DeleteFunc", 1, func() { c := o; c.DeleteFunc(func(name []byte) bool { return name[0] == '_' }) }},
		{"Equal", 0, func() { object.Equal(o, o) }},
		{"AppendTo nothing", 1, func() { o.AppendTo(nil) }},
		{"AppendTo a buffer", 0, func() { o.AppendTo(buffer) }},
		{"AppendFirst to a buffer", 0, func() { o.AppendFirst(buffer, "_rev", value) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := testing.AllocsPerRun(20, tt.run); got != tt.want {
				t.Errorf("%v allocations, want %v", got, tt.want)
			}
		})
	}
}
