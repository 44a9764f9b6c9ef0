package memstore

import "time"

type entry struct {
	id      string
	value   []byte
	parts   map[string][]byte
	expires time.Time
	place   int // in the queue
}

func (e *entry) isOver(now time.Time) bool { return !now.Before(e.expires) }

// A queue is a heap, for package container/heap, with the entry that expires first in front.
type queue []*entry

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].expires.Before(q[j].expires) }

func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

func (q *queue) Push(x any) {
	added := x.(*entry)
	added.place = len(*q)
	*q = append(*q, added)
}

func (q *queue) Pop() any {
	last := len(*q) - 1
	removed := (*q)[last]
	(*q)[last] = nil // its memory is given back
	*q = (*q)[:last]
	return removed
}
