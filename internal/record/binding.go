package record

import (
	"encoding/base64"
	"encoding/json"
	"strconv"

	"github.com/sessionkv/session/internal/device"
	"github.com/sessionkv/session/internal/object"
)

// boundKey names the member that has the Binding of a user's session, beside that of its owner.
const boundKey = "_bound"

// boundBytes is how much more than MaxBytes a value may have, so that its device's key always finds room.
const boundBytes = 256

// bindingOf returns the Binding in the members of a session, nil if there is none.
func bindingOf(members object.Object, id string) *device.Binding {
	raw, ok := members.Get(boundKey)
	if !ok {
		return nil
	}
	parts, err := object.Parse(raw) // and not package encoding/json, which takes several times as long at each load
	if err != nil {
		return nil
	}
	b := &device.Binding{Secret: bytesIn(parts, "k"), X: bytesIn(parts, "x"), Y: bytesIn(parts, "y"), Session: id}
	if len(b.Secret) == 0 {
		return nil
	}
	if at, ok := parts.Get("at"); ok {
		b.Proved, _ = strconv.ParseInt(string(at), 10, 64)
	}
	return b
}

// bytesIn returns what json.Marshal has made a text of, nil if there is none.
func bytesIn(parts object.Object, name string) []byte {
	text, _ := parts.Get(name)
	if len(text) < 2 {
		return nil
	}
	text = text[1 : len(text)-1]
	raw := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(raw, text)
	if err != nil {
		return nil
	}
	return raw[:n]
}

func setBinding(members *object.Object, b *device.Binding) {
	raw, _ := json.Marshal(b) // never fails for this type
	members.Set(boundKey, raw)
}
