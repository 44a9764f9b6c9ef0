package object_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sessionkv/session/internal/object"
)

func requireText(t *testing.T, o object.Object, want string) {
	t.Helper()
	if got := string(o.AppendTo(nil)); got != want {
		t.Errorf("the object is %s, want %s", got, want)
	}
	if o.Size() != len(want) {
		t.Errorf("Size() = %d, want %d", o.Size(), len(want))
	}
}

func TestZeroObjectIsEmpty(t *testing.T) {
	var o object.Object
	requireText(t, o, `{}`)
	if _, ok := o.Get("a"); ok {
		t.Error("it has a member")
	}
	if !object.Equal(o, mustParse(t, []byte(` { } `))) {
		t.Error("it differs from a parsed empty object")
	}
	o.Delete("a")
	o.Set("a", []byte(`1`))
	requireText(t, o, `{"a":1}`)
}

func TestGet(t *testing.T) {
	for _, tt := range []struct {
		name, text, member, want string
		ok                       bool
	}{
		{"a value is raw text", `{"n":9007199254740993.10}`, "n", `9007199254740993.10`, true},
		{"white space around a value is not part of it", `{"a" : [ 1 ] , "b":2}`, "a", `[ 1 ]`, true},
		{"a missing name", `{"a":1}`, "b", ``, false},
		{"null is a value", `{"a":null}`, "a", `null`, true},
		{"nested names are not members", `{"a":{"b":1}}`, "b", ``, false},
		{"names are case-sensitive", `{"A":1}`, "a", ``, false},
		{"a prefix of a name is not the name", `{"ab":1}`, "a", ``, false},
		{"the empty name", `{"a":1,"":2}`, "", `2`, true},
		{"the last of duplicates", `{"a":1,"b":2,"a":3,"c":4}`, "a", `3`, true},
		{"the last of duplicates if it is the escaped one", `{"_rev":1,"\u005frev":2}`, "_rev", `2`, true},
		{"the last of duplicates if it is the plain one", `{"\u005frev":1,"_rev":2}`, "_rev", `2`, true},
		{"the text of an escaped name is not its name", `{"\u005frev":1}`, `\u005frev`, ``, false},
		{"an escaped quote", `{"a\"b":1}`, `a"b`, `1`, true},
		{"an escaped quote is not a backslash", `{"a\"b":1}`, `a\"b`, ``, false},
		{"an escaped backslash", `{"a\\b":1}`, `a\b`, `1`, true},
		{"the text of a member is no name", `{"a":"b"}`, `a":"b`, ``, false},
		{"a surrogate pair", `{"\ud83d\ude00":1}`, "😀", `1`, true},
		{"a lone surrogate is U+FFFD", `{"\ud800":1}`, "\ufffd", `1`, true},
		{"not UTF-8 is U+FFFD, byte for byte", "{\"a\xff\xfe\":1}", "a\ufffd\ufffd", `1`, true},
		{"not UTF-8 in the name asked for is U+FFFD too", "{\"a\ufffd\":1}", "a\xff", `1`, true},
		{"not UTF-8 on both sides", "{\"\xff\":1}", "\xfe", `1`, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := mustParse(t, []byte(tt.text))
			if got, ok := o.Get(tt.member); string(got) != tt.want || ok != tt.ok {
				t.Errorf("Get(%q) of %s = %s, %v, want %s, %v", tt.member, tt.text, got, ok, tt.want, tt.ok)
			}
		})
	}
}

func TestAppendingToAValueChangesNothing(t *testing.T) {
	raw := []byte(`{"a":1,"b":2}`)
	o := mustParse(t, raw)
	o.Set("c", []byte(`3`))
	for name := range o.Names() {
		value, _ := o.Get(name)
		_ = append(value, "overwritten"...)
	}
	requireText(t, o, `{"a":1,"b":2,"c":3}`)
	if string(raw) != `{"a":1,"b":2}` {
		t.Errorf("the parsed text has become %s", raw)
	}
}

func TestNames(t *testing.T) {
	o := mustParse(t, []byte("{\"b\":1,\"\\u0061\":2,\"\":3,\"b\":4,\"\xff\":5}"))
	if got, want := slices.Collect(o.Names()), []string{"b", "a", "", "b", "\ufffd"}; !slices.Equal(got, want) {
		t.Errorf("Names() = %q, want %q", got, want)
	}
	for name := range o.Names() {
		if name != "b" {
			t.Errorf("the first name is %q", name)
		}
		break
	}
}

func TestChangingWhileRangingOverNames(t *testing.T) {
	o := mustParse(t, []byte(`{"a":1,"b":2,"c":3}`))
	var names []string
	for name := range o.Names() {
		names = append(names, name)
		o.Delete(name)
		o.Set(name+name, []byte(`0`))
	}
	if want := []string{"a", "b", "c"}; !slices.Equal(names, want) {
		t.Errorf("the names are %q, want %q", names, want)
	}
	requireText(t, o, `{"aa":0,"bb":0,"cc":0}`)
}

