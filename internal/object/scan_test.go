package object_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/sessionkv/session/internal/object"
)

// texts are inputs that a scanner may get wrong, valid or not. They also seed the fuzz tests.
var texts = []struct{ name, text string }{
	{"an empty object is an object", `{}`},
	{"one member", `{"a":1}`},
	{"the layout of a session", `{"_rev":"pX2","time":1763801400,"cart":[1,2]}`},
	{"every kind of value", `{"a":null,"b":true,"c":false,"d":"s","e":-1.5e+3,"f":[1,[],{}],"g":{"h":{"i":""}}}`},
	{"white space of every kind around everything", " \t\r\n{ \"a\" \n:\t 1 ,\r\"b\" : [ 1 , 2 ] , \"c\" : { } } \n"},
	{"white space in an empty object and array", `{ "a" : [ ] , "b" : { "c" : { } } }`},
	{"duplicate names", `{"a":1,"b":2,"a":3,"a":4}`},
	{"an empty name", `{"":1,"":{"":2}}`},

	// Not an object.
	{"nothing", ``},
	{"white space only", " \n"},
	{"null", `null`},
	{"an array", `[{}]`},
	{"a string", `"{}"`},
	{"a number", `1`},
	{"a byte order mark", "\ufeff{}"},
	{"a vertical tab is not white space", "\v{}"},
	{"a no-break space is not white space", "\u00a0{}"},

	// Trailing and missing bytes.
	{"trailing brace", `{}}`},
	{"trailing object", `{} {}`},
	{"trailing comma after the object", `{},`},
	{"trailing NUL", "{}\x00"},
	{"trailing comma after a member", `{"a":1,}`},
	{"trailing comma in an array", `{"a":[1,]}`},
	{"leading comma", `{,"a":1}`},
	{"leading comma in an array", `{"a":[,1]}`},
	{"no comma", `{"a":1 "b":2}`},
	{"no comma in an array", `{"a":[1 2]}`},
	{"two commas", `{"a":1,,"b":2}`},
	{"no colon", `{"a" 1}`},
	{"two colons", `{"a"::1}`},
	{"no value", `{"a":}`},
	{"no value before a comma", `{"a":,"b":1}`},
	{"a name without quotes", `{a:1}`},
	{"a name in single quotes", `{'a':1}`},
	{"a number as name", `{1:1}`},
	{"null as name", `{null:1}`},
	{"a comment", `{"a":1/**/}`},
	{"a wrong closing bracket", `{"a":[1}}`},
	{"a wrong closing brace", `{"a":{"b":1]}`},

	// Numbers.
	{"beyond 2^53", `{"n":9007199254740993}`},
	{"beyond float64", `{"n":1e400,"m":-1E-400}`},
	{"many digits", `{"n":` + strings.Repeat("1234567890", 30) + `.` + strings.Repeat("0", 300) + `}`},
	{"zero in all its forms", `{"a":0,"b":-0,"c":0.0,"d":0e0,"e":-0.0E-0}`},
	{"every form of exponent", `{"a":1e1,"b":1E1,"c":1e+1,"d":1e-1,"e":1.5e01}`},
	{"a leading zero", `{"n":01}`},
	{"a negative leading zero", `{"n":-01}`},
	{"a plus sign", `{"n":+1}`},
	{"a minus sign alone", `{"n":-}`},
	{"two minus signs", `{"n":--1}`},
	{"no digit before the point", `{"n":.5}`},
	{"no digit after the point", `{"n":1.}`},
	{"no digit between point and exponent", `{"n":1.e5}`},
	{"no digit in the exponent", `{"n":1e}`},
	{"no digit after the sign of the exponent", `{"n":1e+}`},
	{"two points", `{"n":1.2.3}`},
	{"two exponents", `{"n":1e2e3}`},
	{"a point in the exponent", `{"n":1e2.3}`},
	{"hexadecimal", `{"n":0x1F}`},
	{"not a number", `{"a":NaN}`},
	{"infinity", `{"a":-Infinity}`},

	// Literals.
	{"a literal cut short", `{"a":tru}`},
	{"a literal with a wrong byte", `{"a":nulL}`},
	{"a literal too long", `{"a":falsee}`},
	{"a literal in capitals", `{"a":True}`},
	{"undefined", `{"a":undefined}`},

	// Strings.
	{"every escape", `{"a":"\"\\\/\b\f\n\r\t\u0041\u00e9\uFfFd"}`},
	{"an unknown escape", `{"a":"\x41"}`},
	{"an escaped single quote", `{"a":"\'"}`},
	{"a capital escape", `{"a":"\N"}`},
	{"a short unicode escape", `{"a":"\u004"}`},
	{"a unicode escape with a wrong digit", `{"a":"\u00g1"}`},
	{"a capital unicode escape", `{"a":"\U0041"}`},
	{"the escaped quote is not the end", `{"a":"\"}`},
	{"a backslash before the end", `{"a":"\\"}`},
	{"a lone high surrogate", `{"a":"\ud800","\ud800":1}`},
	{"a lone low surrogate", `{"a":"\udc00","\udc00x":1}`},
	{"a surrogate pair", `{"a":"\ud83d\ude00","\ud83d\ude00":1}`},
	{"a high surrogate before something else", `{"\ud800\u0041":1,"\ud800\ud800":2,"\ud800\n":3}`},
	{"surrogates encoded as UTF-8", "{\"\xed\xa0\x80\":\"\xed\xb0\x80\"}"},
	{"a newline in a string", "{\"a\":\"\n\"}"},
	{"a NUL in a string", "{\"a\":\"\x00\"}"},
	{"the last control character in a string", "{\"a\":\"0123456\x1f\"}"},
	{"DEL is allowed in a string", "{\"a\":\"\x7f\"}"},
	{"not UTF-8", "{\"\xff\":\"\xc3(\",\"a\xc0\xafb\":1,\"\xe2\x82\":2}"},
	{"names that differ before they are decoded only", "{\"\xff\":1,\"\ufffd\":2,\"\\ufffd\":3,\"\\udfff\":4}"},
	{"line separators are allowed in a string", "{\"\u2028\":\"\u2029\"}"},

	// Names.
	{"an escaped name", `{"\u005frev":"1","_rev":"2"}`},
	{"an escaped name after a plain one", `{"_rev":"1","\u005frev":"2"}`},
	{"escapes in a name", `{"a\"b":1,"a\\b":2,"a\/b":3,"\u0000":4,"\n":5}`},
	{"HTML in a name", `{"<a>&":1,"\u003ca\u003e\u0026":2}`},
	{"names beyond ASCII", `{"é":1,"e\u0301":2,"日本":3,"😀":4}`},
	{"a bad escape in a name", `{"\q":1}`},
	{"a bad escape in a nested name", `{"a":{"\q":1}}`},
}

