package boltstore

import "sync"

// A touch is when a value that was loaded will expire. It holds for one version of the value. A save gives the value
// another version.
type touch struct {
	version uint64
	ends    int64
}

// touches are those that are not in the file yet, by the ID. A load makes a touch in place of a write, and need not
// wait for the disk.
type touches struct {
	mu   sync.Mutex
	byID map[string]touch
}

// get returns when this version of the value of id ends; stored is what the file says.
func (t *touches) get(id string, version uint64, stored int64) int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if found, ok := t.byID[id]; ok && found.version == version {
		return found.ends
	}
	return stored
}

// set keeps a touch and returns how many there are.
func (t *touches) set(id string, latest touch) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byID == nil {
		t.byID = make(map[string]touch)
	}
	t.byID[id] = latest
	return len(t.byID)
}

// all returns them in parts of up to n.
func (t *touches) all(n int) (parts []map[string]touch) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, touched := range t.byID {
		if last := len(parts) - 1; last < 0 || len(parts[last]) == n {
			parts = append(parts, make(map[string]touch))
		}
		parts[len(parts)-1][id] = touched
	}
	return parts
}

// forget drops those of a part that have not changed since.
func (t *touches) forget(part map[string]touch) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, touched := range part {
		if t.byID[id] == touched {
			delete(t.byID, id)
		}
	}
}