func TestSet(t *testing.T) {
	for _, tt := range []struct{ name, text, member, value, want string }{
		{"a new member is the last", `{"a":1}`, "b", `2`, `{"a":1,"b":2}`},
		{"the first member", `{}`, "a", `"x"`, `{"a":"x"}`},
		{"a member keeps its place", `{"a":1,"b":2,"c":3}`, "b", `[]`, `{"a":1,"b":[],"c":3}`},
		{"a member keeps the text of its name", `{ "\u0062" : 2 }`, "b", `3`, `{"\u0062" : 3}`},
		{"the last of duplicates", `{"a":1,"a":2,"b":3}`, "a", `4`, `{"a":1,"a":4,"b":3}`},
		{"others keep their text", "{ \"x\" : [ 1.0 ,\n2 ] , \"a\":1}", "a", `2`, "{\"x\" : [ 1.0 ,\n2 ],\"a\":2}"},
		{"a quote in a new name", `{}`, `a"b`, `1`, `{"a\"b":1}`},
		{"a backslash in a new name", `{}`, `a\b`, `1`, `{"a\\b":1}`},
		{"a control character in a new name", `{}`, "a\nb", `1`, `{"a\nb":1}`},
		{"a new name beyond ASCII", `{}`, "日本", `1`, `{"日本":1}`},
		{"a new name that HTML would escape", `{}`, "<&>", `1`, `{"<&>":1}`},
		{"a new name that is not UTF-8", `{}`, "a\xff", `1`, "{\"a\ufffd\":1}"},
		{"an empty name", `{"a":1}`, "", `2`, `{"a":1,"":2}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := mustParse(t, []byte(tt.text))
			o.Set(tt.member, []byte(tt.value))
			requireText(t, o, tt.want)
			if value, ok := o.Get(tt.member); string(value) != tt.value || !ok {
				t.Errorf("Get(%q) = %s, %v after Set", tt.member, value, ok)
			}
			o.Set(tt.member, []byte(`0`)) // finds the member that the first Set has made
			if got := len(slices.Collect(o.Names())); strings.Count(tt.want, ":") != got {
				t.Errorf("a second Set made %d members of %s", got, tt.want)
			}
		})
	}
}

func TestSetOfTheSameValueChangesNothing(t *testing.T) {
	o := mustParse(t, []byte(`{"\u0061" : [1, 2],"b":1}`))
	before := o
	o.Set("a", []byte(`[1, 2]`))
	o.Set("b", []byte(`1`))
	if !object.Equal(o, before) {
		t.Errorf("the object has become %s", o.AppendTo(nil))
	}
}

func TestSetCopiesTheValue(t *testing.T) {
	var o object.Object
	value := []byte(`1`)
	o.Set("a", value)
	setFirst(t, &o, "b", value)
	value[0] = '2'
	requireText(t, o, `{"b":1,"a":1}`)
}

// setFirst makes o what AppendFirst says.
func setFirst(t *testing.T, o *object.Object, name string, value []byte) {
	t.Helper()
	*o = mustParse(t, o.AppendFirst(nil, name, value))
}

func TestAppendFirst(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"an empty object", `{}`, `{"_rev":"9"}`},
		{"a new member", `{"a":1}`, `{"_rev":"9","a":1}`},
		{"the first member", `{"_rev":"1","a":1}`, `{"_rev":"9","a":1}`},
		{"the same value", `{"_rev":"9","a":1}`, `{"_rev":"9","a":1}`},
		{"white space goes", `{"_rev" : "9","a" : 1}`, `{"_rev":"9","a" : 1}`},
		{"a member further on", `{"a":1,"_rev":"1","b":2}`, `{"_rev":"9","a":1,"b":2}`},
		{"an escaped name", `{"\u005frev":"1","a":1}`, `{"_rev":"9","a":1}`},
		{"duplicates", `{"_rev":"1","a":1,"_re\u0076":2,"a":2,"_rev":3}`, `{"_rev":"9","a":1,"a":2}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := mustParse(t, []byte(tt.text))
			setFirst(t, &o, "_rev", []byte(`"9"`))
			requireText(t, o, tt.want)
		})
	}
}