// nested returns an object in which depth brackets are open at once, its own brace included.
func nested(opening, closing string, depth int) []byte {
	return []byte(`{"a":` + strings.Repeat(opening, depth-1) + `1` + strings.Repeat(closing, depth-1) + `}`)
}

// requireAgreement holds Parse to what encoding/json says about raw.
func requireAgreement(t *testing.T, raw []byte) {
	t.Helper()
	var want map[string]json.RawMessage
	isObject := bytes.HasPrefix(bytes.TrimLeft(raw, " \t\r\n"), []byte("{"))
	valid := json.Valid(raw) && isObject
	o, err := object.Parse(raw)
	if (err == nil) != valid {
		t.Fatalf("Parse(%.200q) = %v, but it is valid: %v", raw, err, valid)
	}
	if !valid {
		return
	}
	if err := json.Unmarshal(raw, &want); err != nil {
		t.Fatal(err)
	}
	if got := decoded(&o); !maps.EqualFunc(got, want, sameText) {
		t.Fatalf("members of %.200q are %.200q, want %.200q", raw, got, want)
	}
	requireSameText(t, &o, raw)
}

func decoded(o *object.Object) map[string]json.RawMessage {
	members := map[string]json.RawMessage{}
	for name := range o.Names() {
		members[name], _ = o.Get(name)
	}
	return members
}

func sameText(a, b json.RawMessage) bool { return string(a) == string(b) }

// requireSameText checks that o, parsed from raw and not changed, gives the text of every member as raw has it.
func requireSameText(t *testing.T, o *object.Object, raw []byte) {
	t.Helper()
	text := o.AppendTo(nil)
	if want := "{" + strings.Join(memberTexts(t, raw), ",") + "}"; string(text) != want {
		t.Fatalf("text of %.200q is %.200q, want %.200q", raw, text, want)
	}
	if o.Size() != len(text) {
		t.Fatalf("Size() = %d, but the text has %d bytes", o.Size(), len(text))
	}
}

func memberTexts(t *testing.T, raw []byte) (texts []string) {
	t.Helper()
	for _, m := range split(t, raw) {
		texts = append(texts, m.text)
	}
	return texts
}

func TestParseAgreesWithEncodingJSON(t *testing.T) {
	for _, tt := range texts {
		t.Run(tt.name, func(t *testing.T) { requireAgreement(t, []byte(tt.text)) })
	}
}

func TestParseAgreesOnEveryPrefix(t *testing.T) {
	for _, tt := range texts {
		for end := range tt.text {
			requireAgreement(t, []byte(tt.text[:end]))
		}
	}
}

