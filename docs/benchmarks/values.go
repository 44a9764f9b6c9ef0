package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
)

// The sizes of the sessions, in bytes of JSON.
const (
	size200B = 200
	size4kB  = 4 << 10
	size64kB = 64 << 10
	size1MB  = 1 << 20
	size10MB = 10 << 20
)

func sizeName(size int) string {
	switch {
	case size >= 1<<20:
		return fmt.Sprintf("%d MB", size>>20)
	case size >= 1<<10:
		return fmt.Sprintf("%d kB", size>>10)
	}
	return fmt.Sprintf("%d B", size)
}

// firstVisits is what a new session has under visitsName, the one value that the requests read and write.
const (
	visitsName  = "visits"
	firstVisits = 1
)

// A member is one value of a session: a string, a []string, an int or a bool.
type member struct {
	name  string
	value any
}

// memberCount is the number of members of a session of about this size.
func memberCount(size int) int {
	switch {
	case size < 1<<10:
		return 4
	case size < 16<<10:
		return 40
	case size < 256<<10:
		return 250
	case size < 4<<20:
		return 1000
	}
	return 2000
}

// members makes up a session that has size bytes as JSON, give or take a few. It is the same for every contestant. Of five
// members two are text, one is a list of four texts, one is a number and one a truth value; the visits stand in the middle.
func members(size int) []member {
	const perList = 4
	count := memberCount(size)
	all := make([]member, count)
	left, texts := size-len("{}"), 0
	for i := range all {
		m := &all[i]
		m.name = fmt.Sprintf("member%d", i)
		switch {
		case i == count/2:
			*m = member{visitsName, firstVisits}
		case i%5 == 2:
			m.value = make([]string, perList)
			left -= len(`["","","",""]`)
			texts += perList
		case i%5 == 3:
			m.value = i * 7919
			left -= len(fmt.Sprint(m.value))
		case i%5 == 4:
			m.value = i%2 == 0
			left -= len(fmt.Sprint(m.value))
		default:
			m.value = ""
			left -= len(`""`)
			texts++
		}
		left -= len(`"":,`) + len(m.name)
	}
	random := rand.New(rand.NewPCG(1, uint64(size)))
	next := func() string {
		length := left / texts
		left -= length
		texts--
		return text(random, length, texts%8 == 7)
	}
	for i := range all {
		switch value := all[i].value.(type) {
		case string:
			all[i].value = next()
		case []string:
			for j := range value {
				value[j] = next()
			}
		}
	}
	return all
}

// words are what text is cut from.
var words = sync.OnceValue(func() string {
	random := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, 64<<10)
	for i := range b {
		b[i] = "abcdefghijklmnopqrstuvwxyz    "[random.IntN(30)]
	}
	return string(b)
})

// text makes up words that take length bytes as JSON; some have what JSON escapes, and what is not ASCII.
func text(random *rand.Rand, length int, special bool) string {
	var b strings.Builder
	if special && length > 16 {
		b.WriteString(`"é" `)
		length -= len(`\"é\" `)
	}
	for length > 0 {
		rest := words()[random.IntN(len(words())):]
		rest = rest[:min(length, len(rest))]
		b.WriteString(rest)
		length -= len(rest)
	}
	return b.String()
}
