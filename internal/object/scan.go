package object

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// The scan functions take the index where something begins and return the index after it. If it is broken they return
// the index of the byte that cannot stand there, and false. They accept exactly what [encoding/json.Valid] accepts.

// maxDepth is how many arrays and objects may be open at once, the outermost object included. encoding/json has the same
// limit.
const maxDepth = 10000

// at returns b[i], or 0 where b has ended. No byte 0 is valid outside of a string.
func at(b []byte, i int) byte {
	if i < len(b) {
		return b[i]
	}
	return 0
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && b[i] <= ' ' && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

func scanValue(b []byte, i, depth int) (int, bool) {
	switch c := at(b, i); c {
	case '"':
		end, _, ok := scanString(b, i+1)
		return end, ok
	case '{':
		return scanObject(b, i, depth+1, nil)
	case '[':
		return scanArray(b, i, depth+1)
	case 't':
		return scanLiteral(b, i, "true")
	case 'f':
		return scanLiteral(b, i, "false")
	case 'n':
		return scanLiteral(b, i, "null")
	default:
		return scanNumber(b, i)
	}
}

// scanObject and scanMember append what they pass to members, unless that is nil.
func scanObject(b []byte, i, depth int, members *[]member) (int, bool) {
	if depth > maxDepth {
		return i, false
	}
	i = skipSpace(b, i+1)
	if at(b, i) == '}' {
		return i + 1, true
	}
	for {
		end, ok := scanMember(b, i, depth, members)
		if !ok {
			return end, false
		}
		i = skipSpace(b, end)
		switch at(b, i) {
		case ',':
			i = skipSpace(b, i+1)
		case '}':
			return i + 1, true
		default:
			return i, false
		}
	}
}

func scanMember(b []byte, i, depth int, members *[]member) (int, bool) {
	if at(b, i) != '"' {
		return i, false
	}
	name, plain, ok := scanString(b, i+1)
	if !ok {
		return name, false
	}
	colon := skipSpace(b, name)
	if at(b, colon) != ':' {
		return colon, false
	}
	end, ok := scanValue(b, skipSpace(b, colon+1), depth)
	if ok && members != nil {
		m := member{start: uint32(i), end: uint32(end)}
		if plain && utf8.Valid(b[i+1:name-1]) {
			m.name = uint32(name - 1)
		}
		*members = append(*members, m)
	}
	return end, ok
}

func scanArray(b []byte, i, depth int) (int, bool) {
	if depth > maxDepth {
		return i, false
	}
	i = skipSpace(b, i+1)
	if at(b, i) == ']' {
		return i + 1, true
	}
	for {
		end, ok := scanValue(b, i, depth)
		if !ok {
			return end, false
		}
		i = skipSpace(b, end)
		switch at(b, i) {
		case ',':
			i = skipSpace(b, i+1)
		case ']':
			return i + 1, true
		default:
			return i, false
		}
	}
}

func scanLiteral(b []byte, i int, literal string) (int, bool) {
	for k := range len(literal) {
		if at(b, i+k) != literal[k] {
			return i + k, false
		}
	}
	return i + len(literal), true
}

func scanNumber(b []byte, i int) (int, bool) {
	if at(b, i) == '-' {
		i++
	}
	ok := true
	if at(b, i) == '0' {
		i++
	} else if i, ok = scanDigits(b, i); !ok {
		return i, false
	}
	if at(b, i) == '.' {
		if i, ok = scanDigits(b, i+1); !ok {
			return i, false
		}
	}
	if c := at(b, i); c != 'e' && c != 'E' {
		return i, true
	}
	i++
	if c := at(b, i); c == '+' || c == '-' {
		i++
	}
	return scanDigits(b, i)
}

// scanDigits wants at least one.
func scanDigits(b []byte, i int) (int, bool) {
	start := i
	for i < len(b) && '0' <= b[i] && b[i] <= '9' {
		i++
	}
	return i, i > start
}

// scanString begins after the opening quote. It is plain if it has no escapes. Like encoding/json it lets bytes pass
// that are not UTF-8.
func scanString(b []byte, i int) (end int, plain, ok bool) {
	plain = true
	for i < len(b) {
		if i+16 <= len(b) {
			next := b[i : i+16]
			if s := special(binary.LittleEndian.Uint64(next)); s != 0 {
				i += bits.TrailingZeros64(s) / 8
			} else if s := special(binary.LittleEndian.Uint64(next[8:])); s != 0 {
				i += 8 + bits.TrailingZeros64(s)/8
			} else {
				i += 16
				continue
			}
		}
		switch c := b[i]; {
		case c == '"':
			return i + 1, plain, true
		case c == '\\':
			plain = false
			if i, ok = scanEscape(b, i+1); !ok {
				return i, false, false
			}
		case c < ' ':
			return i, false, false
		default:
			i++
		}
	}
	return i, false, false
}

// scanEscape begins after the backslash.
func scanEscape(b []byte, i int) (int, bool) {
	switch at(b, i) {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 1, true
	case 'u':
		for k := i + 1; k <= i+4; k++ {
			if !isHex(at(b, k)) {
				return k, false
			}
		}
		return i + 5, true
	}
	return i, false
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

// special sets the top bit of each of the eight bytes of x that is a quote, a backslash or below 0x20. Only the lowest
// set bit counts, because a subtraction borrows from the bytes above a hit, and never from those below.
func special(x uint64) uint64 {
	const every = 0x0101010101010101           // times a byte: that byte eight times
	quote := (x ^ every*0x02) - every*0x21     // 0x02 turns a quote into 0x20, and keeps below 0x20 what is below it
	backslash := (x ^ every*'\\') - every*0x01 // only what has become 0 sets its top bit here
	return (quote | backslash) &^ x & (every * 0x80)
}
