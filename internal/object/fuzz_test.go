package object_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/sessionkv/session/internal/object"
)

func FuzzParse(f *testing.F) {
	for _, tt := range texts {
		f.Add([]byte(tt.text))
	}
	for depth := 9_999; depth <= 10_001; depth++ {
		f.Add(nested(`[`, `]`, depth))
		f.Add(nested(`{"a":`, `}`, depth))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		before := bytes.Clone(raw)
		requireAgreement(t, raw)
		if !bytes.Equal(raw, before) {
			t.Fatal("Parse has changed its input")
		}
	})
}

// A modelMember is a member as encoding/json's decoder sees it. A member that an operation has made has no text.
type modelMember struct{ name, value, text string }

// A model is what an object should be, kept in the simplest way.
type model []modelMember

// split reads the members of raw, which must be a valid object, through the token stream of encoding/json.
func split(t *testing.T, raw []byte) model {
	t.Helper()
	var members model
	d := json.NewDecoder(bytes.NewReader(raw))
	if _, err := d.Token(); err != nil {
		t.Fatal(err)
	}
	for d.More() {
		start := d.InputOffset()
		name, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			t.Fatal(err)
		}
		text := strings.TrimLeft(string(raw[start:d.InputOffset()]), " \t\r\n,")
		members = append(members, modelMember{name.(string), string(value), text})
	}
	return members
}

func (m model) get(name string) (value string, ok bool) {
	for _, member := range m {
		if member.name == name {
			value, ok = member.value, true
		}
	}
	return value, ok
}

func (m model) set(name, value string) model {
	changed := slices.Clone(m)
	for i, member := range slices.Backward(m) {
		if member.name == name {
			changed[i].value = value
			changed[i].text = strings.TrimSuffix(member.text, member.value) + value
			if member.text == "" {
				changed[i].text = ""
			}
			return changed
		}
	}
	return append(changed, modelMember{name, value, ""})
}

func (m model) deleteFunc(del func(name string) bool) model {
	return slices.DeleteFunc(slices.Clone(m), func(member modelMember) bool { return del(member.name) })
}

func (m model) setFirst(name, value string) model {
	others := m.deleteFunc(func(n string) bool { return n == name })
	return append(model{{name, value, ""}}, others...)
}

// requireModel checks that o is what m says, through its text and through its methods.
func requireModel(t *testing.T, o *object.Object, m model) {
	t.Helper()
	text := o.AppendTo(nil)
	if o.Size() != len(text) {
		t.Fatalf("Size() = %d, but the text has %d bytes", o.Size(), len(text))
	}
	if reparsed := mustParse(t, text); !object.Equal(reparsed, *o) {
		t.Fatalf("%q parses to another object", text)
	}
	same := func(got, want modelMember) bool {
		return got.name == want.name && got.value == want.value && (want.text == "" || got.text == want.text)
	}
	if got := split(t, text); !slices.EqualFunc(got, m, same) {
		t.Fatalf("the object is %q, want %q", got, m)
	}
	i := 0
	for name := range o.Names() {
		if i == len(m) || name != m[i].name {
			t.Fatalf("name %d is %q in %q", i, name, m)
		}
		want, _ := m.get(name)
		if got, ok := o.Get(name); !ok || string(got) != want {
			t.Fatalf("Get(%q) = %s, %v, want %s", name, got, ok, want)
		}
		i++
	}
}

// asDecoded returns name as it comes back from an object.
func asDecoded(t *testing.T, name string) (decoded string) {
	t.Helper()
	text, err := json.Marshal(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &decoded); err != nil {
		t.Fatal(err)
	}
	return decoded
}

// operate does what op says to o and to m. The name is one of two, the value one of many.
func operate(t *testing.T, op byte, name string, o *object.Object, m model) model {
	t.Helper()
	if op&4 != 0 {
		name = "_rev"
	}
	known := asDecoded(t, name)
	value := []string{`1`, `"x"`, `{"a": [1e400,"\ud800"]}`, `null`}[op>>3&3]
	switch op & 3 {
	case 0:
		o.Set(name, []byte(value))
		return m.set(known, value)
	case 1:
		setFirst(t, o, name, []byte(value))
		return m.setFirst(known, value)
	case 2:
		o.Delete(name)
		return m.deleteFunc(func(n string) bool { return n == known })
	default:
		o.DeleteFunc(func(n []byte) bool { return len(n)%4 == int(op>>3&3) })
		return m.deleteFunc(func(n string) bool { return len(n)%4 == int(op>>3&3) })
	}
}

func FuzzOperations(f *testing.F) {
	for i, tt := range texts {
		name := []string{"a", "", "\xff", "\ufffd", `a"b`, "é", "<a>&", "\n"}[i%8]
		f.Add([]byte(tt.text), name, []byte{0, 8, 4, 1, 5, 9, byte(i), 2, 0, 6, 12, 3, 27})
	}
	f.Fuzz(func(t *testing.T, raw []byte, name string, ops []byte) {
		o, err := object.Parse(raw)
		if err != nil || len(ops) > 50 {
			t.Skip()
		}
		m := split(t, raw)
		objects, models := []object.Object{o}, []model{m}
		for _, op := range ops {
			before := o
			m = operate(t, op, name, &o, m)
			if object.Equal(before, o) != (string(before.AppendTo(nil)) == string(o.AppendTo(nil))) {
				t.Fatal("Equal differs from comparing the texts")
			}
			objects, models = append(objects, o), append(models, m)
		}
		// Every snapshot is still what it was, also after a change to all those before it.
		for i := range objects {
			requireModel(t, &objects[i], models[i])
			operate(t, byte(i)&^2, name, &objects[i], models[i])
		}
	})
}
