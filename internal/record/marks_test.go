package record

import (
	"encoding/json"
	"reflect"
	"testing"
)

func TestOwnerIsReadAsByEncodingJSON(t *testing.T) {
	texts := []string{
		`1`, `{}`, `{"name":null}`, `{"Name":"a","AT":1}`, `{"at":1,"name":"a","until":2}`, `{"name":"a" , "at":1,"until":2}`,
		`{"name":"a","at":1,"until":2,"more":3}`, `{"name":"a","at":1,"x":{"class":2},"until":3}`, `{"name":"a","at":1,"until":2}`,
		`{"name":"a","at":1,"class":255,"until":2}`, `{"name":"a","at":1,"class":256,"until":2}`, `{"name":"a","at":1,"class":-1,"until":2}`,
		`{"name":"a","at":1.5,"until":2}`, `{"name":"a","at":1,"until":2e3}`, `{"name":"a","at":"1","until":2}`, `{"name":"a","at":1,"at":2,"until":3}`,
		`{"name":"a","name":"b","at":1,"until":2}`, `{"name":"a","at":9223372036854775808,"until":2}`, "{\"name\":\"a\xff\",\"at\":1,\"until\":2}",
		`{"name":"\u0061","at":1,"until":2}`, `{"raw":"YQ==","at":1,"until":2}`, `{"name":"a","raw":"YQ==","at":1,"until":2}`, `{"name":"","at":1,"until":2}`,
	}
	for _, name := range []string{"alice", "älice", "<a>", `"`, `","at":7,"until":8}`, `\`, "\x00", "\u2028", "}"} {
		raw, err := json.Marshal(owner{Name: name, SignedIn: -1, Class: 3, Deadline: 4})
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(raw))
	}
	for _, text := range texts {
		var want owner
		err := json.Unmarshal([]byte(text), &want)
		got, ok := readOwner([]byte(text))
		if ok != (err == nil) || ok && !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %+v, %v, want %+v, %v", text, got, ok, want, err)
		}
	}
}

func TestOwnerIsReadWithOneAllocation(t *testing.T) {
	raw, err := json.Marshal(owner{Name: "alice", SignedIn: 1, Class: 3, Deadline: 4})
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { readOwner(raw) }); n > 1 {
		t.Errorf("%.0f allocations", n)
	}
}