func TestParseAgreesWhereverOneByteIsAnother(t *testing.T) {
	const replacements = "\x00\x1f \"\\/{}[]:,-+.0159eEtfnuabx\x7f\x80\xff"
	for _, tt := range texts {
		if len(tt.text) > 200 {
			continue
		}
		for i := range tt.text {
			for _, c := range []byte(replacements) {
				raw := []byte(tt.text)
				raw[i] = c
				requireAgreement(t, raw)
			}
		}
	}
}

// Strings are read eight bytes at a time, so each byte must be seen at each place, next to bytes that could hide it.
func TestParseSeesEveryByteOfAString(t *testing.T) {
	neighbours := []byte("\x00\x1f !\"#\\]\x7f\x80\xa2\xdc\xff")
	for place := range 26 {
		for c := range 256 {
			for _, next := range neighbours {
				raw := []byte(`{"a":"xxxxxxxxxxxxxxxxxxxxxxxxxxx"}`)
				raw[6+place], raw[7+place] = byte(c), next
				if _, err := object.Parse(raw); (err == nil) != json.Valid(raw) {
					t.Fatalf("Parse(%q) = %v, want the opposite", raw, err)
				}
			}
		}
	}
}

func TestParseLimitsDepthLikeEncodingJSON(t *testing.T) {
	for _, tt := range []struct{ name, opening, closing string }{
		{"arrays", `[`, `]`},
		{"objects", `{"a":`, `}`},
		{"arrays with white space", ` [ `, ` ] `},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for depth, valid := range map[int]bool{9_999: true, 10_000: true, 10_001: false} {
				raw := nested(tt.opening, tt.closing, depth)
				if _, err := object.Parse(raw); (err == nil) != valid {
					t.Errorf("Parse at depth %d = %v, want valid: %v", depth, err, valid)
				}
				requireAgreement(t, raw)
			}
		})
	}
}

// The limit is on what is open at once: siblings do not add up.
func TestParseTakesManySiblings(t *testing.T) {
	requireAgreement(t, []byte(`{"a":[`+strings.Repeat(`[{"b":{}}],`, 20_000)+`[]]}`))
}

func TestParseTakesManyMembers(t *testing.T) {
	raw := sample(1<<20, 100_000)
	o := mustParse(t, raw)
	if !bytes.Equal(o.AppendTo(nil), raw) {
		t.Error("the text has changed")
	}
	if n := len(slices.Collect(o.Names())); n != 100_000 {
		t.Errorf("%d members, want 100,000", n)
	}
}

func TestParseRefusesWhatOffsetsCannotReach(t *testing.T) {
	raw := make([]byte, object.MaxSize+1) // never written to, so it takes no memory
	if _, err := object.Parse(raw); err == nil || !strings.Contains(err.Error(), "more than 536870912 bytes") {
		t.Errorf("Parse = %v", err)
	}
}

func TestParseErrorSaysWhere(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"nothing", ``, "not a JSON object"},
		{"not an object", ` [1]`, "not a JSON object"},
		{"cut short", `{"a":1`, "JSON object broken at byte 6 of 6"},
		{"cut short in a literal", `{"a":tr`, "JSON object broken at byte 7 of 7"},
		{"trailing byte", `{"a":1} }`, "JSON object broken at byte 8 of 9"},
		{"no colon", `{"a" 1}`, "JSON object broken at byte 5 of 7"},
		{"wrong digit of an escape", `{"a":"\u00g0"}`, "JSON object broken at byte 10 of 14"},
		{"control character", "{\"a\":\"0123456789\n\"}", "JSON object broken at byte 16 of 19"},
		{"nested", `{"a":[1,{"b":[truE]}]}`, "JSON object broken at byte 17 of 22"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := object.Parse([]byte(tt.text)); err == nil || err.Error() != tt.want {
				t.Errorf("Parse(%q) = %v, want %s", tt.text, err, tt.want)
			}
		})
	}
}

// Values are users' data, and errors are logged.
func TestParseErrorQuotesNothing(t *testing.T) {
	const secret = "correct horse battery staple"
	for _, text := range []string{
		secret,
		`"` + secret + `"`,
		`{"` + secret + `":"` + secret + `"`,
		`{"a":` + secret + `}`,
		`{"a":"` + secret + "\x00\"}",
		`{"a":1}` + secret,
	} {
		_, err := object.Parse([]byte(text))
		if err == nil {
			t.Fatalf("Parse(%q) has no error", text)
		}
		for word := range strings.FieldsSeq(secret) {
			if strings.Contains(err.Error(), word) {
				t.Errorf("the error %q quotes %q", err, text)
			}
		}
	}
}