func TestDelete(t *testing.T) {
	for _, tt := range []struct{ name, text, member, want string }{
		{"a missing name", `{"a":1}`, "b", `{"a":1}`},
		{"the only member", `{"a":1}`, "a", `{}`},
		{"a member in the middle", `{"a":1,"b" : 2,"c": 3}`, "b", `{"a":1,"c": 3}`},
		{"all duplicates, however they are written", `{"a":1,"b":2,"\u0061":3,"a":4}`, "a", `{"b":2}`},
		{"not UTF-8", "{\"\xff\":1,\"\\ud800\":2,\"b\":3}", "\xfe", `{"b":3}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := mustParse(t, []byte(tt.text))
			o.Delete(tt.member)
			requireText(t, o, tt.want)
		})
	}
}

func TestDeleteFuncSeesDecodedNames(t *testing.T) {
	o := mustParse(t, []byte(`{"_rev":1,"a":2,"\u005fx":3,"":4,"b_":5}`))
	o.DeleteFunc(func(name []byte) bool { return !strings.HasPrefix(string(name), "_") })
	requireText(t, o, `{"_rev":1,"\u005fx":3}`)
}

func TestEqual(t *testing.T) {
	for _, tt := range []struct {
		name, a, b string
		want       bool
	}{
		{"the same text", `{"a":1,"b":2}`, `{"a":1,"b":2}`, true},
		{"white space between members does not count", `{"a":1,"b":2}`, " { \"a\":1 , \"b\":2 }\n", true},
		{"white space in a member counts", `{"a":1}`, `{"a": 1}`, false},
		{"another value", `{"a":1}`, `{"a":2}`, false},
		{"another order", `{"a":1,"b":2}`, `{"b":2,"a":1}`, false},
		{"one member more", `{"a":1}`, `{"a":1,"b":2}`, false},
		{"another spelling of a name", `{"a":1}`, `{"\u0061":1}`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := object.Equal(mustParse(t, []byte(tt.a)), mustParse(t, []byte(tt.b))); got != tt.want {
				t.Errorf("Equal(%s, %s) = %v", tt.a, tt.b, got)
			}
		})
	}
}

func TestCopiesDoNotSeeEachOthersChanges(t *testing.T) {
	const text = `{"_rev":"1","a":1,"b":2,"a":3}`
	for _, tt := range []struct {
		name   string
		change func(*object.Object)
	}{
		{"Set in place", func(o *object.Object) { o.Set("b", []byte(`9`)) }},
		{"Set of a new member", func(o *object.Object) { o.Set("c", []byte(`9`)) }},
		{"AppendFirst", func(o *object.Object) { o.AppendFirst(nil, "_rev", []byte(`9`)) }},
		{"Delete", func(o *object.Object) { o.Delete("a") }},
		{"DeleteFunc", func(o *object.Object) { o.DeleteFunc(func([]byte) bool { return true }) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := mustParse(t, []byte(text))
			snapshot := o
			tt.change(&o)
			requireText(t, snapshot, text)
			changed := string(o.AppendTo(nil))
			snapshot.Set("b", []byte(`"other"`))
			snapshot.Set("new", []byte(`"other"`))
			setFirst(t, &snapshot, "_rev", []byte(`"other"`))
			snapshot.Delete("a")
			requireText(t, o, changed)
		})
	}
}

// One copy may append to the arrays that it shares with others, and no second one.
func TestCopiesDoNotSeeWhatTheOthersAppend(t *testing.T) {
	var o object.Object
	for _, name := range []string{"a", "b", "c", "d"} {
		first, second := o, o
		first.Set(name, []byte(`1`))
		second.Set(name, []byte(`2`))
		third := first
		third.Set("more", []byte(`3`))
		first.Set("other", []byte(`4`))
		before := string(o.AppendTo(nil))
		inner := strings.TrimPrefix(strings.Trim(before, "{}")+",", ",")
		requireText(t, first, `{`+inner+`"`+name+`":1,"other":4}`)
		requireText(t, second, `{`+inner+`"`+name+`":2}`)
		requireText(t, third, `{`+inner+`"`+name+`":1,"more":3}`)
		o.Set(name, []byte(`0`))
	}
}

// The race detector watches: copies share their members, and Parse shares its scratch space.
func TestCopiesServeManyGoroutines(t *testing.T) {
	shared := mustParse(t, sample(4<<10, 40))
	shared.Set("last", []byte(`0`))
	var group sync.WaitGroup
	for i := range 8 {
		o := shared
		group.Go(func() {
			o.Set("new", []byte{'0' + byte(i)})
			if value, _ := o.Get("new"); string(value) != string('0'+rune(i)) {
				t.Errorf("copy %d has %s from another", i, value)
			}
			for range 50 {
				o.Set("key7", []byte{'0' + byte(i)})
				setFirst(t, &o, "_rev", []byte{'0' + byte(i)})
				o.Delete("key8")
				if reparsed := mustParse(t, o.AppendTo(nil)); !object.Equal(reparsed, o) {
					t.Error("the text does not parse to the same object")
				}
			}
		})
	}
	group.Wait()
}

func TestAppendToKeepsWhatIsThere(t *testing.T) {
	o := mustParse(t, []byte(`{"a":1}`))
	if got := string(o.AppendTo([]byte("data: "))); got != `data: {"a":1}` {
		t.Errorf("AppendTo = %s", got)
	}
}

func TestFitsIsWhatAMemberCanBe(t *testing.T) {
	for _, depth := range []int{0, 1, 9_998, 9_999, 10_000, 10_001} {
		for _, brackets := range []string{"[]", `{"a":}`} {
			half := len(brackets) - 1
			value := strings.Repeat(brackets[:half], depth) + "0" + strings.Repeat(brackets[half:], depth)
			_, err := object.Parse([]byte(`{"member":` + value + `}`))
			if got := object.Fits([]byte(value)); got != (err == nil) {
				t.Errorf("%d levels of %s: Fits is %v, Parse returns %v", depth, brackets, got, err)
			}
		}
	}
	if wide := "[" + strings.Repeat("[],", 20_000) + "0]"; !object.Fits([]byte(wide)) {
		t.Error("a flat array does not fit")
	}
}
