package store

import (
	"encoding/binary"
	"slices"
)

// Row keys begin with the space, so that deleting an account is one range, and then
// a letter:
//
//	r kind parent rid                     → clear fields, sealed record
//	n name tag                            → kind, parent, rid
//	s kind under state ^priority rid      → parent
//	d kind due rid                        → parent
//	c kind under state                    → counter
const (
	rowRecord  = 'r'
	rowName    = 'n'
	rowState   = 's'
	rowDue     = 'd'
	rowCounter = 'c'
)

const recordKeySize = 16 + 2 + 16 + 16

func recordKey(s Space, k Kind, parent, id RID) []byte {
	b := make([]byte, 0, recordKeySize)
	b = append(b, s[:]...)
	b = append(b, rowRecord, byte(k))
	b = append(b, parent[:]...)
	return append(b, id[:]...)
}

func nameKey(s Space, tag []byte) []byte {
	b := make([]byte, 0, 16+1+len(tag))
	b = append(b, s[:]...)
	b = append(b, rowName)
	return append(b, tag...)
}

// nameLabel is what a name's tag is made of.
func nameLabel(s Space, k Kind, parent RID, folded string) []byte {
	b := make([]byte, 0, 16+1+16+len(folded))
	b = append(b, s[:]...)
	b = append(b, byte(k))
	b = append(b, parent[:]...)
	return append(b, folded...)
}

func statePrefix(s Space, k Kind, under RID, state State) []byte {
	b := make([]byte, 0, 16+2+16+1+4+16)
	b = append(b, s[:]...)
	b = append(b, rowState, byte(k))
	b = append(b, under[:]...)
	return append(b, byte(state))
}

func stateKey(s Space, k Kind, c Clear, id RID) []byte {
	b := statePrefix(s, k, c.Under, c.State)
	b = binary.BigEndian.AppendUint32(b, descending(c.Priority))
	return append(b, id[:]...)
}

func duePrefix(s Space, k Kind) []byte {
	b := make([]byte, 0, 16+2+8+16)
	b = append(b, s[:]...)
	return append(b, rowDue, byte(k))
}

func dueKey(s Space, k Kind, c Clear, id RID) []byte {
	b := binary.BigEndian.AppendUint64(duePrefix(s, k), due(c.Due))
	return append(b, id[:]...)
}

func counterKey(s Space, k Kind, under RID, state State) []byte {
	b := make([]byte, 0, 16+2+16+1)
	b = append(b, s[:]...)
	b = append(b, rowCounter, byte(k))
	b = append(b, under[:]...)
	return append(b, byte(state))
}

// binding is the associated data of a record: its place, its schema and the fields
// that stay readable.
func binding(key, clearFields []byte) []byte {
	b := make([]byte, 0, len(key)+2+len(clearFields))
	b = append(b, key...)
	b = append(b, 0, schema)
	return append(b, clearFields...)
}

// after returns the first key behind every key that begins with prefix.
func after(prefix []byte) []byte {
	b := slices.Clone(prefix)
	for i := len(b) - 1; i >= 0; i-- {
		b[i]++
		if b[i] != 0 {
			return b[:i+1]
		}
	}
	// All bytes were 0xff: no key of ours is that long.
	return slices.Repeat([]byte{0xff}, 64)
}
