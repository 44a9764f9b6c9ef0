package record

import (
	"encoding/json"

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
	b := new(device.Binding)
	if json.Unmarshal(raw, b) != nil || len(b.Secret) == 0 {
		return nil
	}
	b.Session = id
	return b
}

func setBinding(members *object.Object, b *device.Binding) {
	raw, _ := json.Marshal(b) // never fails for this type
	members.Set(boundKey, raw)
}
