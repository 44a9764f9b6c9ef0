package record

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/sessionkv/session/driver"
	"github.com/sessionkv/session/internal/value"
)

// Large returns a large value; false if the session has none of that name. If another request has replaced the value, the
// session is loaded anew, and is ErrEnded or ErrRenewed if it is over.
func (r *Record) Large(ctx context.Context, name string) (text []byte, ok bool, err error) {
	missing := ""
	for {
		part := partOf(r.members, name)
		if part == "" {
			return nil, false, nil
		}
		if text, ok := r.parts.text(part); ok {
			return text, true, nil
		}
		text, err := r.keeper.part(ctx, r.ref.ID, part)
		if !errors.Is(err, driver.ErrNotFound) {
			return text, err == nil, err
		}
		if part == missing || r.unsure != nil {
			return nil, false, fmt.Errorf("session: large value %q has gone from the store, which may have evicted it: set or delete it", name)
		}
		missing = part
		if err := r.reload(ctx, (*Keeper).peek); err != nil {
			return nil, false, err
		}
	}
}

// HasLarge reports whether the session has a large value of that name.
func (r *Record) HasLarge(name string) bool { return partOf(r.members, name) != "" }

// SetLarge stores a large value, which the next save puts beside the session. The text must not be changed any more.
func (r *Record) SetLarge(name string, text []byte) error {
	if _, err := r.keeper.large(); err != nil {
		return err
	}
	all := largeOf(r.members)
	size := all.size() - all[name].Bytes + len(text)
	if size > r.keeper.MaxLarge && len(text) > all[name].Bytes {
		return fmt.Errorf("%w: %d bytes of large values with %q, at most %d", value.ErrTooLarge, size, name, r.keeper.MaxLarge)
	}
	large := newLarge(len(text))
	raw, _ := json.Marshal(large) // never fails for this type
	if err := r.change(change{kind: settingLarge, key: name, raw: raw}); err != nil {
		return err
	}
	r.dropPart(all.part(name))
	r.parts.add(large.part(name), text)
	return nil
}

// DeleteLarge removes a large value.
func (r *Record) DeleteLarge(name string) {
	was := partOf(r.members, name)
	r.remove(change{kind: deletingLarge, key: name})
	r.dropPart(was)
}

// dropPart forgets a part that was set and is not wanted any more. That of a save of unknown outcome stays, for its repeat.
func (r *Record) dropPart(name string) {
	if r.unsure == nil {
		r.parts.drop(name)
	}
}
