package redisstore

import (
	"sync"
)

// saves keeps the commands of saves to use them again, as loads keeps those of loads.
type saves struct{ staged, ifEqual sync.Pool }

// A stagedSave is SET staged value PX stagedTTL, and replaceScript behind it.
type stagedSave struct {
	first, last int
	ttl         int64
	set         [4]any
	run         [8]any // bytes in place of strings, which would be allocated anew as arguments
	commands    [2]Command
}

// stagedOf returns a save that stages its value under this name.
func (s *saves) stagedOf(c change, name string) *stagedSave {
	save, ok := s.staged.Get().(*stagedSave)
	if !ok {
		save = &stagedSave{set: [4]any{2: "PX", 3: stagedTTL}, run: [8]any{replaceScript.hash, 2, 4: 0, 5: 0, 7: int64(0)}}
		save.commands = [2]Command{{"SET", save.set[:]}, {"EVALSHA", save.run[:]}}
	}
	first, last, head := span(c.was)
	set(&save.run[2], c.key)
	slot, end := around(c.key)
	set(&save.run[3], slot, c.key, end, name)
	if save.first != first {
		save.first, save.run[4] = first, first
	}
	if save.last != last {
		save.last, save.run[5] = last, last
	}
	set(&save.run[6], string(head))
	if save.ttl != c.ttl {
		save.ttl, save.run[7] = c.ttl, c.ttl
	}
	save.set[0], save.set[1] = save.run[3], c.value
	return save
}

func (s *saves) putStaged(save *stagedSave) {
	save.set[1] = nil
	s.staged.Put(save)
}

// An ifEqualSave is SET key value IFEQ was PX ttl.
type ifEqualSave struct {
	ttl      int64
	set      [6]any
	commands [1]Command
}

func (s *saves) ifEqualOf(c change) *ifEqualSave {
	save, ok := s.ifEqual.Get().(*ifEqualSave)
	if !ok {
		save = &ifEqualSave{set: [6]any{2: "IFEQ", 4: "PX", 5: int64(0)}}
		save.commands = [1]Command{{"SET", save.set[:]}}
	}
	set(&save.set[0], c.key)
	if save.ttl != c.ttl {
		save.ttl, save.set[5] = c.ttl, c.ttl
	}
	save.set[1], save.set[3] = c.value, c.was
	return save
}

func (s *saves) putIfEqual(save *ifEqualSave) {
	save.set[1], save.set[3] = nil, nil
	s.ifEqual.Put(save)
}
